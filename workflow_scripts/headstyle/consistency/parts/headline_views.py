"""Views at the scale of the headline score.

The score must depend neither on the resolution of the renders nor on the empty frame around the
head. So views are reduced until the head has a fixed size, and then cut to the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.consistency.pairs import Scene, bounding_box
from headstyle.consistency.parts.color_difference import lab_from_srgb
from headstyle.consistency.warping import (
    Surfaces,
    relative_projections,
    sound_surface,
    warp_backward,
)

BORDER_PX = 2
"""Empty border kept around the head."""


@dataclass(frozen=True)
class HeadViews:
    """All views of a scene, reduced and cut to one size. Colors are CIELAB."""

    cameras: Cameras
    channels: Tensor
    """Edited colors, unedited colors, and whether the unedited view shows the head, 0 or 1.
    Shape `(C, H, W, 7)`."""
    depth: Tensor
    """Depth from `headstyle.consistency.warping.sound_surface`. Shape `(C, H, W)`."""
    sound: Tensor
    """Whether the depth can be trusted, from the same function. Shape `(C, H, W)`, bool."""
    head_px: float
    """Size of the head [px]: side of a square with the area of the mean foreground."""


@dataclass(frozen=True)
class HeadPairs:
    """N pairs of views, the sources warped into their targets. Colors are CIELAB."""

    target: Tensor
    """Shape `(N, 3, H, W)`."""
    warped: Tensor
    plain_target: Tensor
    """The unedited target. Shape `(N, 3, H, W)`."""
    plain_warped: Tensor
    shared: Tensor
    """1 where both views show the same surface, else 0. Shape `(N, 1, H, W)`."""
    plain_shared: Tensor
    """The same where both unedited views show the head too. Shape `(N, 1, H, W)`."""
    head_px: float


def head_views(
    scene: Scene, head_px: float, depth_jump: float, foreground_alpha: float
) -> HeadViews:
    """Reduce the views of a scene until the head has the size `head_px`, and cut them to the head.

    A smaller head keeps its size. Without unedited views, the channel that tells whether the
    unedited view shows the head is 0.

    Args:
        scene: The views.
        head_px: Side of a square with the area of the mean foreground [px].
        depth_jump: See `headstyle.consistency.warping.sound_surface`.
        foreground_alpha: Alpha above which a pixel of an unedited view shows the head.
    """
    size = float(np.sqrt(np.mean([float(mask.sum()) for mask in scene.foreground])))
    factor = min(1.0, head_px / max(size, 1.0))
    sizes = np.maximum(1, np.rint(scene.cameras.sizes * factor)).astype(np.int64)
    cameras = scene.cameras.scaled(sizes)
    reduced = [
        _reduced(scene, view, (height, width), foreground_alpha)
        for view, (width, height) in enumerate(sizes.tolist())
    ]
    stack, cameras = _cut_to_heads(reduced, cameras)
    foreground, depth = stack[..., 7] > 0.5, stack[..., 8]
    depth, sound = sound_surface(depth, foreground, depth_jump)
    return HeadViews(cameras, stack[..., :7], depth, sound, size * factor)


def head_pairs(
    views: HeadViews,
    targets: Sequence[int],
    sources: Sequence[int],
    depth_tolerance: float,
    round_trip_px: float,
) -> HeadPairs:
    """Warp sources into targets; see `headstyle.consistency.warping.warp_backward`."""
    targets, sources = list(targets), list(sources)
    target_surfaces, source_surfaces = (
        Surfaces(views.channels[side], views.depth[side], views.sound[side])
        for side in (targets, sources)
    )
    to_source = relative_projections(views.cameras, sources, targets).to(views.depth.device)
    to_target = relative_projections(views.cameras, targets, sources).to(views.depth.device)
    warped, valid = warp_backward(
        target_surfaces, source_surfaces, to_source, to_target, depth_tolerance, round_trip_px
    )
    target, warped = (x.permute(0, 3, 1, 2) for x in (target_surfaces.colors, warped))
    shared = valid[:, None].to(target)
    plain_shared = shared * (target[:, 6:] > 0.5) * (warped[:, 6:] > 0.5)
    return HeadPairs(
        target[:, :3],
        warped[:, :3],
        target[:, 3:6],
        warped[:, 3:6],
        shared,
        plain_shared,
        views.head_px,
    )


def area_resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean over the area of each new pixel. `(H, W, C)` to `(h, w, C)` with `size` = (h, w)."""
    rows = _area_weights(image.shape[0], size[0]).to(image)
    columns = _area_weights(image.shape[1], size[1]).to(image)
    return columns @ (rows @ image.flatten(1)).unflatten(1, image.shape[1:])


