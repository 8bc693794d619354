"""The hash grid on the CPU, in kernels that are compiled once.

The gradient's threads divide the levels among them, so each entry's sum has one order, and results
do not depend on the number of threads.
"""

import numpy as np
from numba import prange
from torch import Tensor

from headstyle.base.compiled import kernel, parallel_kernel

SECOND, THIRD = np.int64(2_654_435_761), np.int64(805_459_861)
ONE = np.float32(1)
# Parts of the points that threads encode apart.
PARTS = 8


@kernel
def _cell(value, cells):
    """The cell of a coordinate in [0, 1], and the place in it."""
    scaled = value * np.float32(cells)
    lower = min(max(np.int64(scaled), np.int64(0)), np.int64(cells) - 1)
    return lower, min(max(scaled - np.float32(lower), np.float32(0)), ONE)


@kernel
def _entry(x, y, z, cells, entries):
    """The entry of a grid point."""
    side = np.int64(cells) + 1
    if side * side * side <= entries:
        return x + side * (y + side * z)
    return (x ^ (y * SECOND) ^ (z * THIRD)) & (entries - 1)


@parallel_kernel
def _encode(points, table, cells, features):
    levels, entries = table.shape[0], np.int64(table.shape[1])
    count = points.shape[0]
    for task in prange(levels * PARTS):
        part, level = task // levels, task % levels
        grid = table[level]
        for n in range(count * part // PARTS, count * (part + 1) // PARTS):
            x, u = _cell(points[n, 0], cells[level])
            y, v = _cell(points[n, 1], cells[level])
            z, w = _cell(points[n, 2], cells[level])
            first, second = np.float32(0), np.float32(0)
            for k in range(2):
                for j in range(2):
                    share = (w if k else ONE - w) * (v if j else ONE - v)
                    a = _entry(x, y + j, z + k, cells[level], entries)
                    b = _entry(x + 1, y + j, z + k, cells[level], entries)
                    first += share * ((ONE - u) * grid[a, 0] + u * grid[b, 0])
                    second += share * ((ONE - u) * grid[a, 1] + u * grid[b, 1])
            features[n, 2 * level] = first
            features[n, 2 * level + 1] = second


@parallel_kernel
def _add_gradient(points, gradient, cells, found):
    levels, entries = found.shape[0], np.int64(found.shape[1])
    half = (levels + 1) // 2
    for task in prange(levels):
        # Fine levels take longer: of two threads, each gets every second level.
        level = 2 * task if task < half else 2 * (task - half) + 1
        grid = found[level]
        for n in range(points.shape[0]):
            first, second = gradient[n, 2 * level], gradient[n, 2 * level + 1]
            if first == 0 and second == 0:
                continue
            x, u = _cell(points[n, 0], cells[level])
            y, v = _cell(points[n, 1], cells[level])
            z, w = _cell(points[n, 2], cells[level])
            for k in range(2):
                for j in range(2):
                    share = (w if k else ONE - w) * (v if j else ONE - v)
                    a = _entry(x, y + j, z + k, cells[level], entries)
                    b = _entry(x + 1, y + j, z + k, cells[level], entries)
                    grid[a, 0] += share * (ONE - u) * first
                    grid[a, 1] += share * (ONE - u) * second
                    grid[b, 0] += share * u * first
                    grid[b, 1] += share * u * second


def encode(points: Tensor, table: Tensor, cells: Tensor, features: Tensor) -> None:
    """Write the features of points `(N, 3)` into `features` `(N, 2 L)`."""
    _encode(points.numpy(), table.numpy(), cells.numpy(), features.numpy())


def add_gradient(points: Tensor, gradient: Tensor, cells: Tensor, found: Tensor) -> None:
    """Add the gradient of features `(N, 2 L)` to that of the table, `found` `(L, T, 2)`."""
    _add_gradient(points.numpy(), gradient.numpy(), cells.numpy(), found.numpy())
