"""Learned perceptual difference LPIPS (Zhang et al. 2018), as in the study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstyle.base.settings import Setting
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch
from headstyle.consistency.parts.lpips_windows import WindowedLpips
from headstyle.losses.lpips_networks import download_backbone, find_backbone, load_network

SETTINGS = (
    Setting(
        "lpips_net",
        "squeeze",
        {"enum": ["squeeze", "alex", "vgg"]},
        meaning="Backbone of LPIPS.",
    ),
    Setting(
        "lpips_weights",
        None,
        {"type": ["string", "null"]},
        meaning="File with the weights of that backbone. null looks in torch's cache.",
    ),
)


class Lpips(Metric):
    """LPIPS (version 0.1) of both images, black outside the overlap, averaged over the frame.

    The network is that of the lpips package, which takes images in [-1, 1]; its backbone comes from
    a file. The empty frame lowers the mean, as it does in the published study.
    """

    name = "lpips"
    units = "LPIPS, 0 and up"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        [weights] = self.weights(settings)
        self.network = self.load(weights).to(device)
        self._windowed = WindowedLpips(self.network)

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        return [find_backbone(settings["lpips_net"], settings.get("lpips_weights"))]

    @classmethod
    def download(cls, settings: Mapping[str, Any]) -> list[Path]:
        return download_backbone(settings["lpips_net"], settings["lpips_weights"])

    def load(self, weights: Path) -> torch.nn.Module:
        """The network with the weights of a file."""
        return load_network(self.settings["lpips_net"], weights)

    def __call__(self, batch: PairBatch) -> Tensor:
        # On the CPU each pair has a window of its own, which is smaller than one for all.
        together = len(batch.overlap) if self.device.type == "cuda" else 1
        maps = (batch.target, batch.warped, batch.overlap)
        parts = zip(*(values.split(together) for values in maps), strict=True)
        return torch.cat([self._windowed(*part) for part in parts])
