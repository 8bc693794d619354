"""The hash grid on a GPU, in Triton. The gradient adds atomically: its sums have no fixed order."""

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256


@triton.jit
def _corner(x, y, z, cells, ENTRIES: tl.constexpr):
    side = cells + 1
    place = x + side * (y + side * z)
    second = y.to(tl.uint32) * 2654435761
    third = z.to(tl.uint32) * 805459861
    hashed = ((x.to(tl.uint32) ^ second ^ third) & (ENTRIES - 1)).to(tl.int32)
    whole = side.to(tl.int64) * side * side
    return tl.where(whole <= ENTRIES, place, hashed)


@triton.jit
def _cell(points, n, axis, inside, cells):
    scaled = tl.load(points + 3 * n + axis, mask=inside, other=0.0) * cells.to(tl.float32)
    lower = tl.minimum(tl.maximum(scaled.to(tl.int32), 0), cells - 1)
    return lower, tl.minimum(tl.maximum(scaled - lower.to(tl.float32), 0.0), 1.0)


@triton.jit
def _encode(points, table, all_cells, features, count, LEVELS: tl.constexpr,
            ENTRIES: tl.constexpr, SIZE: tl.constexpr):  # fmt: skip
    n = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    level = tl.program_id(1)
    inside = n < count
    cells = tl.load(all_cells + level)
    x, u = _cell(points, n, 0, inside, cells)
    y, v = _cell(points, n, 1, inside, cells)
    z, w = _cell(points, n, 2, inside, cells)
    grid = table + level.to(tl.int64) * (ENTRIES * 2)
    first = tl.zeros([SIZE], tl.float32)
    second = tl.zeros([SIZE], tl.float32)
    for corner in tl.static_range(8):
        i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
        share = (u if i else 1 - u) * (v if j else 1 - v) * (w if k else 1 - w)
        entry = _corner(x + i, y + j, z + k, cells, ENTRIES)
        first += share * tl.load(grid + 2 * entry, mask=inside, other=0.0)
        second += share * tl.load(grid + 2 * entry + 1, mask=inside, other=0.0)
    out = features + n.to(tl.int64) * (2 * LEVELS) + 2 * level
    tl.store(out, first, mask=inside)
    tl.store(out + 1, second, mask=inside)


@triton.jit
def _add_gradient(points, gradient, all_cells, found, count, LEVELS: tl.constexpr,
                  ENTRIES: tl.constexpr, SIZE: tl.constexpr):  # fmt: skip
    n = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    level = tl.program_id(1)
    inside = n < count
    cells = tl.load(all_cells + level)
    x, u = _cell(points, n, 0, inside, cells)
    y, v = _cell(points, n, 1, inside, cells)
    z, w = _cell(points, n, 2, inside, cells)
    grid = found + level.to(tl.int64) * (ENTRIES * 2)
    given = gradient + n.to(tl.int64) * (2 * LEVELS) + 2 * level
    first = tl.load(given, mask=inside, other=0.0)
    second = tl.load(given + 1, mask=inside, other=0.0)
    for corner in tl.static_range(8):
        i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
        share = (u if i else 1 - u) * (v if j else 1 - v) * (w if k else 1 - w)
        entry = _corner(x + i, y + j, z + k, cells, ENTRIES)
        tl.atomic_add(grid + 2 * entry, share * first, mask=inside, sem="relaxed")
        tl.atomic_add(grid + 2 * entry + 1, share * second, mask=inside, sem="relaxed")


def encode(points: Tensor, table: Tensor, cells: Tensor, features: Tensor) -> None:
    """Write the features of points `(N, 3)` into `features` `(N, 2 L)`."""
    _launch(_encode, points, table, cells, features, table.shape)


def add_gradient(points: Tensor, gradient: Tensor, cells: Tensor, found: Tensor) -> None:
    """Add the gradient of features `(N, 2 L)` to that of the table, `found` `(L, T, 2)`."""
    _launch(_add_gradient, points, gradient, cells, found, found.shape)


def _launch(
    kernel: Any, points: Tensor, given: Tensor, cells: Tensor, out: Tensor, shape: Any
) -> None:
    levels, entries, _ = shape
    grid = (triton.cdiv(len(points), BLOCK), levels)
    kernel[grid](points, given, cells, out, len(points), levels, entries, BLOCK)
