"""Answers that Snakemake works out again for each job, though they are the same for all of a rule.

A study of 1,000 subjects has 50,000 jobs and more. Nothing here changes what is planned. Where a
Snakemake lacks one of these places, it plans without that shortcut (`snakemake_internals` has the
other internals that headstyle relies on).
"""

import gc
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, lru_cache, wraps
from string import Formatter
from typing import Any

REMEMBERED = 4096
"""Answers kept per function; a workflow has about a hundred."""
OBJECTS_BETWEEN_SEARCHES = 100_000
"""Python searches for unused objects each time that many were made. Planning frees hardly any."""


def take_shortcuts() -> list[str]:
    """Make planning faster in this process; a second call does nothing.

    Returns:
        The dotted names of what was replaced in Snakemake, in this or an earlier call.
    """
    # Of 100 subjects' planning, the searches took a quarter.
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES, 50, 100)
    return list(_replaced())


def _replaced() -> Iterator[str]:
    with suppress(ImportError):
        # Its parts import each other, so they cannot come first.
        importlib.import_module("snakemake.api")
    for place, shortcut in SHORTCUTS.items():
        module_name, *path, name = place.split(":")[0], *place.split(":")[1].split(".")
        with suppress(ImportError, AttributeError):
            owner = importlib.import_module(module_name)
            for part in path:
                owner = getattr(owner, part)
            slow = getattr(owner, name)
            if not getattr(getattr(slow, "fget", slow), "is_shortcut", False):
                fast = shortcut(slow)
                getattr(fast, "fget", fast).is_shortcut = True
                setattr(owner, name, fast)
            yield place


def _remembered(slow: Callable[..., Any]) -> Callable[..., Any]:
    """For a function whose answer depends on its arguments alone."""
    return wraps(slow)(lru_cache(REMEMBERED)(slow))


def _script_checked_once(slow: Callable[..., Any]) -> Callable[..., Any]:
    """Read a rule's script once, not for each of its jobs, to see that it is there."""
    found: set[tuple[type, Any]] = set()

    @wraps(slow)
    def process_job(self: Any, job: Any) -> None:
        key = (type(self), job.rule)
        if key not in found:
            slow(self, job)
            if _is_fixed(job.rule.script):
                found.add(key)

    return process_job


def _script_found_once(slow: Callable[..., Any]) -> Callable[..., Any]:
    """Find a rule's script without the parameters of the job, where its name does not use them."""
    files: dict[tuple[Any, str], Any] = {}

    @wraps(slow)
    def path_to_source_file(self: Any, path: Any) -> Any:
        if not _is_fixed(path):
            return slow(self, path)
        key = (self.rule, str(path))
        if key not in files:
            files[key] = slow(self, path)
        return files[key]

    return path_to_source_file


def _environment_named_once(slow: property) -> property:
    """Name a job's conda environment without its parameters, once its rule knows it."""
    from snakemake import rules

    unknown = rules._NOT_CACHED

    @wraps(slow.fget)  # type: ignore[arg-type]
    def conda_env_spec(self: Any) -> Any:
        known = self.rule._expanded_conda_env
        return slow.fget(self) if known is unknown else known  # type: ignore[misc]

    return property(conda_env_spec)


def _producers_found_once(slow: Callable[..., Any]) -> Callable[..., Any]:
    """Match a file with the rules' patterns once, not for each job that reads it."""

    @wraps(slow)
    def match_producers(self: Any, targetfile: Any) -> Any:
        known = self.__dict__.setdefault("known_producers", {})
        path = str(targetfile)
        if path not in known:
            # Few different sets stand for all files.
            found = frozenset(slow(self, targetfile))
            known[path] = self.__dict__.setdefault("sets", {}).setdefault(found, found)
        return known[path]

    return match_producers


def _made_once(slow: type) -> type:
    """Share the objects that guard two names of each list of files, which differ in that name only.

    There are two in each of the about 15 lists of a job.
    """

    @cache
    def guard_of(name: str) -> Any:
        guard: Any = object.__new__(slow)
        guard.__init__(name)
        return guard

    def new(cls: type, name: str | None = None) -> Any:
        # Without a name it is unpickled.
        return object.__new__(cls) if name is None or cls is not slow else guard_of(name)

    slow.__new__ = new  # type: ignore[method-assign, assignment]
    return slow


