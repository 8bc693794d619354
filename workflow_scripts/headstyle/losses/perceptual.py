"""A perceptual term of the training's loss: LPIPS of random patches, as in Instruct-NeRF2NeRF.

Edits of neighboring views disagree in detail; a perceptual distance (Zhang et al. 2018) forgives
shifts that L1 averages into blur. Patches keep its cost and memory small.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstyle.base.embedded import embedded_file
from headstyle.base.seeds import derived_seed
from headstyle.losses.lpips_networks import find_backbone, load_mini, load_network

PATCHES, PATCH_PX = 16, 32
"""Number of patches in an iteration, and their side [px], as in Instruct-NeRF2NeRF."""


class PatchLpips:
    """Weighted LPIPS of patches at random places of rendered views and their targets."""

    def __init__(self, network: nn.Module, weight: float, seed: int) -> None:
        """Draw the patches' places from `seed` and the iteration."""
        self.network = network
        self.weight = weight
        self.seed = seed

    def __call__(self, rendered: Tensor, target: Tensor, iteration: int) -> Tensor:
        """The term of the loss, a scalar, for views `(C, H, W, 3)` in [0, 1]."""
        views, height, width, _ = rendered.shape
        side = (min(PATCH_PX, height), min(PATCH_PX, width))
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "patches", iteration))
        chances = torch.rand((PATCHES, 3), generator=generator).tolist()
        patches = []
        for view, down, right in chances:
            top, left = int(down * (height - side[0] + 1)), int(right * (width - side[1] + 1))
            place = (slice(top, top + side[0]), slice(left, left + side[1]))
            chosen = min(int(view * views), views - 1)
            patches.append((rendered[chosen][place], target[chosen][place]))
        first, second = (
            torch.stack(images).permute(0, 3, 1, 2) for images in zip(*patches, strict=True)
        )
        return self._term(first, second)

    def of_patches(self, rendered: Tensor, target: Tensor) -> Tensor:
        """The term of the loss, a scalar, for patches `(P, S, S, 3)` in [0, 1]."""
        return self._term(rendered.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2))

    def _term(self, first: Tensor, second: Tensor) -> Tensor:
        return self.weight * self.network(2 * first - 1, 2 * second - 1).mean()


def lpips_file(stylization: Mapping[str, Any]) -> Path | None:
    """The file of the weights that `stylization` needs, or None if its LPIPS weight is 0.

    Raises:
        InputError: the file is missing.
    """
    if not stylization["lpips_weight"]:
        return None
    if stylization["lpips_net"] == "mini":
        return embedded_file("perceptual/model.safetensors")
    return find_backbone(stylization["lpips_net"], stylization["lpips_weights"])


def make_perceptual_loss(
    stylization: Mapping[str, Any], seed: int, device: str
) -> PatchLpips | None:
    """The perceptual term of the config's section `stylization`, or None if its weight is 0.

    Raises:
        InputError: the weights are missing or damaged.
    """
    path = lpips_file(stylization)
    if path is None:
        return None
    net = stylization["lpips_net"]
    network = load_mini(path) if net == "mini" else load_network(net, path)
    return PatchLpips(network.to(device), stylization["lpips_weight"], seed)
