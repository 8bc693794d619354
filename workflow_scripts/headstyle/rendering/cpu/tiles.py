"""Which splat covers which 16x16 tile of which view, nearest first; for the CPU rasterizer.

A splat covers a tile if its alpha reaches 1/255 at a pixel center of the tile. This is computed
from the ellipse itself, not from its bounding box. Splats are ordered by depth, then by index.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from headstyle.base.compiled import kernel, parallel_kernel

TILE = 16
# One row of `Tiling.records`: x, y, conic a, b, c, opacity, red, green, blue, depth, cut, -.
RECORD = 12
# Margin around an ellipse [px]. It is larger than any rounding error.
MARGIN_PX = 1e-3


@dataclass(frozen=True)
class Tiling:
    """Visible splats in the order of their depth, and the sorted contents of each tile."""

    splats: NDArray[np.int64]
    """Index c * N + n of each visible splat, view by view, nearest first. Shape `(P,)`."""
    records: NDArray[np.float32]
    """The numbers of each visible splat that the kernels read. Shape `(P, 12)`."""
    slots: NDArray[np.int64]
    """Splat p owns the intersections `slots[p] : slots[p + 1]`. Shape `(P + 1,)`."""
    tiles: NDArray[np.int64]
    """Tile t holds the entries `tiles[t] : tiles[t + 1]` of `entries`. Shape `(T + 1,)`."""
    entries: NDArray[np.int32]
    """Per tile, nearest first: visible splat, its intersection, first row, last row. `(I, 4)`."""


def tile_grid(width: int, height: int) -> tuple[int, int]:
    """Number of tiles across and down."""
    return (width + TILE - 1) // TILE, (height + TILE - 1) // TILE


def tile_splats(
    means2d: NDArray[np.float32],
    conics: NDArray[np.float32],
    colors: NDArray[np.float32],
    opacities: NDArray[np.float32],
    depths: NDArray[np.float32],
    radii: NDArray[np.int32],
    width: int,
    height: int,
) -> Tiling:
    """Sort the splats of all views into tiles; arguments are the outputs of `Projection`."""
    views, count = depths.shape
    splats = np.concatenate(
        [c * count + _nearest_first(depths[c], radii[c, :, 0] > 0) for c in range(views)]
    )
    records = np.empty((len(splats), RECORD), dtype=np.float32)
    slots = np.zeros(len(splats) + 1, dtype=np.int64)
    _gather(splats, means2d, conics, colors, opacities, depths, width, height, records, slots)
    slots = np.cumsum(slots)
    across, down = tile_grid(width, height)
    found = np.empty((slots[-1], 3), dtype=np.int32)
    _intersect(splats // max(count, 1), records, slots, width, height, found)
    tiles = np.zeros(views * across * down + 1, dtype=np.int64)
    entries = np.empty((slots[-1], 4), dtype=np.int32)
    _sort_by_tile(slots, found, tiles, entries)
    return Tiling(splats, records, slots, tiles, entries)


def _nearest_first(depths: NDArray[np.float32], visible: NDArray[np.bool_]) -> NDArray[np.int64]:
    indices = np.flatnonzero(visible)
    return indices[np.argsort(depths[indices], kind="stable")]


@kernel
def _reach(a, b, c, cut, low, high):
    """Extent in x of the ellipse a x^2 + 2 b x y + c y^2 <= cut where low <= y <= high.

    Returns an empty interval (1, 0) where the ellipse does not reach there.
    """
    determinant = a * c - b * b
    y_max = math.sqrt(cut * a / determinant)
    low, high = max(low, -y_max), min(high, y_max)
    if low > high:
        return 1.0, 0.0
    # The rightmost point of the whole ellipse lies at y_right, the leftmost one opposite.
    y_right = -b / c * math.sqrt(cut * c / determinant)
    y_left = min(max(-y_right, low), high)
    y_right = min(max(y_right, low), high)
    right = math.sqrt(max(cut * a - determinant * y_right * y_right, 0.0))
    left = math.sqrt(max(cut * a - determinant * y_left * y_left, 0.0))
    return (-b * y_left - left) / a, (-b * y_right + right) / a


@kernel
def _pixels(center, low, high, limit):
    """First and last pixel whose center lies in [center + low, center + high], within limits."""
    first = math.ceil(max(center + low - MARGIN_PX - 0.5, 0.0))
    last = math.floor(min(center + high + MARGIN_PX - 0.5, limit - 1.0))
    return int(first), int(last)


@kernel
def _tile_rows(record, height):
    """First and last row of tiles that a splat may cover."""
    a, b, c = float(record[2]), float(record[3]), float(record[4])
    reach = math.sqrt(float(record[10]) * a / (a * c - b * b))
    first, last = _pixels(float(record[1]), -reach, reach, height)
    return first // TILE, last // TILE if last >= first else first // TILE - 1


@kernel
def _tile_columns(record, tile_row, width, height):
    """First and last tile of one row of tiles that a splat covers; last < first if none."""
    a, b, c = float(record[2]), float(record[3]), float(record[4])
    y = float(record[1])
    top, bottom = tile_row * TILE + 0.5 - y, min(tile_row * TILE + TILE, height) - 0.5 - y
    low, high = _reach(a, b, c, float(record[10]), top, bottom)
    if low > high:
        return 0, -1
    first, last = _pixels(float(record[0]), low, high, width)
    return first // TILE, last // TILE if last >= first else first // TILE - 1


@parallel_kernel
def _gather(splats, means2d, conics, colors, opacities, depths, width, height, records, counts):
    """Fill the records, and in `counts[p + 1]` the number of tiles that splat p covers."""
    total = depths.shape[1]
    for p in prange(len(splats)):
        c, n = splats[p] // total, splats[p] % total
        record = records[p]
        record[0], record[1] = means2d[c, n, 0], means2d[c, n, 1]
        for k in range(3):
            record[2 + k], record[6 + k] = conics[c, n, k], colors[c, n, k]
        record[5], record[9] = opacities[n], depths[c, n]
        # A little beyond alpha = 1/255. The kernels apply the exact limit.
        record[10] = 2 * math.log(255.0 * opacities[n]) + 1e-4
        record[11] = 0
        first, last = _tile_rows(record, height)
        covered = 0
        for row in range(first, last + 1):
            left, right = _tile_columns(record, row, width, height)
            covered += max(right - left + 1, 0)
        counts[p + 1] = covered


@parallel_kernel
def _intersect(views, records, slots, width, height, found):
    """Fill tile, first and last pixel row within the tile, for every splat and tile it covers."""
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for p in prange(len(views)):
        record, slot = records[p], slots[p]
        x, y = float(record[0]), float(record[1])
        a, b, c = float(record[2]), float(record[3]), float(record[4])
        first, last = _tile_rows(record, height)
        for row in range(first, last + 1):
            left, right = _tile_columns(record, row, width, height)
            for column in range(left, right + 1):
                edge = min(column * TILE + TILE, width) - 0.5 - x
                low, high = _reach(c, b, a, float(record[10]), column * TILE + 0.5 - x, edge)
                top, bottom = _pixels(y, low, high, height)
                found[slot, 0] = (views[p] * down + row) * across + column
                found[slot, 1] = max(top - row * TILE, 0)
                found[slot, 2] = min(bottom - row * TILE, TILE - 1) if low <= high else -1
                slot += 1


@kernel
def _sort_by_tile(slots, found, tiles, entries):
    """Counting sort of the intersections by tile; within a tile the order of depth is kept."""
    for slot in range(len(found)):
        tiles[found[slot, 0] + 1] += 1
    for tile in range(len(tiles) - 1):
        tiles[tile + 1] += tiles[tile]
    place = tiles[:-1].copy()
    for p in range(len(slots) - 1):
        for slot in range(slots[p], slots[p + 1]):
            entry = entries[place[found[slot, 0]]]
            entry[0], entry[1], entry[2], entry[3] = p, slot, found[slot, 1], found[slot, 2]
            place[found[slot, 0]] += 1
