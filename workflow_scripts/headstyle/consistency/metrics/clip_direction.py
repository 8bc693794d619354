"""CLIP text-image direction similarity: whether the edit went from one caption to the other.

Source: Haque et al., "Instruct-NeRF2NeRF", ICCV 2023, section 4; in the code of Brooks et al.,
"InstructPix2Pix", CVPR 2023, it is `sim_direction`. The direction is that of Gal et al. 2022.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.clip import Clip, clip_files, download_clip


class ClipDirection(Metric):
    """cos(E(e_t) − E(o_t), T(after) − T(before)) of the target t alone.

    E and T are CLIP's embeddings of unit length, e the edited and o the unedited view; `before` and
    `after` are the captions of the prompts table. It says how well the edit follows its captions,
    not how consistent it is; scenes without captions have no value.
    """

    name = "clip_direction"
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
        directions = self._clip.edit_directions(scene)
        self._similarities = directions @ self._clip.caption_direction(scene.captions)

    def __call__(self, batch: PairBatch) -> Tensor:
        assert self._similarities is not None, "prepare() comes first"
        return self._similarities[list(batch.targets)].double()
