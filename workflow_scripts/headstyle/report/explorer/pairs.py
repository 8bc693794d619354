"""What the page shows of a pair of views: the warped source, what counts, and how they differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.consistency.measuring import Comparison
from headstyle.consistency.metrics.headline import HEAD_PX
from headstyle.consistency.pair_batches import PairWarper, batches, make_scene
from headstyle.consistency.pairs import Scene
from headstyle.consistency.parts.color_difference import delta_e, lab_from_srgb
from headstyle.consistency.parts.disagreement import disagreements
from headstyle.consistency.parts.headline_views import head_pairs, head_views
from headstyle.consistency.warping import relative_projections, sound_surface

BACKGROUND, COUNTS, OCCLUDED, DEPTH_DISAGREES, SILHOUETTE = range(5)
"""What a pixel of the target is: beyond the head; compared; or the reason why it is left out."""
REASONS = ("background", "counts", "occluded", "depth disagrees", "silhouette")
_PAIRS_AT_ONCE = 32


@dataclass(frozen=True)
class SeenPair:
    """One pair in the frame of its target."""

    target: int
    source: int
    warped: NDArray[np.float32]
    """The source's colors at the target's pixels, sRGB in [0, 1]. Shape `(H, W, 3)`."""
    reasons: NDArray[np.uint8]
    """What each pixel is: a place in `REASONS`. Shape `(H, W)`."""
    difference: NDArray[np.float32]
    """Color difference of the compared pixels [dE00], 0 elsewhere. Shape `(H, W)`."""


class PairLooker:
    """Looks at the pairs of one scene as the corrected metrics do.

    Args:
        comparison: The scene.
        settings: The config's `metrics` section.
    """

    def __init__(self, comparison: Comparison, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._scene: Scene = make_scene(
            comparison.images,
            comparison.depths,
            comparison.cameras,
            settings["foreground_alpha"],
            torch.device("cpu"),
            unedited=comparison.unedited,
        )
        index = comparison.cameras.index
        self.positions = [(index(target), index(source)) for target, source in comparison.pairs]

    def pairs(self, positions: Sequence[tuple[int, int]]) -> Iterator[SeenPair]:
        """The pairs (target, source), in batches of views of one size."""
        scene, warper = self._scene, PairWarper(self._scene, self._settings)
        surfaces = [
            sound_surface(depth[None], mask[None], self._settings["depth_jump"])
            for depth, mask in zip(scene.depths, scene.foreground, strict=True)
        ]
        for rows in batches(positions, scene):
            batch = warper.batch("corrected", [positions[row] for row in rows])
            first, second = lab_from_srgb(batch.target), lab_from_srgb(batch.warped)
            difference = delta_e(first, second).where(batch.overlap, 0)
            for i, row in enumerate(rows):
                target, source = positions[row]
                place, z = self._carried(target, source, surfaces[target][0][0])
                reasons = _reasons(
                    scene.foreground[target],
                    surfaces[target][1][0],
                    batch.overlap[i],
                    _looked_up(surfaces[source][0][0], surfaces[source][1][0], place, z),
                    z,
                )
                yield SeenPair(
                    target,
                    source,
                    batch.warped[i].numpy(),
                    reasons.numpy(),
                    difference[i].numpy(),
                )

    def kinds(self) -> dict[tuple[int, int], list[float]]:
        """The kinds of disagreement of the headline score of each pair, in their units.

        A pair has one value of each kind, whichever of its views is warped: the key is (lower
        index, higher index).
        """
        settings = self._settings
        pairs = sorted({(min(pair), max(pair)) for pair in self.positions})
        views = head_views(
            self._scene, HEAD_PX, settings["depth_jump"], settings["foreground_alpha"]
        )
        found: dict[tuple[int, int], list[float]] = {}
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            some = pairs[start : start + _PAIRS_AT_ONCE]
            first, second = zip(*some, strict=True)
            tolerance, round_trip = settings["depth_tolerance"], settings["round_trip_px"]
            values = disagreements(head_pairs(views, first, second, tolerance, round_trip))
            found |= dict(zip(some, values.tolist(), strict=True))
        return found

    def _carried(self, target: int, source: int, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Place (x, y) and depth in the source of the target's pixels. `(H, W, 2)`, `(H, W)`."""
        matrix = relative_projections(self._scene.cameras, [source], [target])[0].float()
        height, width = depth.shape
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        rays = torch.stack([x, y, torch.ones_like(x)], dim=2)
        moved = (depth[..., None] * rays) @ matrix[:, :3].T + matrix[:, 3]
        return moved[..., :2] / moved[..., 2:], moved[..., 2]


def _looked_up(depth: Tensor, sound: Tensor, place: Tensor, z: Tensor) -> Tensor:
    """The source's depth at each place, 0 where it cannot be trusted. Shape `(H, W)`."""
    height, width = depth.shape
    inside = (z > 0) & (place >= 0).all(dim=2) & (place < place.new_tensor([width, height])).all(2)
    x, y = place.where(inside[..., None], 0).long().unbind(dim=2)
    return depth[y, x].where(inside & sound[y, x], 0)


def _reasons(
    foreground: Tensor, sound: Tensor, overlap: Tensor, seen: Tensor, expected: Tensor
) -> Tensor:
    """What each pixel of the target is. Shape `(H, W)`, uint8.

    A pixel is at the silhouette where either view's surface ends, jumps in depth or leaves the
    frame. It is occluded where the source sees something nearer, and its depth disagrees where the
    source sees something farther, or where the way back misses the pixel.
    """
    reasons = torch.full(foreground.shape, DEPTH_DISAGREES, dtype=torch.uint8)
    reasons[seen < expected] = OCCLUDED
    reasons[~sound | (seen == 0)] = SILHOUETTE
    reasons[overlap] = COUNTS
    reasons[~foreground & ~overlap] = BACKGROUND
    return reasons
