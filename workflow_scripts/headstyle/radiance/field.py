"""A radiance field of one head: density and color of each point in a box, and its proposals.

As in Instruct-NeRF2NeRF's nerfacto (Tancik et al. 2023): a hash grid and small networks, and
proposal networks that say where on a ray the field is worth looking at. A head lies in a box, so
the space is not contracted.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.radiance.hash_grid import HashGrid
from headstyle.radiance.images import field_views
from headstyle.radiance.settings import NerfSettings
from headstyle.rendering.renderer import View

# What the density network hands on to the colors, its own output included.
GEOMETRY = 16
# The field starts almost empty: a density of exp(-1) per side of the box, as in nerfacto.
START_LOGARITHM = -1.0
# Above this logarithm of the density, everything is opaque.
LARGEST_LOGARITHM = 11.0
# Cells per side of the grid that says what views see, and the part of them that must see a cell.
CELLS, LEAST_PART = 32, 0.25
# Parts of the sparse points that may be outliers, at each end of each axis [%].
OUTLIERS_PERCENT = 1.0


@dataclass(frozen=True)
class Box:
    """The cube in which a field lies."""

    corner: tuple[float, float, float]
    """Its corner with the smallest coordinates, in world units."""
    side: float
    """Its side, in world units."""

    @classmethod
    def around(cls, points: NDArray[np.floating], margin: float) -> "Box":
        """The cube around sparse points `(N, 3)` and `margin` of their extent on each side.

        Raises:
            InputError: there are no points, or they are not finite.
        """
        if not len(points) or not np.isfinite(points).all():
            raise InputError(
                "a field needs finite sparse points around which its box lies; estimate the poses"
                " again"
            )
        low, high = np.percentile(points, [OUTLIERS_PERCENT, 100 - OUTLIERS_PERCENT], axis=0)
        side = float((high - low).max()) * (1 + 2 * margin)
        corner = ((low + high) / 2 - side / 2).tolist()
        return cls((corner[0], corner[1], corner[2]), max(side, 1e-9))


class RadianceField(nn.Module):
    """Density and color in a box, trainable."""

    def __init__(self, box: Box, settings: NerfSettings, views: Sequence[str], seed: int) -> None:
        """Start almost empty; `views` are the training views, which may have an appearance."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.box = box
        self.settings = settings
        self.views = tuple(views)
        self.corner: Tensor
        self.register_buffer("corner", torch.tensor(box.corner))
        self.visible: Tensor
        """Cells of the box that may hold something; see `keep_where_seen`. Shape `(32^3,)`."""
        self.register_buffer("visible", torch.ones(CELLS**3, dtype=torch.bool))
        width = settings.hidden
        self.grid = HashGrid(settings.grid, generator)
        self.density = Mlp((self.grid.width, width, GEOMETRY), generator)
        outside = direction_count(settings.sh_degree) + settings.appearance
        # One layer takes the point's part and the ray's part. A ray's samples share the latter.
        self.color = Mlp((GEOMETRY, width, width, 3), generator)
        self.direction = Mlp((outside, width), generator) if outside else None
        self.appearance = nn.Parameter(torch.zeros(len(views), settings.appearance))
        """What colors depend on in each training view. Shape `(V, appearance)`."""
        numbers = range(len(settings.proposal_samples))
        self.proposals = nn.ModuleList(Proposal(settings, n, generator) for n in numbers)

    @property
    def device(self) -> torch.device:
        """Where the field's numbers lie."""
        return self.corner.device

    def forward(self, points: Tensor, rays: Tensor | None) -> tuple[Tensor, Tensor]:
        """Density and color of samples.

        Args:
            points: Samples of R rays in the unit cube. Shape `(R, S, 3)`.
            rays: What `ray_features` returns, or None if colors depend on the point alone.

        Returns:
            Density per side of the box `(R, S)`, and color in [0, 1] `(R, S, 3)`.
        """
        count, samples, _ = points.shape
        geometry = self.density(self.grid(points.reshape(-1, 3))).reshape(count, samples, -1)
        hidden = self.color.layer(0, geometry)
        if rays is not None:
            hidden = hidden + rays[:, None]
        color = torch.sigmoid(self.color.after_first(hidden).float())
        return density_of(geometry[..., 0]) * self.visible_at(points), color

    def visible_at(self, points: Tensor) -> Tensor:
        """1 for points `(..., 3)` of the cube that may hold something, 0 for others `(...)`."""
        x, y, z = (points * CELLS).long().clamp(0, CELLS - 1).unbind(dim=-1)
        cells = (z * CELLS + y) * CELLS + x
        return self.visible[cells.reshape(-1)].reshape(cells.shape).float()

    def keep_where_seen(self, cameras: Cameras) -> None:
        """Keep empty what hardly any of the training views sees.

        Nothing else would keep one view from being explained by a cloud before its own camera.
        """
        steps = (np.arange(CELLS) + 0.5) / CELLS
        z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
        cells = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
        world = np.array(self.box.corner) + self.box.side * cells
        counts = np.zeros(len(world), dtype=int)
        for pose, lens, size in zip(
            cameras.world_to_camera, cameras.intrinsics, cameras.sizes, strict=True
        ):
            seen = (world @ pose[:3, :3].T + pose[:3, 3]) @ lens.T
            pixels = seen[:, :2] / np.maximum(seen[:, 2:], 1e-9)
            counts += (seen[:, 2] > 0) & (pixels >= 0).all(axis=1) & (pixels < size).all(axis=1)
        least = min(len(cameras), max(2, math.ceil(LEAST_PART * len(cameras))))
        self.visible.copy_(torch.from_numpy(counts >= least))

    def ray_features(self, directions: Tensor, views: Tensor | None) -> Tensor | None:
        """The part of the colors' first layer that a ray's samples share. Shape `(R, hidden)`.

        Args:
            directions: Unit directions. Shape `(R, 3)`.
            views: Indices of the training views `(R,)`; None takes the mean appearance.
        """
        if self.direction is None:
            return None
        parts = [direction_features(directions, self.settings.sh_degree)]
        if self.settings.appearance:
            mean = self.appearance.mean(dim=0).expand(len(directions), -1)
            parts.append(mean if views is None else self.appearance.index_select(0, views))
        found: Tensor = self.direction(torch.cat(parts, dim=1))
        return found

    def rendered_views(self, cameras: Cameras) -> Iterator[View]:
        """Render one view after the other; `render_views` of `headstyle.rendering` calls this."""
        return field_views(self, cameras)

    def with_settings(self, settings: NerfSettings) -> "RadianceField":
        """A copy whose training may have other settings; those of its networks stay."""
        own = {key: getattr(self.settings, key) for key in SHAPE}
        copy = RadianceField(self.box, replace(settings, **own), self.views, seed=0)
        copy.load_state_dict(self.state_dict())
        return copy


