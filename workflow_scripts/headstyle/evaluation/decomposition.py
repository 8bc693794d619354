"""Where an avatar's disagreement went: what its edits disagree in, what its splats left out of
them, and what still shows between its renders.

Splats are trained on edits that disagree, and average them. What they average away is missing in
the renders, as blur or as a weaker edit; the rest shows as disagreement between the renders. All
three are counted in the steps of the headline score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.consistency.metrics.headline import HEAD_PX, STEPS, headline, steps_of
from headstyle.consistency.pair_batches import make_scene
from headstyle.consistency.parts.disagreement import TERMS, disagreements
from headstyle.consistency.parts.headline_views import (
    HeadPairs,
    HeadViews,
    head_pairs,
    head_views,
)

Kinds = NDArray[np.float32]
"""Each kind of `headstyle.consistency.parts.disagreement.TERMS`, in its unit; NaN where a pair has
nothing in common. Shape `(N, 5)`."""
BATCH = 16
"""Pairs that are compared at once; more take more memory."""


@dataclass(frozen=True)
class Part:
    """How much pairs of images disagree."""

    steps: float
    """Mean over the pairs of the steps of all kinds together."""
    kind: str
    """The kind with the most steps in the mean."""
    headline: float
    """The pairs' mean headline score."""


@dataclass(frozen=True)
class Rig:
    """What is the same for all images of a subject."""

    cameras: Cameras
    depths: Sequence[NDArray[np.float32]]
    """z of the baseline in the camera, 0 where there is none. Shape `(H, W)` each."""
    settings: Mapping[str, Any]
    """The config's `metrics` section."""
    device: torch.device

    def views(self, images: Sequence[RgbaImage], before: Sequence[RgbaImage]) -> HeadViews:
        """Views at the scale of the headline score, with the same views before the edit."""
        alpha = self.settings["foreground_alpha"]
        scene = make_scene(
            images, self.depths, self.cameras, alpha, self.device, unedited=list(before)
        )
        return head_views(scene, HEAD_PX, self.settings["depth_jump"], alpha)


def part_of(kinds: Kinds) -> Part:
    """Sum up how pairs disagree; NaN without a pair that has something in common."""
    known = kinds[np.isfinite(kinds).all(axis=1)].astype(np.float64)
    if not len(known):
        return Part(float("nan"), "", float("nan"))
    steps = known / np.array([STEPS[kind] for kind in TERMS])
    tensor = torch.from_numpy(known)
    kind = TERMS[int(steps.mean(axis=0).argmax())]
    return Part(float(steps_of(tensor).mean()), kind, float(headline(tensor).mean()))


def kinds_between(
    rig: Rig,
    images: Sequence[RgbaImage],
    before: Sequence[RgbaImage],
    pairs: Sequence[tuple[int, int]],
) -> Kinds:
    """How images disagree with each other, over the baseline's surface.

    Args:
        rig: Cameras and depth.
        images: The images of the cameras. Shape `(H, W, 4)` each.
        before: The same views before the edit.
        pairs: Places of the views that are compared.
    """
    views = rig.views(images, before)
    tolerance, round_trip = rig.settings["depth_tolerance"], rig.settings["round_trip_px"]
    found = [np.zeros((0, len(TERMS)), np.float32)]
    for start in range(0, len(pairs), BATCH):
        first, second = zip(*pairs[start : start + BATCH], strict=True)
        compared = head_pairs(views, first, second, tolerance, round_trip)
        found.append(disagreements(compared).cpu().numpy().astype(np.float32))
    return np.concatenate(found)


def kinds_left_out(
    rig: Rig,
    edits: Sequence[RgbaImage],
    photographs: Sequence[RgbaImage],
    renders: Sequence[RgbaImage],
    baseline: Sequence[RgbaImage],
) -> Kinds:
    """How each render disagrees with the edit of its own view.

    Only pixels count that both show, and what the baseline's render lacks of the photograph is
    forgiven.

    Args:
        rig: Cameras and depth.
        edits: What the splats were trained on. Shape `(H, W, 4)` each.
        photographs: The edits' views before the edit.
        renders: The avatar's renders.
        baseline: The baseline's renders.
    """
    alphas = [np.minimum(e[..., 3:], r[..., 3:]) for e, r in zip(edits, renders, strict=True)]
    shown, wanted = (
        [
            np.concatenate([image[..., :3], alpha], axis=2)
            for image, alpha in zip(images, alphas, strict=True)
        ]
        for images in (renders, edits)
    )
    render, edit = rig.views(shown, baseline), rig.views(wanted, photographs)
    first, second = (views.channels.permute(0, 3, 1, 2) for views in (render, edit))
    shared = (edit.depth > 0)[:, None].to(first)
    plain = shared * (first[:, 6:] > 0.5) * (second[:, 6:] > 0.5)
    found = [np.zeros((0, len(TERMS)), np.float32)]
    for start in range(0, len(shared), BATCH):
        part = slice(start, start + BATCH)
        pairs = HeadPairs(
            *(first[part, :3], second[part, :3], first[part, 3:6], second[part, 3:6]),
            *(shared[part], plain[part], render.head_px),
        )
        found.append(disagreements(pairs).cpu().numpy().astype(np.float32))
    return np.concatenate(found)
