"""Compressed PLY, as SuperSplat and gsplat write it: 16 bytes a splat, in chunks of 256.

Positions, logarithms of scales and colors are fractions of the way from their chunk's least to its
largest value; rotations are the three smaller components of a unit quaternion.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.tables.ply import Table
from headstyle.rendering.quantized import LEAST_OPACITY, SH0, logit

CHUNK = 256
"""Splats that share bounds."""

# Harmonics from -4 to 4 in 256 steps.
_HARMONICS_RANGE = 8.0


def is_packed(tables: Mapping[str, Table]) -> bool:
    """Whether a file's splats are compressed."""
    if not {"chunk", "vertex"} <= set(tables):
        return False
    return "packed_position" in (tables["vertex"].dtype.names or ())


def unpack(tables: Mapping[str, Table]) -> dict[str, NDArray[np.float32]]:
    """The arrays of a compressed scene, named and shaped as those of `Splats`.

    Raises:
        ValueError: a column is missing, or there are fewer chunks than the splats need.
    """
    vertices, chunks = tables["vertex"], tables["chunk"]
    count = len(vertices)
    if len(chunks) * CHUNK < count:
        raise ValueError(f"{len(chunks)} chunks are too few for {count} splats")
    chunk = np.arange(count) // CHUNK

    def placed(fractions: NDArray[Any], names: tuple[str, ...]) -> NDArray[Any]:
        low, high = (
            np.stack([chunks[f"{end}_{name}"][chunk].astype(np.float64) for name in names], axis=1)
            for end in ("min", "max")
        )
        return low + fractions * (high - low)

    colors = _bits(vertices["packed_color"], (8, 8, 8, 8))
    shown = colors[:, :3]
    # The first version of the format had no bounds of colors.
    if "min_r" in (chunks.dtype.names or ()):
        shown = placed(shown, ("r", "g", "b"))
    opacity = np.clip(colors[:, 3], LEAST_OPACITY, 1 - LEAST_OPACITY)
    position = _bits(vertices["packed_position"], (11, 10, 11))
    scale = _bits(vertices["packed_scale"], (11, 10, 11))
    arrays = {
        "means": placed(position, ("x", "y", "z")),
        "scales": placed(scale, ("scale_x", "scale_y", "scale_z")),
        "quats": _quaternions(vertices["packed_rotation"]),
        "opacities": logit(opacity),
        "sh0": ((shown - 0.5) / SH0)[:, None, :],
        "shN": _harmonics(tables, count),
    }
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def _bits(values: NDArray[Any], widths: tuple[int, ...]) -> NDArray[np.float64]:
    """Unsigned fractions in [0, 1] from the highest bits down. Shape `(N, len(widths))`."""
    left, columns = sum(widths), []
    for width in widths:
        left -= width
        largest = (1 << width) - 1
        columns.append(((values.astype(np.int64) >> left) & largest) / largest)
    return np.stack(columns, axis=1)


def _quaternions(values: NDArray[Any]) -> NDArray[np.float64]:
    """Two bits say which component, of w, x, y and z, is the largest; it is not stored."""
    fractions = _bits(values & 0x3FFFFFFF, (10, 10, 10))
    smaller = (fractions - 0.5) * np.sqrt(2)
    largest = np.sqrt(np.maximum(1 - (smaller**2).sum(axis=1), 0))
    which = values.astype(np.int64) >> 30
    quats = np.empty((len(values), 4))
    for place in range(4):
        rows = which == place
        quats[rows] = np.insert(smaller[rows], place, largest[rows], axis=1)
    return quats


def _harmonics(tables: Mapping[str, Table], count: int) -> NDArray[np.float64]:
    """Shape `(N, bases, 3)`, without any base where the file has none."""
    table = tables.get("sh")
    names = None if table is None else table.dtype.names
    if table is None or not names:
        return np.zeros((count, 0, 3))
    steps = np.stack([table[f"f_rest_{i}"] for i in range(len(names))], axis=1)
    values = ((steps + 0.5) / 256 - 0.5) * _HARMONICS_RANGE
    # All of red, then green, then blue.
    return values.reshape(count, 3, -1).transpose(0, 2, 1)
