"""CLIP image similarity: how much of the unedited view CLIP still sees in the edited one.

Source: Brooks et al., "InstructPix2Pix", CVPR 2023, section 4; `sim_image` in its code, which that
of Instruct-NeRF2NeRF (Haque et al., ICCV 2023) takes over.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.clip import Clip, clip_files, download_clip


class ClipImage(Metric):
    """cos(E(e_t), E(o_t)) of the target t alone.

    E is CLIP's embedding of unit length, e the edited and o the unedited view. It falls as the edit
    grows; no measure of consistency.
    """

    name = "clip_image"
    units = "cosine, −1 to 1"
    direction = "higher"
    warp = "corrected"
    has_ceiling = False

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._clip = Clip.of(settings, device)
        self._similarities: Tensor | None = None

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        return clip_files(settings.get("clip_model"), settings.get("clip_revision"))

    @classmethod
    def download(cls, settings: Mapping[str, Any]) -> list[Path]:
        return download_clip(settings["clip_model"], settings.get("clip_revision"))

    def prepare(self, scene: Scene) -> None:
        edited, before = self._clip.views(scene)
        self._similarities = (edited * before).sum(dim=1)

    def __call__(self, batch: PairBatch) -> Tensor:
        assert self._similarities is not None, "prepare() comes first"
        return self._similarities[list(batch.targets)].double()
