"""The hash grid in plain PyTorch: the reference of both kernels, and for GPUs without Triton."""

from collections.abc import Iterator

import torch
from torch import Tensor

PRIMES = (1, 2_654_435_761, 805_459_861)


def encode(points: Tensor, table: Tensor, cells: Tensor, features: Tensor) -> None:
    """Write the features of points `(N, 3)` into `features` `(N, 2 L)`."""
    for level, grid in enumerate(table):
        out = features[:, 2 * level : 2 * level + 2]
        out.zero_()
        for entries, shares in _corners(points, int(cells[level]), len(grid)):
            out.add_(shares[:, None] * grid[entries])


def add_gradient(points: Tensor, gradient: Tensor, cells: Tensor, found: Tensor) -> None:
    """Add the gradient of features `(N, 2 L)` to that of the table, `found` `(L, T, 2)`."""
    for level, grid in enumerate(found):
        given = gradient[:, 2 * level : 2 * level + 2]
        for entries, shares in _corners(points, int(cells[level]), len(grid)):
            grid.index_add_(0, entries, shares[:, None] * given)


def _corners(points: Tensor, cells: int, entries: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The 8 corners of the points' cells: entries of the table, and shares. Shape `(N,)` each."""
    scaled = points * cells
    lower = scaled.long().clamp(0, cells - 1)
    inner = (scaled - lower).clamp(0, 1)
    side = cells + 1
    for corner in range(8):
        offset = torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2], device=points.device)
        x, y, z = (lower + offset).unbind(1)
        if side**3 <= entries:
            places = x + side * (y + side * z)
        else:
            places = (x ^ (y * PRIMES[1]) ^ (z * PRIMES[2])) & (entries - 1)
        yield places, torch.where(offset == 1, inner, 1 - inner).prod(dim=1)
