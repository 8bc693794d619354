"""CLIP directional similarity: whether the edit went where the instruction points.

Source: Gal et al., "StyleGAN-NADA: CLIP-Guided Domain Adaptation of Image Generators", ACM
Transactions on Graphics 41(4), 2022, section 3.3; for edits by instruction as in Brooks et al.,
"InstructPix2Pix", CVPR 2023, section 4.1.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstyle.base.errors import InputError
from headstyle.base.settings import Setting
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.clip import Clip, clip_files, download_clip

SETTINGS = (
    Setting(
        "clip_neutral_text",
        "a photo of a person",
        {"type": "string", "minLength": 1},
        meaning="What clip_similarity takes the instruction to lead away from.",
    ),
)


class ClipSimilarity(Metric):
    """cos(E(e_t) − E(o_t), T(after) − T(before)) of the target t alone.

    E and T are CLIP's embeddings of unit length, e the edited and o the unedited view on gray,
    `after` the instruction and `before` the config's `clip_neutral_text`. It says how well the edit
    follows its text, not how consistent it is; scenes without an instruction have no value.
    """

    name = "clip_similarity"
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
        directions = self._clip.edit_directions(scene)
        if scene.instruction is None:
            self._similarities = torch.full_like(directions[:, 0], torch.nan)
            return
        neutral = self.settings["clip_neutral_text"]
        if neutral == scene.instruction:
            raise InputError(
                f"metrics.clip_neutral_text is the instruction {neutral!r} itself; change it"
            )
        before, after = self._clip.embed_texts([neutral, scene.instruction])
        self._similarities = directions @ torch.nn.functional.normalize(after - before, dim=0)

    def __call__(self, batch: PairBatch) -> Tensor:
        assert self._similarities is not None, "prepare() comes first"
        return self._similarities[list(batch.targets)].double()
