"""What this machine has, and how a process uses it: threads, memory, GPUs."""

import ctypes
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path


def use_threads(threads: int) -> None:
    """Limit the numeric libraries, imported already or later, to `threads` threads."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    # numba reports an error if its variable changes after the import.
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

    Trainings and networks allocate blocks of the same sizes again and again. To ask the system for
    such a block can cost more than the computation in it. Where the C library is not glibc, this
    function does nothing.
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


@cache
def has_triton() -> bool:
    """Whether Triton is installed; PyTorch for CUDA on Linux brings it."""
    return importlib.util.find_spec("triton") is not None
