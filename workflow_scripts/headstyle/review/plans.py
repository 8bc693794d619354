"""The note of what a run is going to do: its settings, and each of its jobs with its log.

Only Snakemake knows the jobs of a run, and only while it runs. So each run writes them down when it
starts. A run that goes on after an interruption lists only the jobs that are left.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstyle.base.errors import RESULT, InputError
from headstyle.base.files import read_json, write_json

FILE = ".plan.json"


@dataclass(frozen=True)
class Plan:
    """What the latest run of a results folder set out to do."""

    started: float
    """When it started [s since the epoch]."""
    host: str
    """The machine of its main process."""
    settings: Mapping[str, Any]
    """Its whole configuration."""
    jobs: Mapping[str, str]
    """The rule of each job, by its log relative to the results folder, in the order of the run."""


def write_plan(
    folder: str | Path, settings: Mapping[str, Any], logs: Sequence[tuple[str, str]]
) -> None:
    """Write the plan of a run that starts now, where the folder can be written.

    Args:
        folder: The results folder.
        settings: The whole configuration.
        logs: Rule and log of each job. Jobs whose log lies elsewhere are left out.
    """
    folder = Path(folder)
    jobs = [
        {"rule": rule, "log": log}
        for rule, path in logs
        if not (log := Path(os.path.relpath(path, folder)).as_posix()).startswith("../")
    ]
    content = {"started": time.time(), "host": socket.gethostname(), "settings": settings}
    # Nothing but a look at the run needs it. What is wrong with the disk, the jobs tell better.
    with suppress(OSError):
        write_json(folder / FILE, content | {"jobs": jobs})


def read_plan(folder: str | Path) -> Plan | None:
    """The plan of the latest run; None where the folder has none, as those of older versions.

    Raises:
        InputError: the plan is damaged.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    content = read_json(path)
    try:
        return Plan(
            float(content["started"]),
            str(content["host"]),
            dict(content["settings"]),
            {str(job["log"]): str(job["rule"]) for job in content["jobs"]},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the plan of a run ({error}); {RESULT.if_wrong}") from None


def is_claimed_here(folder: str | Path) -> bool | None:
    """Whether a run on this machine holds the folder; None where the machine does not tell.

    Nothing is locked to find out, because a run that starts at this moment would meet that lock.
    """
    try:
        wanted = str((Path(folder) / ".lock").stat().st_ino)
    except OSError:
        return False
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    # 8: FLOCK  ADVISORY  WRITE 29753 fe:00:3121777 0 EOF
    held = [line.split() for line in lines]
    return any(
        words[3] == "WRITE" and words[5].rpartition(":")[2] == wanted
        for words in held
        if len(words) >= 8
    )
