"""CLIP direction consistency: whether CLIP sees the same edit in both views.

After Haque et al., "Instruct-NeRF2NeRF: Editing 3D Scenes with Instructions", ICCV 2023, section 4.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.clip_metric import ClipMetric


class ClipConsistency(ClipMetric):
    """cos(E(e_t) − E(o_t), E(e_s) − E(o_s)) of target t and source s.

    E is CLIP's image embedding of unit length, e the edited and o the unedited view. Both are on
    gray and not warped. If the edit did not change a view, it has no direction, so its cosine is 0.
    """

    name = "clip_consistency"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._directions: Tensor | None = None

    def prepare(self, scene: Scene) -> None:
        self._directions = self._clip.edit_directions(scene)

    def __call__(self, batch: PairBatch) -> Tensor:
        assert self._directions is not None, "prepare() comes first"
        targets, sources = (self._directions[list(side)] for side in (batch.targets, batch.sources))
        return (targets * sources).sum(dim=1).double()
