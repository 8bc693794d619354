"""CLIP directional similarity: whether the edit went where the instruction points.

Source: Gal et al., "StyleGAN-NADA: CLIP-Guided Domain Adaptation of Image Generators", ACM
Transactions on Graphics 41(4), 2022, section 3.3; for edits by instruction as in Brooks et al.,
"InstructPix2Pix", CVPR 2023, section 4.1.
"""

import torch
from torch import Tensor

from headstyle.base.errors import InputError
from headstyle.base.settings import Setting
from headstyle.consistency.pairs import Scene
from headstyle.consistency.parts.clip_metric import ClipOfViews

SETTINGS = (
    Setting(
        "clip_neutral_text",
        "a photo of a person",
        {"type": "string", "minLength": 1},
        meaning="What clip_similarity takes the instruction to lead away from.",
    ),
)


class ClipSimilarity(ClipOfViews):
    """cos(E(e_t) − E(o_t), T(after) − T(before)) of the target t alone.

    E and T are CLIP's embeddings of unit length, e the edited and o the unedited view on gray,
    `after` the instruction and `before` the config's `clip_neutral_text`. It says how well the edit
    follows its text, not how consistent it is; scenes without an instruction have no value.
    """

    name = "clip_similarity"

    def of_views(self, scene: Scene) -> Tensor | None:
        if scene.instruction is None:
            return None
        neutral = self.settings["clip_neutral_text"]
        if neutral == scene.instruction:
            raise InputError(
                f"metrics.clip_neutral_text is the instruction {neutral!r} itself; change it"
            )
        before, after = self._clip.embed_texts([neutral, scene.instruction])
        directions = self._clip.edit_directions(scene)
        return directions @ torch.nn.functional.normalize(after - before, dim=0)
