"""A multi-resolution hash grid (Müller et al. 2022): features of points, and their gradients.

Every level is a grid over the unit cube. Grid points with a place of their own in the table come
first to last; a level with more grid points than entries finds places by a hash. The features of
a point are interpolated between the 8 corners of its cell.
"""

from typing import Any

import torch
from torch import Tensor, nn

from headstyle.base.devices import has_triton
from headstyle.radiance.settings import GridSettings

FEATURES = 2
"""Features per entry."""
# Features start in +- this, as published.
START = 1e-4


class HashGrid(nn.Module):
    """Features of points in the unit cube; trainable."""

    def __init__(self, settings: GridSettings, generator: torch.Generator) -> None:
        super().__init__()
        entries = 2**settings.log2_entries
        shape = (settings.levels, entries, FEATURES)
        self.table = nn.Parameter((2 * torch.rand(shape, generator=generator) - 1) * START)
        """Features of all entries. Shape `(L, T, 2)`."""
        self.cells: Tensor
        """Cells per side of each level, int32. Shape `(L,)`."""
        self.register_buffer("cells", torch.tensor(level_cells(settings), dtype=torch.int32))

    @property
    def width(self) -> int:
        """Number of features of a point."""
        return self.table.shape[0] * FEATURES

    def forward(self, points: Tensor) -> Tensor:
        """Features of points `(N, 3)` in [0, 1]. Shape `(N, 2 L)`; no gradient to the points."""
        features: Tensor = _Encoding.apply(points.contiguous(), self.table, self.cells)
        return features


def level_cells(settings: GridSettings) -> list[int]:
    """Cells per side of each level: a geometric series from the coarsest to the finest."""
    steps = max(settings.levels - 1, 1)
    growth = (settings.finest / settings.coarsest) ** (1 / steps)
    return [round(settings.coarsest * growth**level) for level in range(settings.levels)]


class _Encoding(torch.autograd.Function):
    """The interpolation on the tensors' device."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, cells: Tensor) -> Tensor:
        ctx.save_for_backward(points, cells)
        ctx.shape = table.shape
        features = points.new_empty((len(points), len(table) * FEATURES))
        _kernels(points).encode(points, table.detach(), cells, features)
        return features

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        points, cells = ctx.saved_tensors
        found = torch.zeros(ctx.shape, device=points.device)
        _kernels(points).add_gradient(points, gradient.float().contiguous(), cells, found)
        return None, found, None


def _kernels(points: Tensor) -> Any:
    # Imported here: numba and Triton take long to import, and a job needs only one of them.
    if not points.is_cuda:
        from headstyle.radiance import hash_grid_cpu

        return hash_grid_cpu
    if has_triton():
        from headstyle.radiance import hash_grid_triton

        return hash_grid_triton
    from headstyle.radiance import hash_grid_torch

    return hash_grid_torch
