"""What the page shows of a pair of views: the warped source, what counts, and how they differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.consistency.measuring import Comparison
from headstyle.consistency.metrics.headline import Headline
from headstyle.consistency.pair_batches import PairWarper, batches, make_scene
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.color_difference import delta_e, lab_from_srgb
from headstyle.consistency.parts.kinds import Pair, PairKinds
from headstyle.consistency.warping import relative_projections

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
        self._warper = PairWarper(self._scene, settings)
        index = comparison.cameras.index
        self.positions = [(index(target), index(source)) for target, source in comparison.pairs]

    def pairs(self, positions: Sequence[tuple[int, int]]) -> Iterator[SeenPair]:
        """The pairs (target, source), in batches of views of one size."""
        for rows in batches(positions, self._scene):
            batch = self._warper.batch("corrected", [positions[row] for row in rows])
            difference = torch.zeros(batch.overlap.shape)
            colors = (image[batch.overlap] for image in (batch.target, batch.warped))
            difference[batch.overlap] = delta_e(*(lab_from_srgb(each) for each in colors))
            for i, row in enumerate(rows):
                yield SeenPair(
                    *positions[row],
                    batch.warped[i].numpy(),
                    self._reasons(*positions[row], batch.overlap[i]).numpy(),
                    difference[i].numpy(),
                )

    def kinds(self) -> dict[Pair, PairKinds]:
        """How each pair disagrees by the headline score, where the metrics did not measure it.

        A pair has one value of each kind, whichever of its views is warped.
        """
        headline = Headline(self._settings, torch.device("cpu"))
        headline.prepare(self._scene)
        pairs = sorted({(min(pair), max(pair)) for pair in self.positions})
        nothing = torch.zeros(0)
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            first, second = zip(*pairs[start : start + _PAIRS_AT_ONCE], strict=True)
            headline(PairBatch(nothing, nothing, nothing, None, first, second))
        return headline.kinds

    def _reasons(self, target: int, source: int, overlap: Tensor) -> Tensor:
        """What each pixel of the target is. Shape `(H, W)`, uint8.

        A pixel is at the silhouette where either view's surface ends, jumps in depth or leaves the
        frame. It is occluded where the source sees something nearer, and its depth disagrees where
        the source sees something farther, or where the way back misses the pixel.
        """
        depths, sound = self._warper.sound
        left_out = self._scene.foreground[target] & ~overlap
        reasons = torch.full(overlap.shape, BACKGROUND, dtype=torch.uint8)
        reasons[overlap] = COUNTS
        reasons[left_out] = SILHOUETTE
        y, x = torch.nonzero(left_out & sound[target], as_tuple=True)
        place, expected = self._carried(target, source, x, y)
        seen = _looked_up(depths[source], sound[source], place, expected)
        found = torch.where(seen < expected, OCCLUDED, DEPTH_DISAGREES)
        reasons[y, x] = found.where(seen > 0, SILHOUETTE).to(torch.uint8)
        return reasons

    def _carried(self, target: int, source: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Place (x, y) and depth in the source of some of the target's pixels. `(M, 2)`, `(M,)`."""
        matrix = relative_projections(self._scene.cameras, [source], [target])[0].float()
        rays = torch.stack([x + 0.5, y + 0.5, torch.ones(len(x))], dim=1)
        points = self._warper.sound[0][target][y, x][:, None] * rays
        moved = points @ matrix[:, :3].T + matrix[:, 3]
        return moved[:, :2] / moved[:, 2:], moved[:, 2]


def _looked_up(depth: Tensor, sound: Tensor, place: Tensor, z: Tensor) -> Tensor:
    """The source's depth at each place, 0 where it cannot be trusted. Shape `(M,)`."""
    height, width = depth.shape
    inside = (z > 0) & (place >= 0).all(dim=1) & (place < place.new_tensor([width, height])).all(1)
    x, y = place.where(inside[:, None], 0).long().unbind(dim=1)
    return depth[y, x].where(inside & sound[y, x], 0)
