"""CLIP similarity of the edited view and the caption that it should have.

Source: `sim_1` in the code of Brooks et al., "InstructPix2Pix", CVPR 2023, which that of
Instruct-NeRF2NeRF (Haque et al., ICCV 2023) takes over; later papers call it the CLIP score.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.clip import Clip, clip_files, download_clip


class ClipCaption(Metric):
    """cos(E(e_t), T(after)) of the target t alone.

    E and T are CLIP's embeddings of unit length, e the edited view and `after` the caption of the
    prompts table. It does not ask where the view came from; scenes without captions have no value.
    """

    name = "clip_caption"
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
        if scene.captions is None:
            self._similarities = scene.colors[0].new_full((len(scene.colors),), torch.nan)
            return
        edited, _ = self._clip.views(scene)
        self._similarities = edited @ self._clip.embed_texts(scene.captions)[1]

    def __call__(self, batch: PairBatch) -> Tensor:
        assert self._similarities is not None, "prepare() comes first"
        return self._similarities[list(batch.targets)].double()