SHAPE = (
    *("grid", "proposal_grid", "hidden", "proposal_hidden", "sh_degree", "appearance"),
    *("samples", "proposal_samples"),
)
"""The settings on which a field's tensors and renders depend."""


class Proposal(nn.Module):
    """A density that only says where on a ray the next samples lie."""

    def __init__(self, settings: NerfSettings, number: int, generator: torch.Generator) -> None:
        super().__init__()
        first = settings.proposal_grid
        self.grid = HashGrid(replace(first, finest=first.finest * 2**number), generator)
        self.density = Mlp((self.grid.width, settings.proposal_hidden, 1), generator)

    def forward(self, points: Tensor) -> Tensor:
        """Density per side of the box of samples `(R, S, 3)`. Shape `(R, S)`."""
        found = self.density(self.grid(points.reshape(-1, 3)))
        return density_of(found[:, 0]).reshape(points.shape[:2])


class Mlp(nn.Module):
    """Fully connected layers with ReLU between them."""

    def __init__(self, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.weights = nn.ParameterList(
            (2 * torch.rand((after, before), generator=generator) - 1) * math.sqrt(6 / before)
            for before, after in pairs
        )
        self.biases = nn.ParameterList(torch.zeros(after) for _, after in pairs)

    def layer(self, number: int, values: Tensor) -> Tensor:
        """One layer, without ReLU."""
        return functional.linear(values, self.weights[number], self.biases[number])

    def after_first(self, values: Tensor) -> Tensor:
        """All layers after the first, for what that one returned."""
        for number in range(1, len(self.weights)):
            values = self.layer(number, functional.relu(values))
        return values

    def forward(self, values: Tensor) -> Tensor:
        """All layers."""
        return self.after_first(self.layer(0, values))


def density_of(logarithms: Tensor) -> Tensor:
    """Density per side of the box."""
    return torch.exp((logarithms.float() + START_LOGARITHM).clamp_max(LARGEST_LOGARITHM))


def direction_count(degree: int) -> int:
    """Number of `direction_features`."""
    return (degree + 1) ** 2 - 1


def direction_features(directions: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics of unit directions `(R, 3)` above the constant, up to scale."""
    x, y, z = directions.unbind(dim=1)
    found = [x, y, z] if degree > 0 else []
    if degree > 1:
        found += [x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1]
    if degree > 2:
        found += [y * (3 * x * x - y * y), x * y * z, y * (5 * z * z - 1), z * (5 * z * z - 3)]
        found += [x * (5 * z * z - 1), z * (x * x - y * y), x * (x * x - 3 * y * y)]
    return torch.stack(found, dim=1) if found else directions.new_zeros((len(directions), 0))
