"""CLIP image similarity: how much of the unedited view CLIP still sees in the edited one.

Source: Brooks et al., "InstructPix2Pix", CVPR 2023, section 4; `sim_image` in its code, which that
of Instruct-NeRF2NeRF (Haque et al., ICCV 2023) takes over.
"""

from torch import Tensor

from headstyle.consistency.pairs import Scene
from headstyle.consistency.parts.clip_metric import ClipOfViews


class ClipImage(ClipOfViews):
    """cos(E(e_t), E(o_t)) of the target t alone.

    E is CLIP's embedding of unit length, e the edited and o the unedited view. It falls as the edit
    grows; no measure of consistency.
    """

    name = "clip_image"

    def of_views(self, scene: Scene) -> Tensor:
        edited, before = self._clip.views(scene)
        return (edited * before).sum(dim=1)
