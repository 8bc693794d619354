"""How the CPU kernels are compiled: by numba, once, and kept for later runs.

numba compiles a cached function again when the function's own file changes. It does not do so when
the function calls another one and that one's file changes. So the name of the cache folder depends
on all source files.
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
    "radiance/hash_grid_cpu.py",
)
"""All modules that define kernels, below the library's folder."""
INGREDIENTS = (*SOURCES, "base/compiled.py", "losses/ssim_window.py")
"""All files on which the machine code depends: the kernels, their compilation, the constants."""

# numba makes its settings when it is imported, so that no type checker knows them.
_numba_settings: Any = numba.config


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function of arrays and numbers."""
    return _compiled(function, parallel=False)


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Compile a function whose `prange` loops run on all threads."""
    return _compiled(function, parallel=True)


@cache
def cache_folder() -> Path:
    """The folder with the machine code of exactly these sources."""
    library = Path(__file__).parents[1]
    sources = b"".join((library / name).read_bytes() for name in INGREDIENTS)
    folder = library / "__pycache__"
    if _numba_settings.CACHE_DIR:
        folder = Path(_numba_settings.CACHE_DIR)
    elif not os.access(library, os.W_OK):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstyle"
    return folder / f"kernels-{hashlib.sha256(sources).hexdigest()[:16]}"


def _compiled(function: Callable[..., Any], parallel: bool) -> Any:
    folder = cache_folder()
    before = _numba_settings.CACHE_DIR
    # Changed for this call only: other libraries have a cache folder of their own.
    _numba_settings.CACHE_DIR = str(folder)
    try:
        return numba.njit(cache=True, parallel=parallel, error_model="numpy")(function)
    finally:
        _numba_settings.CACHE_DIR = before
