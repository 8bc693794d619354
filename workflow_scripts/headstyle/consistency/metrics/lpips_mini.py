"""A small perceptual difference in the form of LPIPS, with weights that headstyle trained itself.

It is not LPIPS: its network was trained on neither photographs nor people's judgements. See
`resources/models/perceptual/MODEL_CARD.md`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from headstyle.base.embedded import embedded_file
from headstyle.consistency.metrics.lpips import Lpips
from headstyle.losses.lpips_networks import load_mini


class LpipsMini(Lpips):
    """As the published LPIPS: both images black outside the overlap, averaged over the frame."""

    name = "lpips_mini"
    units = "LPIPS mini, 0 and up"

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        return [embedded_file("perceptual/model.safetensors")]

    @classmethod
    def download(cls, settings: Mapping[str, Any]) -> list[Path]:
        return []  # It comes with the repository.

    def load(self, weights: Path) -> torch.nn.Module:
        return load_mini(weights)
