"""What headstyle takes from Snakemake beyond its documented interface; no other module does.

The rules load this module before they know where the library lies, so it imports nothing of ours.
`tests/workflow/test_snakemake_internals.py` asks the installed Snakemake for all of it.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SnakemakeChangedError(RuntimeError):
    """The installed Snakemake lacks an internal that headstyle relies on."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that this run of the workflow is going to execute."""

    wildcards: Mapping[str, str]
    params: Mapping[str, Any]
    outputs: Mapping[str, str]
    """The path of each named output."""


def available_cores(workflow: Any) -> int:
    """How many cores the jobs of this run share; 1 where no number was given.

    A cluster is given a number of jobs instead (`--executor slurm --jobs 100`). There it is the
    largest number of threads of a job.
    """
    from snakemake.exceptions import WorkflowError

    with _relying_on("workflow.cores"):
        try:
            return workflow.cores or 1
        except WorkflowError:
            return 1


def runs_on_this_machine(workflow: Any) -> bool:
    """Whether this run's jobs share this machine; not where a scheduler spreads them.

    Only the main process of a run on a cluster has a number of jobs, and only the others say that
    they run one of them.
    """
    with _relying_on("workflow.nodes and workflow.remote_exec"):
        return workflow.nodes is None and not workflow.remote_exec


def promise_gpus(workflow: Any) -> None:
    """Tell the stages that this process starts how many GPUs they may count on.

    `--resources gpu=N` promises N, on the command line or in a profile. In a job of a scheduler the
    scheduler has promised what the job asked for, so at least one. Otherwise nobody did, and stages
    use what they find (`headstyle.base.devices.promised_gpus`).
    """
    with _relying_on("workflow.global_resources and workflow.remote_exec"):
        limit = workflow.global_resources.get("gpu")
        # Snakemake lists a resource that rules ask for, with None where nobody limits it.
        limited = 0 if limit is None else limit.value or 0
        promised = 1 if workflow.remote_exec else limited
    os.environ["HEADSTYLE_PROMISED_GPUS"] = str(promised)


def stage_image(workflow: Any) -> str:
    """The image in which stages run with `--sdm apptainer`: a file, or an address.

    It is `headstyle-cpu.sif` in the working folder, unless the variable HEADSTYLE_IMAGE names
    another.

    Raises:
        ValueError: stages are to run in it, and the file is not there.
    """
    image = os.environ.get("HEADSTYLE_IMAGE") or "headstyle-cpu.sif"
    with _relying_on("workflow.deployment_settings.deployment_method"):
        methods = [str(method) for method in workflow.deployment_settings.deployment_method]
    if "apptainer" in methods and "://" not in image and not Path(image).is_file():
        raise ValueError(
            f"--sdm apptainer needs the image {image}, which is not there; build it as"
            " docs/cluster.md says, or name another in the variable HEADSTYLE_IMAGE"
        )
    return image


def config_files(workflow: Any) -> list[Path]:
    """The files of settings that this run reads: the workflow's own and those of the command."""
    with _relying_on("workflow.configfiles"):
        return [Path(path) for path in workflow.configfiles]


def planned_jobs(workflow: Any, rule: Any) -> list[PlannedJob]:
    """The jobs of a rule that this run executes, in any order; for use in `onstart`.

    Args:
        workflow: Snakemake's workflow.
        rule: The rule as `rules.{name}` of the file that defines it. Who uses that file as a module
            may have renamed it.
    """
    with _relying_on("workflow.dag.needrun_jobs() and the jobs' rule, wildcards, params, output"):
        return [
            PlannedJob(dict(job.wildcards.items()), dict(job.params.items()), _paths(job.output))
            for job in workflow.dag.needrun_jobs()
            # A group of jobs has no rule of its own.
            if getattr(job, "rule", None) is not None and job.rule.name == rule.rule.name
        ]


def planned_logs(workflow: Any) -> list[tuple[str, str]]:
    """The rule and the log of each job that this run executes, for use in `onstart`.

    Jobs without a log, and those that do nothing themselves, are left out.
    """
    with _relying_on("workflow.dag.needrun_jobs() and the jobs' rule and log"):
        # A group of jobs stands for its members.
        jobs = [
            job
            for entry in workflow.dag.needrun_jobs()
            for job in ([entry] if getattr(entry, "rule", None) is not None else entry.jobs)
        ]
        return [(job.rule.name, str(job.log[0])) for job in jobs if job.log]


