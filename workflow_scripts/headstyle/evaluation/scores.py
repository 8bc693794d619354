"""Scores of a render against its photograph, on a background, over a region."""

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstyle.base.embedded import embedded_file
from headstyle.base.errors import InputError
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.base.seeds import derived_seed
from headstyle.losses.lpips_networks import find_backbone, load_mini, load_network
from headstyle.losses.photometric import foreground_scores

logger = logging.getLogger("headstyle")

BACKGROUNDS = ("black", "white", "random")
"""What lies behind render and photograph alike; `random` is one color for each view."""
REGIONS = ("masked", "frame")
"""The photograph's foreground, or the whole frame."""
SCORES = ("psnr", "ssim", "l1", "lpips_mini", "lpips")


@dataclass(frozen=True)
class Networks:
    """The networks of the perceptual scores."""

    mini: nn.Module
    """headstyle's own small one."""
    lpips: nn.Module | None
    """LPIPS; None where its weights are missing."""

    @classmethod
    def with_mini_only(cls, device: str) -> "Networks":
        """Only the network that comes with headstyle."""
        return cls(load_mini(embedded_file("perceptual/model.safetensors")).to(device), None)

    @classmethod
    def load(cls, metrics: Mapping[str, Any], device: str) -> "Networks":
        """Load what there is: LPIPS is left out, with a word, where its weights are missing.

        Args:
            metrics: The section `metrics` of the configuration, for the kind of LPIPS.
            device: Where to.
        """
        mini = cls.with_mini_only(device).mini
        net = metrics.get("lpips_net", "squeeze")
        try:
            backbone = find_backbone(net, metrics.get("lpips_weights"))
        except InputError as error:
            logger.info("LPIPS is left out: %s", error)
            return cls(mini, None)
        return cls(mini, load_network(net, backbone).to(device))


def score_view(
    image: RgbaImage,
    render: RgbaImage,
    color: NDArray[np.float32],
    networks: Networks,
    device: str = "cpu",
) -> Iterator[tuple[str, dict[str, float]]]:
    """The scores of one view over each of the `REGIONS`.

    PSNR, SSIM and L1 are means over the region's pixels. For LPIPS over the mask both images show
    the background outside of it, and the mean is over the frame. NaN stands for a score that there
    is not: the region is empty, or a network is missing.

    Args:
        image: The photograph with straight alpha, in [0, 1]. Shape `(H, W, 4)`.
        render: The render in the same form.
        color: The background. Shape `(3,)`.
        networks: The networks.
        device: Where to compute.
    """
    behind = torch.from_numpy(color).to(device)
    target, shown = (torch.from_numpy(each).to(device) for each in (image, render))
    mask = target[..., 3] > FOREGROUND_ALPHA
    target, shown = (
        each[..., :3] * each[..., 3:] + behind * (1 - each[..., 3:]) for each in (target, shown)
    )
    for region in REGIONS:
        inside = mask if region == "masked" else torch.ones_like(mask)
        cut, wanted = (torch.where(inside[..., None], each, behind) for each in (shown, target))
        psnr, ssim = foreground_scores(shown, target, inside)
        yield (
            region,
            {
                "psnr": psnr,
                "ssim": ssim,
                "l1": float((shown - target).abs()[inside].mean()),
                "lpips_mini": lpips_distance(networks.mini, cut, wanted),
                "lpips": lpips_distance(networks.lpips, cut, wanted),
            },
        )


def background_color(background: str, view: str, seed: int) -> NDArray[np.float32]:
    """The RGB color of a background in [0, 1]; `random` depends on the view and the seed."""
    if background == "random":
        chosen = np.random.default_rng(derived_seed(seed, "background", view))
        return chosen.random(3).astype(np.float32)
    return np.full(3, float(background == "white"), np.float32)


def finite_or_none(value: float) -> float | None:
    """A score as JSON and tables hold it: nothing where it is not finite."""
    return value if math.isfinite(value) else None


def lpips_distance(network: nn.Module | None, shown: Tensor, target: Tensor) -> float:
    """Distance of two images in [0, 1], `(H, W, 3)`, by a network; NaN without one."""
    if network is None:
        return float("nan")
    first, second = (2 * each.permute(2, 0, 1)[None] - 1 for each in (shown, target))
    with torch.no_grad():
        return float(network(first, second).mean())
