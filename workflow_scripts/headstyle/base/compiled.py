"""How the CPU kernels are compiled: by numba, once, and kept for later runs.

numba compiles a kept function again when the file that defines it changes, but not when a file
changes whose functions it calls. So the folder that keeps them is named after all their sources.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

SOURCES = (
    "rendering/cpu/lanes.py",
    "rendering/cpu/blend_rows.py",
    "rendering/cpu/tiles.py",
    "rendering/cpu/rasterize.py",
    "rendering/spherical_harmonics.py",
    "rendering/cpu/project.py",
    "losses/photometric_cpu.py",
    "capture/primitives/kernels.py",
)
"""All modules that define kernels, below the library's folder."""
INGREDIENTS = (*SOURCES, "base/compiled.py", "losses/ssim_window.py")
"""What the machine code depends on: also how it is compiled, and the constants of the loss."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function of arrays and numbers."""
    return _compiled(function, parallel=False)


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Compile a function whose `prange` loops run on all threads."""
    return _compiled(function, parallel=True)


@cache
def cache_folder() -> Path:
    """Where the machine code of exactly these sources is kept."""
    library = Path(__file__).parents[1]
    sources = b"".join((library / name).read_bytes() for name in INGREDIENTS)
    folder = library / "__pycache__"
    if numba.config.CACHE_DIR:
        folder = Path(numba.config.CACHE_DIR)
    elif not os.access(library, os.W_OK):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstyle"
    return folder / f"kernels-{hashlib.sha256(sources).hexdigest()[:16]}"


def _compiled(function: Callable[..., Any], parallel: bool) -> Any:
    folder = cache_folder()
    before = numba.config.CACHE_DIR
    # Only while decorating: other libraries keep their own.
    numba.config.CACHE_DIR = str(folder)
    try:
        return numba.njit(cache=True, parallel=parallel, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before
