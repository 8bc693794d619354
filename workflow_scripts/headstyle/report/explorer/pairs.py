"""What the page shows of a pair of views: the warped source, what counts, and how they differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from headstyle.base.cameras import Cameras
from headstyle.consistency.measuring import Comparison
from headstyle.consistency.metrics.headline import HEAD_PX
from headstyle.consistency.pair_batches import PairWarper, batches, make_scene
from headstyle.consistency.pairs import Scene
from headstyle.consistency.parts.color_difference import delta_e, lab_from_srgb
from headstyle.consistency.parts.disagreement import disagreements, displacements, misplacement
from headstyle.consistency.parts.headline_views import HeadPairs, head_pairs, head_views
from headstyle.consistency.warping import relative_projections, sound_surface

BACKGROUND, COUNTS, OCCLUDED, DEPTH_DISAGREES, SILHOUETTE = range(5)
"""What a pixel of the target is: beyond the head; compared; or the reason why it is left out."""
REASONS = ("background", "counts", "occluded", "depth disagrees", "silhouette")
_PAIRS_AT_ONCE = 32
_CELLS = 9
"""Arrows along the side of a head."""
_LEAST_SHARE = 0.4
"""Part of a cell that both views show, from which on it has an arrow."""


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


@dataclass(frozen=True)
class Disagreement:
    """How two views disagree by the headline score."""

    kinds: list[float]
    """Each kind of `headstyle.consistency.parts.disagreement.TERMS`, in its unit."""
    arrows: NDArray[np.float32]
    """Places in the view of lower index, and how far the other view shows their detail displaced:
    x, y, dx, dy as fractions of the frame. Shape `(M, 4)`."""


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

    def kinds(self) -> dict[tuple[int, int], Disagreement]:
        """How each pair disagrees, by the headline score.

        A pair has one value of each kind, whichever of its views is warped: the key is (lower
        index, higher index).
        """
        settings = self._settings
        pairs = sorted({(min(pair), max(pair)) for pair in self.positions})
        views = head_views(
            self._scene, HEAD_PX, settings["depth_jump"], settings["foreground_alpha"]
        )
        found: dict[tuple[int, int], Disagreement] = {}
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            some = pairs[start : start + _PAIRS_AT_ONCE]
            first, second = zip(*some, strict=True)
            tolerance, round_trip = settings["depth_tolerance"], settings["round_trip_px"]
            heads = head_pairs(views, first, second, tolerance, round_trip)
            fields = displacements(heads)
            values = disagreements(heads, fields).tolist()
            arrows = self._arrows(misplacement(fields), heads, views.cameras, first)
            for pair, kinds, places in zip(some, values, arrows, strict=True):
                found[pair] = Disagreement(kinds, places)
        return found

    def _arrows(
        self, field: Tensor, heads: HeadPairs, cameras: Cameras, targets: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        """The mean displacement in each cell of a grid over the head, of each pair."""
        cell = max(2, round(heads.head_px / _CELLS))
        share = functional.avg_pool2d(heads.shared, cell)
        moved = functional.avg_pool2d(field * heads.shared, cell) / share.clamp(min=1e-6)
        arrows = []
        for i, target in enumerate(targets):
            # The head's views are cut from reduced frames, which only moves and scales the lens.
            lens, whole = (rig.intrinsics[target] for rig in (cameras, self._scene.cameras))
            scale = np.diag(lens)[:2] / np.diag(whole)[:2]
            offset = scale * whole[:2, 2] - lens[:2, 2]
            rows, columns = np.nonzero(share[i, 0].numpy() > _LEAST_SHARE)
            starts = (np.stack([columns, rows], axis=1) + 0.5) * cell
            frame = scale * self._scene.cameras.sizes[target]
            steps = moved[i].numpy()[:, rows, columns].T
            arrows.append(
                np.concatenate([(starts + offset) / frame, steps / frame], axis=1, dtype=np.float32)
            )
        return arrows

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
