"""Rendering on CUDA: the steps of gsplat's `rasterization`, for small scenes rendered many times.

gsplat's `rasterization` waits for the device to invert the poses, and it copies the harmonics per
view. This module calls the same steps. It takes the eyes from the poses' transpose and the colors
from `cuda.colors`. One wait is left: gsplat counts the tiles that the splats reach before it
allocates their list.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gsplat import (
    fully_fused_projection,
    isect_offset_encode,
    isect_tiles,
    rasterize_to_indices_in_range,
    rasterize_to_pixels,
    spherical_harmonics,
)
from torch import Tensor

from headstyle.base.devices import has_triton

# Widths of gsplat's tiles [px]: its kernels need whole warps of 32 pixels, so none below 8.
SMALL_TILE, LARGE_TILE = 8, 16
# Tiles are 16 px wide if the images have at least so many of them, else 8 px. With 13,824 tiles of
# 16 px (9 views of 512x765 px, 200,000 splats) an H200 trains 13 % faster at 8 px. Larger numbers
# were not measured.
MANY_TILES = 16_384
# A pixel with a smaller alpha shows nothing and has no expected depth.
NOTHING = 0.5 / 255


@dataclass
class Projected:
    """Splats projected into C views of one size."""

    means2d: Tensor
    """Centers [px]. Their gradient is retained. Shape `(C, N, 2)`."""
    conics: Tensor
    """Inverse covariances [1/px^2]: xx, xy, yy. Shape `(C, N, 3)`."""
    colors: Tensor
    """Shape `(C, N, 3)`."""
    opacities: Tensor
    """Shape `(C, N)`."""
    depths: Tensor
    """z in the camera. Shape `(C, N)`."""
    radii: Tensor
    """Reach along x and y [px], 0 where the view does not show the splat. Shape `(C, N, 2)`."""


@dataclass
class TileLists:
    """Which splats each tile blends, front to back."""

    width: int
    """Width and height of a tile [px]."""
    offsets: Tensor
    """Where the list of each tile starts. Shape `(C, rows, columns)`."""
    splats: Tensor
    """The lists, one after the other: indices into `(C, N)`."""
    shown: Tensor | None = None
    """Which tiles are blended; None blends all. Shape `(C, rows, columns)`."""


def tile_width(width: int, height: int, views: int) -> int:
    """Width of the tiles [px] for this number of views and this size [px].

    A block of threads works through the list of one tile. With few tiles the GPU waits for the
    longest lists. Smaller tiles have shorter lists, and their threads read fewer splats that do not
    cover their pixel. With many tiles, larger ones mean fewer list entries to sort.
    """
    tiles = views * -(-width // LARGE_TILE) * -(-height // LARGE_TILE)
    return SMALL_TILE if tiles < MANY_TILES else LARGE_TILE


def render_parts(
    splats: Any,
    world_to_camera: Tensor,
    intrinsics: Tensor,
    width: int,
    height: int,
    sh_degree: int,
    background: Tensor,
    with_depth: bool,
    absolute_gradients: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, dict[str, Any]]:
    """The fields of a `Rendering`. The arguments are those of `render`, which checks them."""
    projected = project(splats, world_to_camera, intrinsics, width, height, sh_degree)
    lists = list_tiles(projected, width, height, tile_width(width, height, len(background)))
    if with_depth:
        depths = projected.depths.detach()[..., None]
        projected.colors = torch.cat([projected.colors, depths], dim=-1)
        background = torch.nn.functional.pad(background, (0, 1))
    images, alphas = blend(projected, lists, width, height, background, absolute_gradients)
    info: dict[str, Any] = {"means2d": projected.means2d, "radii": projected.radii}
    info |= {"depths": projected.depths}
    info |= {"width": width, "height": height, "n_cameras": len(background), "gaussian_ids": None}
    expected = median = None
    if with_depth:
        with torch.no_grad():
            expected = images[..., 3] / alphas.clamp_min(1e-10) * (alphas > NOTHING)
            median = median_depth(projected, lists, width, height)
        images = images[..., :3]
    return images, alphas, expected, median, info


def project(
    splats: Any,
    world_to_camera: Tensor,
    intrinsics: Tensor,
    width: int,
    height: int,
    sh_degree: int,
) -> Projected:
    """Project the splats into each view and compute their colors. Arguments as in `render`."""
    opacities = torch.sigmoid(splats["opacities"])
    radii, means2d, depths, conics, _ = fully_fused_projection(
        splats["means"], None, splats["quats"], torch.exp(splats["scales"]),
        world_to_camera, intrinsics, width, height, opacities=opacities,
    )  # fmt: skip
    if means2d.requires_grad:
        means2d.retain_grad()
    colors = splat_colors(splats, world_to_camera, radii, sh_degree)
    shared = opacities.expand(len(world_to_camera), -1)
    return Projected(means2d, conics, colors, shared, depths, radii)


def list_tiles(projected: Projected, width: int, height: int, tile: int) -> TileLists:
    """List for each tile of the images the splats that reach it; waits for the device.

    Args:
        projected: Splats in the views.
        width: Width of the images [px].
        height: Height of the images [px].
        tile: Width of a tile [px].
    """
    tiles = (-(-width // tile), -(-height // tile))
    means2d = projected.means2d
    _, tile_ids, ids = isect_tiles(means2d, projected.radii, projected.depths, tile, *tiles)
    return TileLists(tile, isect_offset_encode(tile_ids, len(means2d), *tiles), ids)


def blend(
    projected: Projected,
    lists: TileLists,
    width: int,
    height: int,
    background: Tensor,
    absolute_gradients: bool,
) -> tuple[Tensor, Tensor]:
    """Blend the tiles' splats into images `(C, H, W, K)` and alphas `(C, H, W)`.

    The background has the K channels of the colors: shape `(C, K)`.
    """
    images, alphas = rasterize_to_pixels(
        projected.means2d, projected.conics, projected.colors, projected.opacities,
        width, height, lists.width, lists.offsets, lists.splats,
        backgrounds=background, masks=lists.shown, absgrad=absolute_gradients,
    )  # fmt: skip
    # The gradient of this is a view of memory; the gradient of indexing would be a copy.
    return images, alphas.squeeze(-1)


def splat_colors(splats: Any, world_to_camera: Tensor, radii: Tensor, sh_degree: int) -> Tensor:
    """Colors of the splats in each view, at least 0. Shape `(C, N, 3)`."""
    means, sh0, rest = splats["means"], splats["sh0"], splats["shN"]
    if has_triton():
        from headstyle.rendering.cuda.colors import SplatColors

        return SplatColors.apply(means, sh0, rest, world_to_camera, radii, sh_degree)
    rotation, translation = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]
    # The inverse of a rotation is its transpose.
    eyes = -(rotation * translation[:, :, None]).sum(dim=1)
    directions = means - eyes[:, None]
    harmonics = torch.cat([sh0, rest], dim=1).expand(len(eyes), -1, -1, -1)
    seen = (radii > 0).all(dim=-1)
    return (spherical_harmonics(sh_degree, directions, harmonics, seen) + 0.5).clamp_min(0)


def median_depth(projected: Projected, lists: TileLists, width: int, height: int) -> Tensor:
    """Depth of the splat at which the transmittance passes 1/2 `(C, H, W)`, else 0.

    gsplat lists the splats that each pixel blends, front to back. This function computes their
    alphas again and multiplies the transmittances along each list. It is meant for evaluation: it
    holds all fragments of a view in memory.
    """
    means2d, opacities = projected.means2d, projected.opacities
    views, count = means2d.shape[:2]
    splats, pixels, images = rasterize_to_indices_in_range(
        0,
        1 << 30,
        means2d.new_ones((views, height, width)),
        means2d,
        projected.conics,
        opacities.contiguous(),
        width,
        height,
        lists.width,
        lists.offsets,
        lists.splats,
    )
    which = images * count + splats
    centers = torch.stack([pixels % width, pixels // width], dim=-1) + 0.5
    dx, dy = (means2d.reshape(-1, 2)[which] - centers).unbind(-1)
    a, b, c = projected.conics.reshape(-1, 3)[which].unbind(-1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alphas = (opacities.reshape(-1)[which] * torch.exp(-sigma)).clamp_max(0.999)
    # Sums of logarithms over all fragments, minus the sum at the start of each pixel.
    logs = torch.log1p(-alphas.double())
    after = torch.cumsum(logs, dim=0)
    pixel = images * (height * width) + pixels
    start = torch.searchsorted(pixel, pixel, right=False)
    before = after - logs
    base = before[start]
    half = float(np.log(0.5))
    passing = (before - base > half) & (after - base <= half)
    median = means2d.new_zeros(views * height * width)
    median[pixel[passing]] = projected.depths.reshape(-1)[which[passing]]
    return median.reshape(views, height, width)
