"""Splats bound to the triangles of a mesh that moves: GaussianAvatars (Qian et al., CVPR 2024).

Every triangle has a frame: its centre, three orthonormal axes, and a scale. A bound splat is stored
in its triangle's frame, so it follows wherever the mesh goes, and grows with its triangle. Unlike
in GaussianAvatars, the harmonics turn with the triangle too. So a rigid motion of mesh and camera
together leaves the image as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from headstyle.base.devices import has_triton
from headstyle.rendering.renderer import Splats
from headstyle.rendering.spherical_harmonics import sh_bases
from headstyle.rendering.splats import to_splats

# A triangle without area has no directions and no size; this keeps its numbers finite.
TINY = 1e-12
INITIAL_OPACITY = 0.1
# Of a new splat, along the normal, relative to its extent in the triangle's plane.
INITIAL_THICKNESS = 0.25


@dataclass(frozen=True)
class TriangleFrames:
    """The frames of all triangles, at one timestep or at several (a leading axis T)."""

    centers: Tensor
    """Means of the corners, in the world. Shape `(..., F, 3)`."""
    rotations: Tensor
    """Axes as columns: the first edge, the normal's cross product with it, the normal; from the
    triangle to the world. Shape `(..., F, 3, 3)`."""
    quats: Tensor
    """The same as unit quaternions wxyz. Shape `(..., F, 4)`."""
    scales: Tensor
    """Mean of the first edge's length and the height above it. Shape `(..., F)`."""

    def at(self, timestep: int | Tensor) -> "TriangleFrames":
        """The frames of one timestep; a tensor `(1,)` names it without waiting for the device."""
        if isinstance(timestep, int):
            return TriangleFrames(*(value[timestep] for value in self._tensors()))
        return TriangleFrames(*(v.index_select(0, timestep)[0] for v in self._tensors()))

    def to(self, device: str | torch.device) -> "TriangleFrames":
        """The same on a device."""
        return TriangleFrames(*(value.to(device) for value in self._tensors()))

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.centers, self.rotations, self.quats, self.scales


def triangle_frames(vertices: Tensor, faces: Tensor) -> TriangleFrames:
    """The frames of a mesh's triangles.

    Args:
        vertices: Positions in the world. Shape `(..., V, 3)`.
        faces: Triangles. Shape `(F, 3)`.
    """
    first, second, third = vertices[..., faces.long(), :].double().unbind(-2)
    edge, side = second - first, third - first
    along = _unit(edge)
    normal = _unit(torch.linalg.cross(edge, side))
    up = torch.linalg.cross(normal, along)
    height = (side * up).sum(-1).abs()
    rotations = torch.stack([along, up, normal], dim=-1)
    scales = (edge.norm(dim=-1) + height) / 2
    return TriangleFrames(
        ((first + second + third) / 3).to(vertices),
        rotations.to(vertices),
        quaternions(rotations).to(vertices),
        scales.clamp_min(TINY).to(vertices),
    )


def to_world(
    local: Mapping[str, Tensor], frames: TriangleFrames, triangles: Tensor, sh_degree: int = 3
) -> dict[str, Tensor]:
    """Bound splats where they are at one timestep, with the gradients of their tensors.

    Args:
        local: Splats in their triangles' frames; names and shapes of `Splats`.
        frames: Frames of one timestep.
        triangles: The triangle of each splat. Shape `(N,)`.
        sh_degree: Harmonics above this degree are not turned, as nobody looks at them.
    """
    scales = frames.scales.index_select(0, triangles)[:, None]
    rotations = frames.rotations.index_select(0, triangles)
    centers = frames.centers.index_select(0, triangles)
    quats = frames.quats.index_select(0, triangles)
    offsets = torch.bmm(rotations, local["means"][..., None])[..., 0]
    return {
        **local,
        "means": torch.addcmul(centers, scales, offsets),
        "scales": local["scales"] + torch.log(scales),
        "quats": _product(quats, local["quats"]),
        "shN": turned_harmonics(local["shN"], frames.rotations, triangles, sh_degree),
    }


