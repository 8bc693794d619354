"""The versions of all programs that a study's stages ran in."""

import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path

from headstyle import __version__


def versions_text(source: Path) -> str:
    """Versions of headstyle, Python and all installed packages, as a file of constraints for pip.

    Args:
        source: A folder of headstyle's source. If it is in a clone of the repository, its commit is
            named.
    """
    packages = {
        f"{package.name}=={package.version}"
        for package in distributions()
        if package.name and package.name.lower() != "headstyle"
    }
    about = [
        f"# headstyle {__version__}{_commit(source)}",
        f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        "# Packages where the archive was written; with --sdm conda each stage had those of envs/.",
    ]
    return "".join(f"{line}\n" for line in [*about, *sorted(packages, key=str.lower)])


def _commit(source: Path) -> str:
    """Of a clone: its commit, and whether files differ from it. Empty where there is no clone."""
    try:
        commit = _git(source, "rev-parse", "HEAD")
        changed = _git(source, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f", commit {commit}{' with changes' if changed else ''}"


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()
