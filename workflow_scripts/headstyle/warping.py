"""Carry the pixels of a source view into a target view through the source's depth.

Pixels have their centres at +0.5; depth is the z coordinate in the camera, 0 where there is no
surface. All functions take batches of N pairs of equal sizes, on the CPU or a GPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstyle.cameras import Cameras


@dataclass(frozen=True)
class Warped:
    """Source views as the target cameras see them."""

    colors: Tensor
    """Colors of the source at the target's pixels, 0 where nothing landed. Shape `(N, H, W, 3)`."""
    depth: Tensor
    """Depth of what landed, in the target's camera, 0 where nothing did. Shape `(N, H, W)`."""


def relative_projections(
    cameras: Cameras, targets: Sequence[int], sources: Sequence[int]
) -> Tensor:
    """Matrices that take `depth * (x, y, 1, 1 / depth)` of a source pixel to the target's pixel.

    The result is homogeneous: `(x z, y z, z)` with z the depth in the target. Computed in double
    precision, so that a world far from its origin costs nothing.

    Args:
        cameras: Cameras of all views.
        targets: Position of each pair's target. Length N.
        sources: Position of each pair's source. Length N.

    Returns:
        Float64 tensor of shape `(N, 3, 4)`.
    """
    pose, intrinsics = cameras.world_to_camera, cameras.intrinsics
    source_to_target = pose[list(targets)] @ np.linalg.inv(pose[list(sources)])
    rotation, translation = source_to_target[:, :3, :3], source_to_target[:, :3, 3:]
    target_intrinsics = intrinsics[list(targets)]
    turn = target_intrinsics @ rotation @ np.linalg.inv(intrinsics[list(sources)])
    return torch.from_numpy(np.concatenate([turn, target_intrinsics @ translation], axis=2))


def warp(
    colors: Tensor,
    depth: Tensor,
    foreground: Tensor,
    projections: Tensor,
    size: tuple[int, int],
    *,
    z_buffer: bool = True,
) -> Warped:
    """Write every foreground pixel of the sources to the target's pixel it projects into.

    Args:
        colors: Source images. Shape `(N, h, w, 3)`.
        depth: Source depth. Shape `(N, h, w)`.
        foreground: Source pixels that are warped, where they have depth. Shape `(N, h, w)`, bool.
        projections: `relative_projections` of the pairs. Shape `(N, 3, 4)`.
        size: Width and height of the targets [px].
        z_buffer: Where several pixels land on one, keep the nearest; without it the last one in
            raster order stays, as in a loop that writes pixel after pixel.
    """
    width, height = size
    pixels = len(depth) * height * width
    origin = torch.nonzero((foreground & (depth > 0)).flatten()).squeeze(1)
    place, z = _project(origin, depth, projections)
    pair = origin // depth[0].numel()
    # Places of infinite depth are NaN, which is nowhere inside.
    inside = (z > 0) & ((place >= 0) & (place < place.new_tensor([width, height]))).all(dim=1)
    origin, z, pair, place = origin[inside], z[inside], pair[inside], place[inside].long()
    landing = (pair * height + place[:, 1]) * width + place[:, 0]
    if z_buffer:
        nearest = z.new_full((pixels,), torch.inf).scatter_reduce_(0, landing, z, "amin")
        seen = z == nearest[landing]
        origin, z, landing = origin[seen], z[seen], landing[seen]
    # Equal depths (and no z-buffer at all) are settled by raster order: the same on any device.
    stays = origin.new_full((pixels,), -1).scatter_reduce_(0, landing, origin, "amax")
    seen = origin == stays[landing]
    landing, origin, z = landing[seen], origin[seen], z[seen]
    warped_colors = colors.new_zeros((pixels, 3))
    warped_colors[landing] = colors.reshape(-1, 3)[origin]
    warped_depth = depth.new_zeros(pixels)
    warped_depth[landing] = z
    shape = (len(depth), height, width)
    return Warped(warped_colors.reshape(*shape, 3), warped_depth.reshape(shape))


def overlap(
    warped: Warped, depth: Tensor, foreground: Tensor, depth_tolerance: float | None
) -> Tensor:
    """Target pixels on which a pair is compared.

    Args:
        warped: The sources in the targets.
        depth: The targets' own depth. Shape `(N, H, W)`.
        foreground: The targets' foreground. Shape `(N, H, W)`, bool.
        depth_tolerance: Largest difference between both depths, as a fraction of the target's;
            `None` leaves this test out.

    Returns:
        Bool tensor of shape `(N, H, W)`.
    """
    counts = (warped.depth > 0) & foreground
    if depth_tolerance is None:
        return counts
    return counts & (depth > 0) & ((warped.depth - depth).abs() <= depth_tolerance * depth)


def _project(origin: Tensor, depth: Tensor, projections: Tensor) -> tuple[Tensor, Tensor]:
    """Place (x, y) and depth in the target of the source pixels with the flat indices `origin`."""
    height, width = depth.shape[1:]
    pair, pixel = origin // (height * width), origin % (height * width)
    z = depth.flatten()[origin]
    x, y = (pixel % width + 0.5) * z, (pixel // width + 0.5) * z
    rows = projections.to(depth)
    # Three sums of products, not a matrix product: GPUs may round those to TF32.
    moved = [
        rows[pair, i, 0] * x + rows[pair, i, 1] * y + rows[pair, i, 2] * z + rows[pair, i, 3]
        for i in range(3)
    ]
    return torch.stack([moved[0] / moved[2], moved[1] / moved[2]], dim=1), moved[2]
