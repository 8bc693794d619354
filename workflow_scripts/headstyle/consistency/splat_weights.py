"""Maps of the views, distributed over the splats that made the pixels, and splats as maps.

A rendered color is the sum of the splats' colors times their blending weights (alpha times
transmittance). So the weights are the gradient of the colors, and the rasterizer's backward pass
adds them up.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.rendering.quantized import SH0
from headstyle.rendering.renderer import Splats, render

_CHANNELS = 3
"""Channels of a color."""
_PLAIN = 0.3
"""What a pixel without contrast counts, where a pixel of mean contrast counts 1 more."""


def splat_sums(splats: Splats, cameras: Cameras, maps: Sequence[Tensor]) -> NDArray[np.float64]:
    """Sums of maps over all pixels, weighted by each splat's blending weight there.

    Args:
        splats: The scene.
        cameras: Cameras of the maps.
        maps: One per camera, on the device of the splats. Shape `(H, W, K)` each.

    Returns:
        Shape `(N, K)`.
    """
    channels = maps[0].shape[2]
    # In the middle of the range, where no color is cut off.
    plain = _one_color(splats, torch.zeros_like(splats["means"]))
    plain["sh0"].requires_grad_(True)
    sums = np.zeros((len(plain["means"]), channels))
    for view, values in enumerate(maps):
        colors, _ = _rendered(plain, cameras, view)
        for first in range(0, channels, _CHANNELS):
            part = values[..., first : first + _CHANNELS].to(colors)
            seen = (colors[..., : part.shape[2]] * part).sum()
            (gradient,) = torch.autograd.grad(seen, plain["sh0"], retain_graph=True)
            found = gradient[:, 0, : part.shape[2]].double().cpu().numpy()
            sums[:, first : first + part.shape[2]] += found / SH0
    return sums


def seen_detail(splats: Splats, cameras: Cameras) -> NDArray[np.float64]:
    """How much each splat gives to the views, and most of all where these show details.

    Args:
        splats: The scene.
        cameras: The views.

    Returns:
        Sums of blending weights over all pixels. A pixel counts by the contrast around it, relative
        to the view's mean, and a little by itself. Shape `(N,)`.
    """
    maps = []
    for view in range(len(cameras)):
        with torch.no_grad():
            colors, _ = _rendered(dict(splats), cameras, view)
        gray = cv2.GaussianBlur(colors.mean(dim=-1).cpu().numpy(), (0, 0), 1)
        contrast = cv2.GaussianBlur(np.abs(cv2.Laplacian(gray, cv2.CV_32F)), (0, 0), 1)
        counted = contrast / max(float(contrast.mean()), 1e-12) + _PLAIN
        maps.append(torch.from_numpy(counted[..., None]).to(colors))
    return splat_sums(splats, cameras, maps)[:, 0]


def rendered_values(
    splats: Splats, cameras: Cameras, values: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    """How each view shows one value per splat.

    Args:
        splats: The scene.
        cameras: The views.
        values: Not below 0. Shape `(N,)`.

    Returns:
        Mean values of the splats at each pixel by their blending weights, NaN where alpha is at
        most 0.5. Shape `(H, W)` each.
    """
    colors = torch.as_tensor(values).to(splats["means"])[:, None].expand(-1, _CHANNELS)
    plain = _one_color(splats, (colors - 0.5) / SH0)
    images = []
    for view in range(len(cameras)):
        with torch.no_grad():
            shown, alphas = _rendered(plain, cameras, view)
        image = torch.where(alphas > 0.5, shown[..., 0] / alphas.clamp(min=0.5), torch.nan)
        images.append(image.cpu().numpy())
    return images


def _one_color(splats: Splats, sh0: Tensor) -> dict[str, Tensor]:
    """The splats with colors `(N, 3)` that do not depend on the direction; no gradient."""
    tensors = {name: tensor.detach() for name, tensor in splats.items()}
    return {**tensors, "shN": tensors["shN"][:, :0], "sh0": sh0.detach()[:, None, :].contiguous()}


def _rendered(splats: dict[str, Tensor], cameras: Cameras, view: int) -> tuple[Tensor, Tensor]:
    """Colors `(H, W, 3)` and alphas `(H, W)` of one view."""
    device = splats["means"].device
    rendering = render(
        splats,
        torch.as_tensor(cameras.world_to_camera[view : view + 1], device=device),
        torch.as_tensor(cameras.intrinsics[view : view + 1], device=device),
        *(int(side) for side in cameras.sizes[view]),
    )
    return rendering.colors[0], rendering.alphas[0]
