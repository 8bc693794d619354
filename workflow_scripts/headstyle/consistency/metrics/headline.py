"""Headline score: one number for how consistent the views of an avatar are, from 0 to 1.

1: no pair of views disagrees in anything but what the unedited views disagree in already, so the
avatar cannot be told from its baseline. 0: the views disagree as much as shuffled ones do. What
counts, and how much of it, was chosen on one half of the ladders of `calibrate_metrics`.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.disagreement import TERMS, disagreements
from headstyle.consistency.parts.headline_views import HeadViews, head_pairs, head_views

HEAD_PX = 96.0
"""Views are reduced until the head has this size."""
STEPS: Mapping[str, float] = {
    "color": 1.8,
    "place": 0.5,
    "detail": 0.85,
    "sharpness": 0.12,
    "strength": 0.07,
}
"""One step of each kind of disagreement, in its units: about what a level of its ladder adds."""
SHUFFLED_STEPS = 15.0
"""Disagreement of shuffled views, in steps."""
LINEAR_STEPS = 1.5
"""Below so many steps the score falls about linearly, above by the logarithm."""


class Headline(Metric):
    """1 − ln(1 + d/1.5) / ln(1 + d₀/1.5), not below 0, of each pair's disagreement d in steps.

    d is that of the kind of disagreement (`headstyle.consistency.parts.disagreement`) that has most
    of its own steps; d₀ is that of shuffled views. A pair has one value, whichever of its views is
    warped. Without unedited views nothing is forgiven, and the edit's strength is not compared.
    """

    name = "headline"
    units = "0 to 1"
    direction = "higher"
    warp = "corrected"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._views: HeadViews | None = None
        self._known: dict[tuple[int, int], float] = {}

    def prepare(self, scene: Scene) -> None:
        settings = self.settings
        self._views = head_views(
            scene, HEAD_PX, settings["depth_jump"], settings["foreground_alpha"]
        )
        self._known = {}

    def __call__(self, batch: PairBatch) -> Tensor:
        pairs = [(min(pair), max(pair)) for pair in zip(batch.targets, batch.sources, strict=True)]
        new = sorted(set(pairs) - set(self._known))
        if new:
            self._known.update(zip(new, self._scores(new).tolist(), strict=True))
        values = [self._known[pair] for pair in pairs]
        return torch.tensor(values, dtype=torch.float64, device=batch.target.device)

    def _scores(self, pairs: list[tuple[int, int]]) -> Tensor:
        assert self._views is not None, "prepare() comes first"
        first, second = zip(*pairs, strict=True)
        tolerance, round_trip = self.settings["depth_tolerance"], self.settings["round_trip_px"]
        return headline(
            disagreements(head_pairs(self._views, first, second, tolerance, round_trip))
        )


def headline(found: Tensor) -> Tensor:
    """The score of each pair's disagreements, in [0, 1]; NaN where these are. `(N, 5)` to `(N,)`.

    Args:
        found: The kinds of `headstyle.consistency.parts.disagreement.TERMS`, each in its own units.
    """
    most = (found / found.new_tensor([STEPS[kind] for kind in TERMS])).amax(dim=1)
    worst = math.log1p(SHUFFLED_STEPS / LINEAR_STEPS)
    return (1 - torch.log1p(most / LINEAR_STEPS) / worst).clamp(min=0)