def plan_only(workflow: Any, omitted: frozenset[str], allowed: frozenset[str]) -> None:
    """Plan as with `--omit-from` and `--allowed-rules`; for use after the last rule.

    Jobs of a run are processes of their own, which know what they are to do.

    Args:
        workflow: Snakemake's workflow.
        omitted: The rules that do not run, nor what depends on them.
        allowed: The rules that may run; none where all may.
    """
    with _relying_on("workflow.is_main_process and workflow._prepare_dag"):
        if not workflow.is_main_process:
            return
        prepare = workflow._prepare_dag

        # The settings come after the rules.
        def prepare_part(*args: Any, **kwargs: Any) -> Any:
            with _relying_on("workflow.dag_settings.omit_from and allowed_rules"):
                settings = workflow.dag_settings
                settings.omit_from = frozenset(settings.omit_from or ()) | omitted
                settings.allowed_rules = frozenset(settings.allowed_rules or ()) | allowed
            return prepare(*args, **kwargs)

        workflow._prepare_dag = prepare_part


def is_asked_for(workflow: Any, target: str) -> bool:
    """Whether the command names this target; for use in functions of inputs."""
    with _relying_on("workflow.dag_settings.targets"):
        return target in workflow.dag_settings.targets


def rules_with(workflow: Any, wildcard: str) -> frozenset[str]:
    """The names of the rules whose outputs have a wildcard, once all files with rules are read."""
    with _relying_on("workflow.rules and their wildcard_names"):
        return frozenset(rule.name for rule in workflow.rules if wildcard in rule.wildcard_names)


def rule_names(workflow: Any) -> list[str]:
    """The names of all rules, once all files with rules are read; a module's with their prefix."""
    with _relying_on("workflow.rules"):
        return sorted(rule.name for rule in workflow.rules)


def source_folder(workflow: Any) -> Path:
    """The folder of the file with rules that is being read.

    With `github(...)` Snakemake has the repository without its files. Then they are unpacked, once
    per commit, into Snakemake's cache.

    Raises:
        ValueError: the file was read from another address.
    """
    with _relying_on("workflow.current_basedir and workflow.sourcecache"):
        from snakemake.sourcecache import HostingProviderFile, LocalSourceFile

        folder = workflow.current_basedir
        cache = Path(workflow.sourcecache.cache_path)
        if isinstance(folder, LocalSourceFile):
            return Path(folder.get_path_or_uri(secret_free=True))
        if isinstance(folder, HostingProviderFile):
            return Path(_unpacked(folder.hosted_repo.repo_clone, folder.ref, cache), folder.path)
    raise ValueError(
        f"headstyle cannot run from {folder}: it needs its whole repository; clone it and name the"
        ' Snakefile in the clone, or write github("OWNER/REPOSITORY", path="workflow/Snakefile",'
        ' tag="...")'
    )


def search_first(library: Path) -> None:
    """Lets this process and those it starts import from `library` before any other folder.

    Snakemake puts a script's library last on its path. An installed headstyle of another version
    would come before it, and the digest of the library would not be that of the code that runs.
    """
    sys.path.insert(0, str(library))
    searched = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(library) != searched[0]:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(library), *searched]))


def _unpacked(repository: Path, ref: str, cache: Path) -> Path:
    """The files of one commit of a repository, in a folder of the cache."""
    git = ["git", "-C", str(repository)]
    found = subprocess.run(
        [*git, "rev-parse", "--verify", f"{ref}^{{commit}}"],
        check=True,
        capture_output=True,
        text=True,
    )
    commit = found.stdout.strip()
    target = cache / "headstyle" / commit
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Several jobs may start at once: the folder appears whole, and one of them wins.
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            archive, files = Path(scratch, "archive.tar"), Path(scratch, "files")
            subprocess.run([*git, "archive", "--output", str(archive), commit], check=True)
            with tarfile.open(archive) as members:
                members.extractall(files, filter="data")
            try:
                os.rename(files, target)
            except OSError:
                if not target.exists():
                    raise
    return target


def _paths(named: Any) -> dict[str, str]:
    return {name: str(path) for name, path in named.items()}


@contextmanager
def _relying_on(internal: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, ImportError, TypeError) as error:
        import snakemake

        version = getattr(snakemake, "__version__", "of unknown version")
        raise SnakemakeChangedError(
            f"Snakemake {version} no longer has {internal} ({error}); install a version that"
            " pyproject.toml allows, or adapt headstyle/workflow/snakemake_internals.py"
        ) from error
