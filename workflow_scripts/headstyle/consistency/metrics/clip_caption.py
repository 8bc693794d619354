"""CLIP similarity of the edited view and the caption that it should have.

Source: `sim_1` in the code of Brooks et al., "InstructPix2Pix", CVPR 2023, which that of
Instruct-NeRF2NeRF (Haque et al., ICCV 2023) takes over; later papers call it the CLIP score.
"""

from torch import Tensor

from headstyle.consistency.pairs import Scene
from headstyle.consistency.parts.clip_metric import ClipOfViews


class ClipCaption(ClipOfViews):
    """cos(E(e_t), T(after)) of the target t alone.

    E and T are CLIP's embeddings of unit length, e the edited view and `after` the caption of the
    prompts table. It does not ask where the view came from; scenes without captions have no value.
    """

    name = "clip_caption"

    def of_views(self, scene: Scene) -> Tensor | None:
        if scene.captions is None:
            return None
        edited, _ = self._clip.views(scene)
        return edited @ self._clip.embed_texts(scene.captions)[1]
