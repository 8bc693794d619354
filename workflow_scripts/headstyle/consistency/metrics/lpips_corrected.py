"""Learned perceptual difference LPIPS of what two views share, and of nothing else."""

from typing import Any

import torch
from torch import Tensor

from headstyle.consistency.metrics.lpips import Lpips
from headstyle.consistency.pairs import PairBatch
from headstyle.consistency.parts.filling import overlap_crops
from headstyle.losses.squeeze_lpips import unit_features

# The largest step between the features of the backbones [px].
STRIDE = 32


class LpipsCorrected(Lpips):
    """LPIPS (version 0.1) as a map per layer, averaged over the overlap, on the overlap's crop.

    Both images are continued smoothly beyond the overlap, so that receptive fields see neither
    background nor black. If the overlap is the whole frame, the value is the package's LPIPS.
    """

    name = "lpips_corrected"
    warp = "corrected"

    @torch.inference_mode()
    def __call__(self, batch: PairBatch) -> Tensor:
        return masked_lpips(self.network, batch)


def masked_lpips(network: Any, batch: PairBatch) -> Tensor:
    """Per layer the mean of its differences over the overlap, summed over layers.

    Args:
        network: An `lpips.LPIPS` or a `SqueezeLpips`.
        batch: The pairs.

    Returns:
        One value per pair, NaN without overlap. Shape `(N,)`, float64.
    """
    values = batch.target.new_full((len(batch.target),), torch.nan, dtype=torch.float64)
    for crops in overlap_crops(batch, STRIDE):
        features = [
            network.net(network.scaling_layer(image * 2 - 1))
            for image in (crops.target, crops.warped)
        ]
        inside = crops.overlap.to(crops.target.dtype)
        total = torch.zeros(len(crops.rows), dtype=torch.float64, device=values.device)
        for head, *pair in zip(network.lins, *features, strict=True):
            first, second = (unit_features(layer) for layer in pair)
            differences = head((first - second).square()).double()
            # The weight of a cell is the share of it that lies in the overlap.
            weight = torch.nn.functional.interpolate(inside, differences.shape[2:], mode="area")
            weight = weight.double()
            total += (differences * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3))
        values[crops.rows] = total
    return values