def to_world_at(
    local: Mapping[str, Tensor],
    frames: TriangleFrames,
    triangles: Tensor,
    timestep: Tensor,
    sh_degree: int = 3,
) -> dict[str, Tensor]:
    """As `to_world`, at a timestep `(1,)` on the device of frames with a leading axis T."""
    if not (triangles.is_cuda and has_triton()):
        return to_world(local, frames.at(timestep), triangles, sh_degree)
    from headstyle.rendering.cuda.bound import PlacedSplats

    directions, _ = _directions(triangles.device, frames.centers.dtype)
    names = ("means", "quats", "scales", "shN")
    placed = PlacedSplats.apply(
        *(*(local[name] for name in names), triangles, timestep),
        *(frames.centers, frames.rotations, frames.quats, frames.scales),
        *(directions, _in_a_row(triangles.device, frames.centers.dtype), sh_degree),
    )
    return {**local, **dict(zip(names, placed, strict=True))}


def to_local(
    world: Mapping[str, Tensor], frames: TriangleFrames, triangles: Tensor
) -> dict[str, Tensor]:
    """Splats in the world, in the frames of their triangles: what `to_world` undoes."""
    scales = frames.scales[triangles][:, None]
    turned = frames.rotations.transpose(-1, -2)
    offsets = world["means"] - frames.centers[triangles]
    signs = offsets.new_tensor([1.0, -1.0, -1.0, -1.0])
    return {
        **world,
        "means": torch.bmm(turned[triangles], offsets[..., None])[..., 0] / scales,
        "scales": world["scales"] - torch.log(scales),
        "quats": _product(frames.quats[triangles] * signs, world["quats"]),
        "shN": turned_harmonics(world["shN"], turned, triangles),
    }


def turned_harmonics(
    harmonics: Tensor, rotations: Tensor, triangles: Tensor, sh_degree: int = 3
) -> Tensor:
    """Coefficients that say of a turned direction what those given say of the direction.

    Each band is turned by a matrix. It is found from the band's bases at as many fixed directions
    as it has bases.

    Args:
        harmonics: Without the constant one. Shape `(N, K - 1, 3)`.
        rotations: Of each triangle. Shape `(F, 3, 3)`.
        triangles: The triangle of each splat. Shape `(N,)`.
        sh_degree: The highest band to turn.
    """
    available = round((harmonics.shape[1] + 1) ** 0.5) - 1
    highest = min(available, sh_degree)
    if highest < 1:
        return harmonics
    directions, inverses = _directions(harmonics.device, harmonics.dtype)
    # A direction d before the turn is R^T d after it: as rows, d R.
    bases = _bases(directions[: 2 * highest + 1] @ rotations, highest)
    parts = []
    for band in range(1, highest + 1):
        place, count = band * band, 2 * band + 1
        matrices = inverses[band - 1] @ bases[:, :count, place : place + count]
        own = harmonics[:, place - 1 : place - 1 + count]
        parts.append(torch.bmm(matrices.index_select(0, triangles), own))
    if highest < available:
        parts.append(harmonics[:, (highest + 1) ** 2 - 1 :])
    return torch.cat(parts, dim=1)


def splats_on_mesh(
    frames: TriangleFrames, per_triangle: int, sh_degree: int, seed: int
) -> tuple[Splats, Tensor]:
    """New splats, so many on every triangle, gray, and flat along the triangle.

    Args:
        frames: Frames at one timestep.
        per_triangle: Splats on a triangle: the first at its centre, others around it.
        sh_degree: Highest degree of the harmonics to make room for, 0 to 3.
        seed: Seed of the places.

    Returns:
        Trainable splats in their triangles' frames on the CPU, and their triangles `(N,)`.
    """
    triangles = np.repeat(np.arange(frames.scales.shape[-1]), per_triangle)
    count, bases = len(triangles), (sh_degree + 1) ** 2
    means = np.random.default_rng(seed).normal(0, 0.25, size=(count, 3))
    means[:, 2] = 0
    means[::per_triangle] = 0
    extent = 0.5 / np.sqrt(per_triangle)
    scales = np.log(np.tile([extent, extent, INITIAL_THICKNESS * extent], (count, 1)))
    local = to_splats(
        {
            "means": means,
            "scales": scales,
            "quats": np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
            "opacities": np.full(count, np.log(INITIAL_OPACITY / (1 - INITIAL_OPACITY))),
            "sh0": np.zeros((count, 1, 3)),
            "shN": np.zeros((count, bases - 1, 3)),
        }
    )
    return local, torch.from_numpy(triangles)


