"""Rendering on CUDA: gsplat's steps in a row, for small scenes that are rendered many times.

gsplat's `rasterization` waits for the device to invert the poses and copies the harmonics per view;
these are its parts, with the eyes from the poses' transpose and the colors by `triton_colors`. One
wait is left: gsplat asks how many tiles the splats reach before it allocates their list.
"""

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

from headstyle.triton_kernels import has_triton

TILE = 16
# Alpha below which a pixel shows nothing and has no expected depth.
NOTHING = 0.5 / 255


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
    """The fields of a `Rendering`; arguments as of `render`, checked there."""
    views = len(world_to_camera)
    opacities = torch.sigmoid(splats["opacities"])
    radii, means2d, depths, conics, _ = fully_fused_projection(
        splats["means"], None, splats["quats"], torch.exp(splats["scales"]),
        world_to_camera, intrinsics, width, height, opacities=opacities,
    )  # fmt: skip
    if means2d.requires_grad:
        means2d.retain_grad()
    colors = splat_colors(splats, world_to_camera, radii, sh_degree)
    if with_depth:
        colors = torch.cat([colors, depths.detach()[..., None]], dim=-1)
        background = torch.nn.functional.pad(background, (0, 1))
    tiles = (-(-width // TILE), -(-height // TILE))
    _, tile_ids, flatten_ids = isect_tiles(means2d, radii, depths, TILE, *tiles)
    offsets = isect_offset_encode(tile_ids, views, *tiles)
    info = {"means2d": means2d, "radii": radii, "depths": depths, "conics": conics}
    info |= {"opacities": opacities.expand(views, -1), "n_cameras": views, "gaussian_ids": None}
    info |= {"width": width, "height": height, "tile_size": TILE}
    info |= {"isect_offsets": offsets, "flatten_ids": flatten_ids}
    images, alphas = rasterize_to_pixels(
        means2d, conics, colors, info["opacities"], width, height, TILE, offsets, flatten_ids,
        backgrounds=background, absgrad=absolute_gradients,
    )  # fmt: skip
    # Unlike an index, this has a view for its gradient, too.
    alphas = alphas.squeeze(-1)
    expected = median = None
    if with_depth:
        with torch.no_grad():
            expected = images[..., 3] / alphas.clamp_min(1e-10) * (alphas > NOTHING)
            median = median_depth(info)
        images = images[..., :3]
    return images, alphas, expected, median, info


def splat_colors(splats: Any, world_to_camera: Tensor, radii: Tensor, sh_degree: int) -> Tensor:
    """Colors of the splats in each view, at least 0. Shape `(C, N, 3)`."""
    rotation, translation = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]
    # The inverse of a rotation is its transpose.
    eyes = -(rotation * translation[:, :, None]).sum(dim=1)
    means, sh0, rest = splats["means"], splats["sh0"], splats["shN"]
    if has_triton():
        from headstyle.triton_colors import SplatColors

        return SplatColors.apply(means, sh0, rest, eyes, radii, sh_degree)
    directions = means - eyes[:, None]
    harmonics = torch.cat([sh0, rest], dim=1).expand(len(eyes), -1, -1, -1)
    seen = (radii > 0).all(dim=-1)
    return (spherical_harmonics(sh_degree, directions, harmonics, seen) + 0.5).clamp_min(0)


def median_depth(info: dict[str, Any]) -> Tensor:
    """Depth of the splat at which the transmittance passes 1/2 `(C, H, W)`, else 0.

    gsplat lists, pixel by pixel and front to back, the splats that it blends; their alphas are
    computed again and multiplied up along each pixel's list. Meant for evaluation: it holds all
    fragments of a view in memory.
    """
    width, height = info["width"], info["height"]
    means2d, conics, opacities = info["means2d"], info["conics"], info["opacities"]
    views, count = means2d.shape[:2]
    splats, pixels, images = rasterize_to_indices_in_range(
        0,
        1 << 30,
        means2d.new_ones((views, height, width)),
        means2d,
        conics,
        opacities.contiguous(),
        width,
        height,
        info["tile_size"],
        info["isect_offsets"],
        info["flatten_ids"],
    )
    which = images * count + splats
    centers = torch.stack([pixels % width, pixels // width], dim=-1) + 0.5
    dx, dy = (means2d.reshape(-1, 2)[which] - centers).unbind(-1)
    a, b, c = conics.reshape(-1, 3)[which].unbind(-1)
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
    median[pixel[passing]] = info["depths"].reshape(-1)[which[passing]]
    return median.reshape(views, height, width)
