"""What this machine has, and how a process uses it: threads, memory, GPUs."""

import ctypes
import importlib.util
import os
import sys
from functools import cache
from itertools import takewhile
from pathlib import Path

PROMISED_GPUS = "HEADSTYLE_PROMISED_GPUS"
"""Environment variable, set by the workflow: see `promised_gpus`."""
SIMULATED_GPUS = "HEADSTYLE_SIMULATED_GPUS"
"""Environment variable, set by tests: the number of GPUs to pretend."""


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


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, by their names for CUDA_VISIBLE_DEVICES.

    Whoever set that variable, such as a scheduler, has chosen. Otherwise these are all NVIDIA GPUs
    of the machine. No library that could use them is loaded.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        # As CUDA reads it: what follows the first name of no device does not count.
        return tuple(takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))
    if simulates_gpus():
        return tuple(map(str, range(int(os.environ[SIMULATED_GPUS]))))
    # Under Windows' subsystem for Linux all GPUs are behind one file.
    files = [*Path("/dev").glob("nvidia[0-9]*"), *Path("/dev").glob("dxg")]
    return tuple(map(str, range(len(files))))


def simulates_gpus() -> bool:
    """Whether the GPUs are only pretended, so that tests can run without one."""
    return SIMULATED_GPUS in os.environ


def promised_gpus() -> int:
    """How many GPUs the profile or the scheduler promised to this run; 0 where nobody did."""
    return int(os.environ.get(PROMISED_GPUS, "0"))


def has_gpu() -> bool:
    """Whether there is a GPU to use, without loading a library that could use it."""
    return bool(visible_gpus()) and not simulates_gpus()


@cache
def has_triton() -> bool:
    """Whether Triton is installed; PyTorch for CUDA on Linux brings it."""
    return importlib.util.find_spec("triton") is not None
