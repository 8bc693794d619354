"""Settings that are declared beside the code that reads them, and classes that are found by name.

A metric, an editor or a schedule declares its settings as a literal at the top of its module:

    SETTINGS = (
        Setting(
            "blur.sigma_px",
            2.0,
            {"type": "number", "exclusiveMinimum": 0},
            meaning="Standard deviation of the blur [px].",
        ),
    )

The declaration is read from the module's text and the module is not run. So the configuration is
checked at once, although some of these modules take seconds to import.
"""

import ast
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from headstyle.base.errors import InputError

Parent = TypeVar("Parent")


@dataclass(frozen=True)
class Setting:
    """One key of the configuration."""

    name: str
    """Key in its section. A dot leads into a subsection: `blur.sigma_px`."""
    default: Any
    """Value where the configuration gives none."""
    schema: Mapping[str, Any]
    """JSON Schema of the values that are allowed."""
    meaning: str = field(kw_only=True)
    """What the setting does and its unit, for people."""
    machine: bool = field(default=False, kw_only=True)
    """Whether it says how the machine is used. Such a setting shapes no result."""
    names_weights: bool = field(default=False, kw_only=True)
    """Whether it decides which files of weights are needed."""
    owner: str = field(default="", kw_only=True)
    """Name of the module that declares it. Filled in by `declared_settings`."""


def declared_settings(
    paths: Iterable[str | Path], variable: str = "SETTINGS"
) -> tuple[Setting, ...]:
    """The settings that modules declare in a variable, read without importing the modules.

    Raises:
        InputError: a declaration is not a literal.
    """
    found: list[Setting] = []
    for path in sorted(map(Path, paths)):
        declared = _declared_in(path.read_text(encoding="utf-8"), str(path), variable)
        found += [replace(setting, owner=path.stem) for setting in declared]
    return tuple(found)


def complete_schema(section: dict[str, Any], settings: Iterable[Setting]) -> None:
    """Add settings to the closed schema of their section, in place.

    Raises:
        InputError: two settings have one name, or one is named as the subsection of another.
    """
    for setting in settings:
        *above, key = setting.name.split(".")
        level = section
        for name in above:
            closed = {"type": "object", "additionalProperties": False}
            level = level.setdefault("properties", {}).setdefault(name, closed)
        known = level.setdefault("properties", {})
        if key in known or level.get("additionalProperties") is not False:
            raise InputError(
                f"the module {setting.owner} declares the setting {setting.name}, whose name is "
                "taken; rename it"
            )
        known[key] = deepcopy(dict(setting.schema))


def fill_in_defaults(section: dict[str, Any], settings: Iterable[Setting]) -> None:
    """Give each setting that a section of the configuration lacks its default, in place."""
    for setting in settings:
        *above, key = setting.name.split(".")
        level = section
        for name in above:
            level = level.setdefault(name, {})
        level.setdefault(key, deepcopy(setting.default))


def default_values(settings: Iterable[Setting]) -> dict[str, Any]:
    """The defaults of some settings, in their subsections."""
    section: dict[str, Any] = {}
    fill_in_defaults(section, settings)
    return section


def taken(section: Mapping[str, Any], settings: Iterable[Setting]) -> dict[str, Any]:
    """Those of a section's keys that belong to some settings, in their subsections."""
    result: dict[str, Any] = {}
    for setting in settings:
        *above, key = setting.name.split(".")
        source: Any = section
        for name in above:
            source = source.get(name, {})
        if key in source:
            target = result
            for name in above:
                target = target.setdefault(name, {})
            target[key] = source[key]
    return result


def laid_over(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `more` in place of its own; subsections are joined key by key."""
    result = dict(base)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = laid_over(result[key], value) if both else value
    return result


def class_named(name: str, package: str, parent: type[Parent]) -> type[Parent]:
    """The subclass of `parent` that the module `name` of a package defines.

    Raises:
        InputError: the module defines none.
    """
    module = import_module(f"{package}.{name}")
    for found in vars(module).values():
        is_own = isinstance(found, type) and found.__module__ == module.__name__
        if is_own and issubclass(found, parent):
            return found
    raise InputError(f"{module.__file__} defines no subclass of {parent.__name__}; add one")


# A file is read anew each time, and parsed once for each text.
@cache
def _declared_in(text: str, path: str, variable: str) -> tuple[Setting, ...]:
    if variable not in text:
        return ()
    # Any, because a declaration of another shape ends in the AttributeError below.
    nodes: list[Any] = ast.parse(text, path).body
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if names == [variable]:
            try:
                return tuple(_setting(call) for call in node.value.elts)
            except (AttributeError, TypeError, ValueError) as error:
                raise InputError(
                    f"{path}, line {node.lineno}: {variable} is not a tuple of Setting(...) whose "
                    f"arguments are literals ({error}); write the values themselves there"
                ) from error
    return ()


def _setting(call: Any) -> Setting:
    if call.func.id != "Setting":
        raise ValueError(f"found {call.func.id}")
    return Setting(
        *(ast.literal_eval(argument) for argument in call.args),
        **{keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords},
    )