@lru_cache(maxsize=64)
def _area_weights(before: int, after: int) -> Tensor:
    """The part of each old pixel in each new one. Shape `(after, before)`, rows sum to 1."""
    edges = torch.arange(after + 1, dtype=torch.float64) * (before / after)
    old = torch.arange(before, dtype=torch.float64)
    ends = torch.minimum(edges[1:, None], old + 1)
    return (ends - torch.maximum(edges[:-1, None], old)).clamp(min=0) * (after / before)


def _reduced(scene: Scene, view: int, size: tuple[int, int], foreground_alpha: float) -> Tensor:
    """Channels of `HeadViews`, then foreground and depth. Shape `(h, w, 9)`."""
    foreground = scene.foreground[view][..., None].float()
    depth = scene.depths[view][..., None].float()
    plain = foreground.new_zeros((*foreground.shape[:2], 4))
    if scene.unedited is not None:
        plain = scene.unedited[view].float()
    # The same test as for the edited views: equal views must stay equal at the silhouette too.
    shown = (plain[..., 3:] > foreground_alpha).float()
    surface = ((depth > 0) & depth.isfinite()).float()
    share, plain_share, solid = (area_resized(mask, size) for mask in (foreground, shown, surface))
    # Inverse depth is linear across a plane, so the mean of a new pixel is exact there.
    inverse = area_resized(torch.where(surface > 0, 1 / depth, 0), size)
    colors = [
        area_resized(image * mask, size) / reduced.clamp(min=1e-6)
        for image, mask, reduced in (
            (scene.colors[view], foreground, share),
            (plain[..., :3], shown, plain_share),
        )
    ]
    parts = [lab_from_srgb(image.clamp(0, 1).double()).float() for image in colors]
    parts.append((plain_share > 0.5).float())
    parts.append((share > 0.5).float())
    parts.append(torch.where(solid > 0.5, solid / inverse.clamp(min=1e-12), 0))
    return torch.cat(parts, dim=2)


def _cut_to_heads(views: list[Tensor], cameras: Cameras) -> tuple[Tensor, Cameras]:
    """Windows of one size around every foreground, zeros beyond the frames."""
    boxes = [bounding_box(view[..., 7] > 0.5) or (0, 1, 0, 1) for view in views]
    height = max(box[1] - box[0] for box in boxes) + 2 * BORDER_PX
    width = max(box[3] - box[2] for box in boxes) + 2 * BORDER_PX
    intrinsics: NDArray[np.float64] = cameras.intrinsics.copy()
    stack = views[0].new_zeros((len(views), height, width, views[0].shape[2]))
    for i, (view, (top, bottom, left, right)) in enumerate(zip(views, boxes, strict=True)):
        y, x = (top + bottom - height) // 2, (left + right - width) // 2
        rows = slice(max(y, 0), min(y + height, view.shape[0]))
        columns = slice(max(x, 0), min(x + width, view.shape[1]))
        window = stack[i, rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        window.copy_(view[rows, columns])
        intrinsics[i, :2, 2] -= x, y
    sizes = np.full((len(views), 2), (width, height))
    return stack, Cameras(cameras.names, sizes, intrinsics, cameras.world_to_camera)
