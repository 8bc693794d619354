"""What every stage script shares: its log, its number of threads, and how it ends on bad input."""

import ctypes
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstyle.errors import InputError


@contextmanager
def stage(snakemake: Any) -> Iterator[logging.Logger]:
    """Run the body of a stage script: log to the rule's log and to stderr, use the rule's threads.

    An `InputError` ends the job with its one sentence; any other error also leaves its traceback
    in the log.
    """
    logger = _open_log(Path(snakemake.log[0]), snakemake.rule)
    use_threads(snakemake.threads)
    started = time.monotonic()
    try:
        yield logger
    except InputError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception:
        logger.exception("stopped by an unexpected error")
        sys.exit(1)
    logger.info("done in %.1f s", time.monotonic() - started)


def use_threads(threads: int) -> None:
    """Limit the numeric libraries, imported already or later, to `threads` threads."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    # Once numba is imported, it takes a change of its variable for an error.
    if "numba" not in sys.modules:
        os.environ["NUMBA_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)


def keep_freed_memory() -> None:
    """Let the process reuse large blocks that it freed instead of giving them back to the system.

    Trainings and networks allocate blocks of the same sizes again and again; asking the system for
    them anew can cost more than computing them. Does nothing where the C library is not glibc.
    """
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(mmap_threshold, 2**30)
    mallopt(trim_threshold, 2**31 - 1)


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU, without loading a library that could use it."""
    return Path("/dev/nvidia0").exists()


def progress(steps: Iterable[Any], what: str, every_seconds: float = 15.0) -> Iterator[Any]:
    """Iterate over `steps` and log now and then how many are done and how much time is left."""
    logger = logging.getLogger("headstyle")
    total = len(steps) if isinstance(steps, Sized) else None
    reported = time.monotonic()
    for done, step in enumerate(steps):
        now = time.monotonic()
        if done <= 1:
            # The first step also compiles and loads; it says nothing about the others.
            started = now
        elif total and now - reported >= every_seconds:
            left = (now - started) / (done - 1) * (total - done)
            logger.info("%s: %d of %d, about %s left", what, done, total, _duration(left))
            reported = now
        yield step


def _open_log(path: Path, name: str) -> logging.Logger:
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    root.handlers.clear()
    for handler in (logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler()):
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logger = logging.getLogger("headstyle")
    logger.setLevel(logging.INFO)
    return logger.getChild(name)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {seconds} s"
        if minutes
        else f"{seconds} s"
    )
