"""Bring a source view into a target view through depth: written forward, or sampled backward.

Pixels have their centres at +0.5; depth is the z coordinate in the camera, 0 where there is no
surface. All functions take batches of N pairs of equal sizes, on the CPU or a GPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstyle.base.cameras import Cameras


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

    The result is homogeneous: `(x z, y z, z)` with z the depth in the target. The matrices are
    computed in double precision, so that a scene far from the world's origin stays exact.

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
        z_buffer: If several pixels land on one, keep the nearest. Without it the last one in raster
            order stays, as in a loop that writes pixel after pixel.
    """
    width, height = size
    pixels = len(depth) * height * width
    origin = torch.nonzero((foreground & (depth > 0)).flatten()).squeeze(1)
    place, z = _project(origin, depth, projections)
    pair = origin // depth[0].numel()
    # A place of infinite depth is NaN, so it fails the test.
    inside = (z > 0) & ((place >= 0) & (place < place.new_tensor([width, height]))).all(dim=1)
    origin, z, pair, place = origin[inside], z[inside], pair[inside], place[inside].long()
    landing = (pair * height + place[:, 1]) * width + place[:, 0]
    if z_buffer:
        nearest = z.new_full((pixels,), torch.inf).scatter_reduce_(0, landing, z, "amin")
        seen = z == nearest[landing]
        origin, z, landing = origin[seen], z[seen], landing[seen]
    # For equal depths, and without a z-buffer, raster order decides: it is the same on any device.
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


