"""Real Snakemake on a Snakefile of the test's own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

from loaded_snakemake import loaded
from study import ROOT

CLUSTER = '''
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
)


class Executor(RemoteExecutor):
    """Enough of a cluster for a dry run."""
'''


def run_snakemake(
    folder: Path,
    *arguments: str | Path,
    environment: Mapping[str, str | Path] | None = None,
    succeeds: bool = True,
) -> str:
    """Run Snakemake in a folder and return what it printed; an unexpected end fails the test."""
    if environment is None:
        with NamedTemporaryFile() as file:
            run = loaded().start(
                [*map(str, arguments)], folder, Path(file.name), OMP_NUM_THREADS="1"
            )
            output, _ = run.communicate(timeout=600)
        assert (run.returncode == 0) == succeeds, output[-6000:]
        return output
    # Snakemake looks for plugins and folders as it is loaded, by the environment of that time.
    changed = {key: str(value) for key, value in environment.items()}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **changed},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, done.stdout[-6000:]
    return done.stdout


def jobs(dry_run: str) -> dict[str, int]:
    """Count of jobs per rule in the table that a dry run prints."""
    rows = re.findall(r"^(\w+) +(\d+)$", dry_run, re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule != "total"}


def add_cluster(folder: Path) -> list[str]:
    """Write an executor plugin into a folder that is on Python's path.

    Returns:
        The arguments that choose it, with a number of jobs and none of cores.
    """
    plugin = folder / "snakemake_executor_plugin_pretended"
    plugin.mkdir()
    (plugin / "__init__.py").write_text(CLUSTER)
    return ["--executor", "pretended", "--jobs", "4"]


def add_hosted_clone(source: Path, repository: str, tag: str, cache: Path) -> None:
    """Commit a folder, and put its clone where Snakemake has those of GitHub's repositories.

    Args:
        source: The folder, which becomes a Git repository.
        repository: Its name on GitHub, `owner/name`.
        tag: Of the commit.
        cache: The folder that the environment variable XDG_CACHE_HOME names.
    """
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    clones = cache / "snakemake" / "snakemake" / "source-cache" / "snakemake-git-cache"
    clone = clones / "github.com" / repository
    for command in (
        ("init", "--quiet"),
        ("add", "."),
        (*author, "commit", "--quiet", "--message", "All"),
        ("tag", tag),
        ("clone", "--quiet", "--bare", str(source), str(clone)),
    ):
        subprocess.run(["git", *command], cwd=source, check=True)


def copy_repository(target: Path) -> None:
    """Copy what the repository holds, without results and what was installed."""
    unwanted = (".git", ".venv", ".snakemake", "results", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*unwanted, ".hypothesis"))