def with_last_spared(doomed: Tensor, opacities: Tensor, triangles: Tensor) -> Tensor:
    """Which splats may go, so that every triangle keeps its most opaque one if all were to go.

    Args:
        doomed: Splats to remove. Shape `(N,)`, bool.
        opacities: As logits. Shape `(N,)`.
        triangles: Of each splat. Shape `(N,)`.
    """
    # The first splat of its triangle in this order is the one to keep: survivors come first.
    order = torch.argsort(opacities, descending=True, stable=True)
    order = order[torch.argsort(doomed[order].long(), stable=True)]
    order = order[torch.argsort(triangles[order], stable=True)]
    sorted_triangles = triangles[order]
    is_first = torch.ones_like(doomed)
    is_first[1:] = sorted_triangles[1:] != sorted_triangles[:-1]
    spared = doomed.clone()
    spared[order[is_first]] = False
    return spared


def quaternions(rotations: Tensor) -> Tensor:
    """Unit quaternions wxyz of rotation matrices `(..., 3, 3)`. Shape `(..., 4)`."""
    m = rotations
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    xy, xz, yz = (
        m[..., 0, 1] + m[..., 1, 0],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 1, 2] + m[..., 2, 1],
    )
    # Each row is the quaternion times four times one of its components; the largest is divided by.
    rows = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, wx, wy, wz], dim=-1),
            torch.stack([wx, 1 + xx - yy - zz, xy, xz], dim=-1),
            torch.stack([wy, xy, 1 - xx + yy - zz, yz], dim=-1),
            torch.stack([wz, xz, yz, 1 - xx - yy + zz], dim=-1),
        ],
        dim=-2,
    )
    largest = torch.diagonal(rows, dim1=-2, dim2=-1).argmax(dim=-1)
    chosen = rows.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4))[..., 0, :]
    return _unit(chosen)


def _product(first: Tensor, second: Tensor) -> Tensor:
    """Products of quaternions wxyz `(N, 4)`: the second turn comes first."""
    w, v = first[:, :1], first[:, 1:]
    a, u = second[:, :1], second[:, 1:]
    real = w * a - (v * u).sum(dim=1, keepdim=True)
    return torch.cat([real, w * u + a * v + torch.linalg.cross(v, u)], dim=1)


def _unit(vectors: Tensor) -> Tensor:
    lengths: Tensor = vectors.norm(dim=-1, keepdim=True)
    return vectors / lengths.clamp_min(TINY)


def _bases(directions: Tensor, degree: int) -> Tensor:
    """The harmonics up to a degree at unit directions `(..., 3)`. Shape `(..., K)`."""
    x, y, z = directions.unbind(-1)
    bases = directions.new_zeros((degree + 1) ** 2, *x.shape)
    sh_bases.py_func(degree, x, y, z, bases)
    return bases.movedim(0, -1)


@cache
def _directions(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, list[Tensor]]:
    """Seven directions, and for bands 1 to 3 the inverse of the band's bases at the first ones."""
    # Of 3,000 seeds the one with the best conditioned bases: condition numbers of at most 4.2.
    spread = np.random.default_rng(2542).normal(size=(7, 3))
    spread /= np.linalg.norm(spread, axis=1, keepdims=True)
    directions = torch.from_numpy(spread)
    bases = _bases(directions, 3)
    inverses = [
        torch.linalg.inv(bases[: 2 * b + 1, b * b : (b + 1) ** 2]).to(device, dtype)
        for b in (1, 2, 3)
    ]
    return directions.to(device, dtype), inverses


@cache
def _in_a_row(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The inverses of `_directions`, one after the other. Shape `(83,)`."""
    return torch.cat([inverse.flatten() for inverse in _directions(device, dtype)[1]])