def _flags_asked_by_class(slow: Callable[..., Any]) -> Callable[..., Any]:
    """Find out once per class whether its objects have flags; abstract classes ask at each call."""
    from snakemake_interface_common.io import AnnotatedStringInterface

    have_flags: dict[type, bool] = {}

    @wraps(slow)
    def is_flagged(value: Any, flag: str) -> bool:
        kind = type(value)
        if kind not in have_flags:
            have_flags[kind] = isinstance(value, AnnotatedStringInterface)
        return have_flags[kind] and value.is_flagged(flag)

    return is_flagged


def _flag_looked_up(slow: Callable[..., Any]) -> Callable[..., Any]:
    """Look a flag up in one step."""

    @wraps(slow)
    def is_flagged(self: Any, flag: str) -> bool:
        return bool(self.flags.get(flag))

    return is_flagged


def _message_of_wildcards(slow: property) -> property:
    """Fill in a message that names wildcards alone without asking for the rest of its job."""
    from snakemake.utils import format as fill_in

    @cache
    def names_wildcards_alone(text: str) -> bool:
        fields = [field for _, field, _, _ in Formatter().parse(text) if field is not None]
        return all(field.startswith("wildcards.") for field in fields)

    @wraps(slow.fget)  # type: ignore[arg-type]
    def message(self: Any) -> Any:
        text = self.rule.message
        if not isinstance(text, str) or not names_wildcards_alone(text):
            return slow.fget(self)  # type: ignore[misc]
        return fill_in(text, wildcards=self._format_wildcards)

    return property(message)


def _nested_outputs_found_by_folder(slow: Callable[..., Any]) -> Callable[..., Any]:
    """Look for outputs inside other jobs' outputs folder by folder, not by sorting all paths."""

    @wraps(slow)
    def check_directory_outputs(self: Any) -> None:
        jobs = {str(file): job for job in self.jobs for file in job.output}
        # The jobs whose outputs a folder is, or lies in.
        owners: dict[str, frozenset[Any]] = {"": frozenset(), "/": frozenset()}

        def owners_of(folder: str) -> frozenset[Any]:
            if folder not in owners:
                own = {jobs[folder]} if folder in jobs else set()
                owners[folder] = owners_of(os.path.dirname(folder)) | own
            return owners[folder]

        kinds = {file[:1] == "/" for file in jobs}
        is_plain = all(os.path.normpath(file) == file for file in jobs) and len(kinds) < 2
        if is_plain and all(
            owners_of(os.path.dirname(file)) <= {job} for file, job in jobs.items()
        ):
            return
        # Something is nested, or may be: the original tells.
        slow(self)

    return check_directory_outputs


def _is_fixed(path: Any) -> bool:
    """Whether a path holds neither wildcards nor parameters."""
    return path is not None and "{" not in str(path)


ASK_FOR_FLAGS = (
    "snakemake.io",
    "snakemake.io.fmt",
    "snakemake.jobs",
    "snakemake.dag",
    "snakemake.rules",
)
"""Modules that have the same function under one name each."""
SHORTCUTS: dict[str, Callable[[Any], Any]] = {
    "snakemake.sourcecache:parse_uri": _remembered,
    "snakemake.common:get_function_params": _remembered,
    "snakemake.rules:get_function_params": _remembered,
    "snakemake.jobs:get_function_params": _remembered,
    "snakemake.dag:ScriptProcessor.process_job": _script_checked_once,
    "snakemake.jobs:Job._path_to_source_file": _script_found_once,
    "snakemake.jobs:Job.conda_env_spec": _environment_named_once,
    "snakemake.iocontainers:AttributeGuard": _made_once,
    "snakemake.output_index:OutputIndex.match_producers": _producers_found_once,
    "snakemake.jobs:Job.message": _message_of_wildcards,
    "snakemake.dag:DAG.check_directory_outputs": _nested_outputs_found_by_folder,
    "snakemake_interface_common.io:AnnotatedStringInterface.is_flagged": _flag_looked_up,
    **{f"{module}:is_flagged": _flags_asked_by_class for module in ASK_FOR_FLAGS},
}
"""What is replaced, as `module:name`, and by what."""
