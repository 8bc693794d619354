"""CLIP text-image direction similarity: whether the edit went from one caption to the other.

Source: Haque et al., "Instruct-NeRF2NeRF", ICCV 2023, section 4; in the code of Brooks et al.,
"InstructPix2Pix", CVPR 2023, it is `sim_direction`. The direction is that of Gal et al. 2022.
"""

from torch import Tensor

from headstyle.consistency.pairs import Scene
from headstyle.consistency.parts.clip_metric import ClipOfViews


class ClipDirection(ClipOfViews):
    """cos(E(e_t) − E(o_t), T(after) − T(before)) of the target t alone.

    E and T are CLIP's embeddings of unit length, e the edited and o the unedited view; `before` and
    `after` are the captions of the prompts table. It says how well the edit follows its captions,
    not how consistent it is; scenes without captions have no value.
    """

    name = "clip_direction"

    def of_views(self, scene: Scene) -> Tensor | None:
        if scene.captions is None:
            return None
        return self._clip.edit_directions(scene) @ self._clip.caption_direction(scene.captions)