def sound_surface(depth: Tensor, foreground: Tensor, depth_jump: float) -> tuple[Tensor, Tensor]:
    """Remove speckles from the depth, and find the pixels at which it can be trusted.

    A median over 3 x 3 pixels removes the speckles that the median depth of splats has. It does not
    change a plane. A pixel is sound if all its eight neighbors have depth, and if its own depth
    differs from that of the left, right, upper and lower neighbor by at most `depth_jump`. So both
    sides of a jump in depth are not sound, nor are points between two surfaces, nor slopes seen at
    a grazing angle.

    Args:
        depth: z in the camera, 0 where there is no surface. Shape `(N, H, W)`.
        foreground: Shape `(N, H, W)`, bool.
        depth_jump: Largest difference from the next pixel's depth, as a fraction of the farther.

    Returns:
        The depth, and whether each pixel is sound (bool). Shape `(N, H, W)` each.
    """
    surface = foreground & (depth > 0) & depth.isfinite()
    sound = torch.nn.functional.max_pool2d((~surface).float(), 3, stride=1, padding=1) == 0
    inverse = torch.where(surface, 1 / depth, torch.nan)
    height, width = depth.shape[1:]
    framed = torch.nn.functional.pad(inverse, (1, 1, 1, 1), value=torch.nan)
    shifted = [framed[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    # If one of the nine pixels has no depth, the median is NaN and the depth stays.
    middle = torch.stack(shifted).median(dim=0).values
    inverse = torch.where(middle.isnan(), inverse, middle)
    for axis in (1, 2):
        length = inverse.shape[axis] - 1
        first, second = (inverse.narrow(axis, start, length) for start in (0, 1))
        near = (first - second).abs() <= depth_jump * torch.maximum(first, second)
        for start in (0, 1):
            sound.narrow(axis, start, length).logical_and_(near)
    return torch.where(surface, 1 / inverse, 0), sound


@dataclass(frozen=True)
class Surfaces:
    """One side of N pairs: images of one size and where their surface can be trusted."""

    colors: Tensor
    """Shape `(N, H, W, 3)`."""
    depth: Tensor
    """z in the camera, from `sound_surface`. Shape `(N, H, W)`."""
    sound: Tensor
    """Where the depth can be trusted, from `sound_surface`. Shape `(N, H, W)`, bool."""


def warp_backward(
    target: Surfaces,
    source: Surfaces,
    to_source: Tensor,
    to_target: Tensor,
    depth_tolerance: float,
    round_trip_px: float,
) -> tuple[Tensor, Tensor]:
    """Look up target pixels in the source at sub-pixel places, where both views see one surface.

    The target's depth carries each sound pixel of the target into the source. The pixel is valid if
    three conditions hold. The four source pixels around its place are sound. The source's depth at
    that place is the depth of the carried point; inverse depth is interpolated, which is exact on
    planes. And the point that the source sees there, carried back, has the place and the depth of
    the pixel (forward-backward check).

    Args:
        target: The targets; their colors are not used.
        source: The sources.
        to_source: `relative_projections` from target to source. Shape `(N, 3, 4)`.
        to_target: The same from source to target.
        depth_tolerance: Largest difference between both depths, as a fraction.
        round_trip_px: Largest distance between a pixel and its return [px].

    Returns:
        The sources' colors at the targets' pixels, bilinear in sRGB, 0 where a pixel is not valid.
        Shape `(N, H, W, 3)`. And whether each pixel is valid, bool. Shape `(N, H, W)`.
    """
    shape = target.depth.shape
    pixel = torch.nonzero(target.sound.flatten()).squeeze(1)
    pair, z = pixel // target.depth[0].numel(), target.depth.flatten()[pixel]
    place = _centers(pixel, target.depth)
    there, z_there = _carry(place, z, pair, to_source)
    taps, weights, kept = _bilinear(there, pair, source.depth)
    # A pixel without weight need not be sound.
    kept &= (source.sound.flatten()[taps] | (weights < 1e-3)).all(dim=1) & (z_there > 0)
    pixel, pair, place, z, there, z_there, taps, weights = (
        values[kept] for values in (pixel, pair, place, z, there, z_there, taps, weights)
    )
    inverse = (1 / source.depth.flatten()[taps]).where(weights >= 1e-3, 0)
    seen = weights.where(weights >= 1e-3, 0).sum(dim=1) / (inverse * weights).sum(dim=1)
    back, z_back = _carry(there, seen, pair, to_target)
    agree = (seen - z_there).abs() <= depth_tolerance * z_there
    agree &= (z_back - z).abs() <= depth_tolerance * z
    agree &= (back - place).square().sum(dim=1) <= round_trip_px**2
    pixel, taps, weights = pixel[agree], taps[agree], weights[agree]
    channels = source.colors.shape[3]
    colors = source.colors.new_zeros((target.depth.numel(), channels))
    colors[pixel] = (source.colors.reshape(-1, channels)[taps] * weights[..., None]).sum(dim=1)
    valid = torch.zeros_like(target.sound).flatten()
    valid[pixel] = True
    return colors.reshape(*shape, channels), valid.reshape(shape)


def _centers(pixel: Tensor, like: Tensor) -> Tensor:
    """Centers (x, y) of the pixels with these flat indices in `like`. Shape `(M, 2)`."""
    height, width = like.shape[1:]
    within = pixel % (height * width)
    return torch.stack([within % width, within // width], dim=1) + 0.5


def _bilinear(place: Tensor, pair: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Flat indices `(M, 4)` of the pixels around each place, their weights, and which are inside.

    A place is inside if it lies between the outermost pixel centers, or at most a thousandth of a
    pixel beyond them.
    """
    height, width = like.shape[1:]
    largest = place.new_tensor([width - 1, height - 1])
    shifted = place - 0.5
    # A place behind the camera or at infinity is NaN or huge, so it is not inside.
    inside = ((shifted >= -1e-3) & (shifted <= largest + 1e-3)).all(dim=1)
    shifted = torch.where(inside[:, None], shifted, 0).clamp(min=0).minimum(largest)
    corner = shifted.floor()
    across, down = (shifted - corner).unbind(dim=1)
    left, top = corner.long().unbind(dim=1)
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    first = pair * (height * width)
    taps = [first + y * width + x for y in (top, bottom) for x in (left, right)]
    weights = [v * u for v in (1 - down, down) for u in (1 - across, across)]
    return torch.stack(taps, dim=1), torch.stack(weights, dim=1), inside


def _project(origin: Tensor, depth: Tensor, projections: Tensor) -> tuple[Tensor, Tensor]:
    """Place (x, y) and depth in the target of the source pixels with the flat indices `origin`."""
    pair = origin // depth[0].numel()
    return _carry(_centers(origin, depth), depth.flatten()[origin], pair, projections)


def _carry(place: Tensor, z: Tensor, pair: Tensor, projections: Tensor) -> tuple[Tensor, Tensor]:
    """Place (x, y) `(M, 2)` and depth `(M,)` in the other view of points seen at `place`, `z`."""
    x, y = place[:, 0] * z, place[:, 1] * z
    rows = projections.to(z)
    # Sums of products instead of a matrix product, which a GPU may round to TF32.
    moved = [
        rows[pair, i, 0] * x + rows[pair, i, 1] * y + rows[pair, i, 2] * z + rows[pair, i, 3]
        for i in range(3)
    ]
    return torch.stack([moved[0] / moved[2], moved[1] / moved[2]], dim=1), moved[2]
