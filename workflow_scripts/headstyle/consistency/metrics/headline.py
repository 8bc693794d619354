"""Headline score: one number for how consistent the views of an avatar are, from 0 to 1.

At 1, views disagree only in what the unedited views disagree in already, so the avatar is as
consistent as its baseline. Shuffled views score about 0.1. The kinds of disagreement and their
weights were chosen on procedural heads that neither `calibrate_metrics` nor the held-out half of
`calibrate_trained` uses.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.disagreement import (
    TERMS,
    Unedited,
    unedited_disagreements,
)
from headstyle.consistency.parts.headline_views import HeadViews, head_pairs, head_views
from headstyle.consistency.parts.kinds import Pair, PairKinds, pair_kinds

HEAD_PX = 96.0
"""Views are reduced until the head has this size."""
STEPS: Mapping[str, float] = {
    "color": 4.0,
    "place": 0.8,
    "detail": 1.3,
    "sharpness": 0.12,
    "strength": 0.05,
}
"""One step of each kind of disagreement, in its units.

A step of any kind in the edits takes an avatar about equally far from the true edit."""
POWER = 3
"""Steps are added after they are raised to this power: the largest count weighs by far the most."""
HALF_STEPS = 5.0
"""At this many steps the score is one half."""
STEEPNESS = 2.5
"""Exponent of the steps. True edits score above 0.95 and shuffled views below 0.15."""


class Headline(Metric):
    """1 / (1 + (d / 5)^2.5) of each pair's disagreement d in steps.

    Each kind of disagreement (`headstyle.consistency.parts.disagreement`) is counted in its own
    steps; d is the cube root of the sum of their cubes. A pair has one value, whichever of its
    views is warped.
    Without unedited views, all disagreement counts and the edit's strength is not compared.
    """

    name = "headline"
    units = "0 to 1"
    direction = "higher"
    warp = "corrected"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._cameras: Cameras | None = None
        self._views: HeadViews | None = None
        self._known: dict[Pair, float] = {}
        self.kinds: dict[Pair, PairKinds] = {}
        """How each pair that was scored disagrees."""
        self._unedited: dict[tuple[Pair, ...], Unedited] = {}
        self._given: Mapping[tuple[Pair, ...], Unedited] = {}

    def take_over(self, other: "Headline") -> None:
        """Before `prepare`: take what `other` found of the unedited views, instead of finding it.

        The scene of `other` may differ in the edited colors only.
        """
        self._given = other._unedited

    def prepare(self, scene: Scene) -> None:
        settings = self.settings
        self._cameras = scene.cameras
        self._views = head_views(
            scene, HEAD_PX, settings["depth_jump"], settings["foreground_alpha"]
        )
        self._known, self.kinds, self._unedited = {}, {}, dict(self._given)

    def __call__(self, batch: PairBatch) -> Tensor:
        pairs = [(min(pair), max(pair)) for pair in zip(batch.targets, batch.sources, strict=True)]
        new = sorted(set(pairs) - set(self._known))
        if new:
            self._known.update(zip(new, self._scores(new).tolist(), strict=True))
        values = [self._known[pair] for pair in pairs]
        return torch.tensor(values, dtype=torch.float64, device=batch.target.device)

    def _scores(self, pairs: list[Pair]) -> Tensor:
        views, cameras = self._views, self._cameras
        assert views is not None, "prepare() comes first"
        assert cameras is not None, "prepare() comes first"
        first, second = zip(*pairs, strict=True)
        tolerance, round_trip = self.settings["depth_tolerance"], self.settings["round_trip_px"]
        heads = head_pairs(views, first, second, tolerance, round_trip)
        key = tuple(pairs)
        if key not in self._unedited:
            self._unedited[key] = unedited_disagreements(heads)
        values, found = pair_kinds(heads, self._unedited[key], first, views, cameras)
        self.kinds.update(zip(pairs, found, strict=True))
        return headline(values)


def headline(found: Tensor) -> Tensor:
    """The score of each pair's disagreements, in (0, 1]; NaN where these are. `(N, 5)` to `(N,)`.

    Args:
        found: The kinds of `headstyle.consistency.parts.disagreement.TERMS`, each in its own units.
    """
    return 1 / (1 + (steps_of(found) / HALF_STEPS) ** STEEPNESS)


def steps_of(found: Tensor) -> Tensor:
    """How many steps each pair disagrees by, all kinds together. `(N, 5)` to `(N,)`."""
    steps = found / found.new_tensor([STEPS[kind] for kind in TERMS])
    return steps.pow(POWER).sum(dim=1).pow(1 / POWER)
