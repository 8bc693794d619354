"""The door to the GPUs of this machine: each job gets GPUs of its own.

A job holds a lock file per GPU. The operating system frees it when the job's process ends, however
it ends, so a killed job leaves no GPU behind.
"""

import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from headstyle.base.devices import promised_gpus, visible_gpus
from headstyle.base.errors import InputError
from headstyle.base.locks import FileLock, try_lock

logger = logging.getLogger("headstyle")

# What schedulers call the job that they run: Slurm, PBS, LSF, Grid Engine.
ALLOCATIONS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")


@contextmanager
def own_gpus(count: int) -> Iterator[tuple[str, ...]]:
    """Wait for GPUs that no other job holds, and let this process see only these.

    Call it before PyTorch uses CUDA, which then no longer reads CUDA_VISIBLE_DEVICES.

    Args:
        count: How many the job asks for. 0 hides all GPUs.

    Yields:
        The names of the GPUs. None of a machine that has none and was promised none: there the job
        runs on the CPU.

    Raises:
        InputError: there are fewer GPUs than were promised, or than the job asks for.
    """
    names = visible_gpus()
    if count and not names and not promised_gpus():
        yield ()
        return
    _check(count, names)
    held = _wait_for(names, count)
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
    try:
        yield tuple(held)
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before
        for lock in held.values():
            lock.release()


def _check(count: int, names: Sequence[str]) -> None:
    promised = promised_gpus() if count else 0
    if promised > len(names):
        raise InputError(
            f"{_number(promised)} promised by the profile or the scheduler, and"
            f" {len(names) or 'none'} found here; correct gpu in the profile's resources, or run on"
            " the CPU with --resources gpu=0"
        )
    if count > len(names):
        raise InputError(
            f"this job asks for {_number(count)}, and {len(names)} found here; set editing.device"
            " to null, or run on the CPU with --resources gpu=0"
        )


def _number(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _wait_for(names: Sequence[str], count: int) -> dict[str, FileLock]:
    """The locks of `count` GPUs, by the GPUs' names."""
    if not count:
        return {}
    folder, started, is_told = _lock_folder(), time.monotonic(), False
    while len(held := _free_ones(folder, names, count)) < count:
        # Two jobs that need two GPUs and keep one each would wait forever.
        for lock in held.values():
            lock.release()
        if not is_told:
            logger.info("waiting for %s of %d to be free", _number(count), len(names))
            is_told = True
        time.sleep(min(1.0, 0.02 * (1 + time.monotonic() - started)))
    logger.info("on GPU %s", " and ".join(held))
    return held


def _free_ones(folder: Path, names: Sequence[str], count: int) -> dict[str, FileLock]:
    """The locks of GPUs that are free now, at most `count`."""
    held: dict[str, FileLock] = {}
    for name in names:
        if len(held) < count and (lock := try_lock(folder / f"{_plain(name)}.lock")):
            held[name] = lock
    return held


def _lock_folder() -> Path:
    """Where the locks lie: on this machine, as its GPUs are.

    A scheduler numbers the GPUs of each of its jobs anew, so each of its jobs has its own folder.
    """
    allocation = next((os.environ[key] for key in ALLOCATIONS if os.environ.get(key)), "machine")
    own = Path(tempfile.gettempdir(), f"headstyle-{os.getuid()}")
    own.mkdir(mode=0o700, exist_ok=True)
    if own.is_symlink() or own.stat().st_uid != os.getuid():
        raise InputError(f"{own} belongs to somebody else; set TMPDIR to a folder of your own")
    folder = own / "gpus" / _plain(allocation)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "_", name)
