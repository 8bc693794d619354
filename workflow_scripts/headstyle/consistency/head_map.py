"""Where on the head its views disagree: values per splat.

Every pair of views is compared pixel by pixel, in ΔE00 as by `ciede2000_corrected` and in the kinds
of disagreement of the headline score. What a pixel disagrees in belongs to the splats that made
it, each by its blending weight. A splat's value is the mean over all pixels and pairs, weighted so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.consistency.metrics.headline import HEAD_PX, STEPS
from headstyle.consistency.pair_batches import PairWarper, batches
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.color_difference import delta_e, lab_from_srgb
from headstyle.consistency.parts.disagreement import TERMS, disagreement_maps
from headstyle.consistency.parts.headline_views import head_pairs, head_views
from headstyle.consistency.splat_weights import splat_sums
from headstyle.rendering.renderer import Splats

NAME = "inconsistency"
"""The property of a splat: mean difference of the pixels that it made [ΔE00]."""
EXCESS = f"{NAME}_excess"
"""The same beyond the difference that the unedited views have at the same pixels [ΔE00]."""
KINDS = tuple(kind for kind in TERMS if kind != "strength")
"""Kinds of the headline score that have a place; a property of each is in steps."""
LEAST_SCALE = 3.0
"""Top of the color scale where views hardly disagree [ΔE00], so that noise stays dark."""
WORST_PART = 0.1
"""Part of the head that `HeadMap.summary` calls the worst."""
# Pairs of small views at a time.
_BATCH = 16


@dataclass(frozen=True)
class HeadMap:
    """The disagreement of a scene's views, per splat and per pixel."""

    properties: Mapping[str, NDArray[np.float32]]
    """Values per splat by their names: `inconsistency`, where the unedited views are known
    `inconsistency_excess`, and `inconsistency_{kind}` of each of `KINDS`. They are 0 for splats
    that no compared pixel shows. Shape `(N,)` each."""
    weights: NDArray[np.float64]
    """Sum of each splat's blending weights over the compared pixels. Shape `(N,)`."""
    views: tuple[NDArray[np.float32], ...]
    """Mean difference per pixel over the view's neighbors [ΔE00], NaN where none was compared.
    Shape `(H, W)` each."""

    def summary(self) -> dict[str, float | int]:
        """What the map says in numbers, over the compared splats by their weights.

        Returns:
            splats, their number; compared, the fraction of them that compared pixels show; of
            `inconsistency` the mean, median and p95 [ΔE00]; share, the fraction of all
            disagreement that the worst tenth of the head holds (0.1 where it is spread evenly);
            scale, the top of a color scale [ΔE00]; and the mean of each further property.
        """
        total = float(self.weights.sum())
        means = {
            name: float((self.weights * values).sum()) / total if total > 0 else 0.0
            for name, values in self.properties.items()
        }
        mean = means.pop(NAME)
        order = np.argsort(-self.properties[NAME], kind="stable")
        falling, head = self.properties[NAME][order], np.cumsum(self.weights[order])
        median, p95 = (_quantile(falling, head, above) for above in (0.5, 0.05))
        worst = np.minimum(head, WORST_PART * total)
        mass = float((np.diff(worst, prepend=0) * falling).sum())
        return {
            "splats": len(falling),
            "compared": float((self.weights > 0).mean()),
            "mean": mean,
            "median": median,
            "p95": p95,
            "share": mass / (mean * total) if mean > 0 else 0.0,
            "scale": max(LEAST_SCALE, float(np.ceil(p95))),
            **means,
        }


def head_map(
    scene: Scene,
    splats: Splats,
    positions: Sequence[tuple[int, int]],
    settings: Mapping[str, Any],
) -> HeadMap:
    """Distribute the disagreement of a scene's pairs over the splats that made the pixels.

    Args:
        scene: The views.
        splats: The scene that the views show, on their device.
        positions: Pairs (target, source), as places in the scene.
        settings: The config's `metrics` section.
    """
    pixels, compared = _differences(scene, positions, settings)
    found = splat_sums(splats, scene.cameras, pixels)
    names = [NAME, *([EXCESS] if scene.unedited is not None else [])]
    properties = {name: _mean(found[:, i], found[:, 2]) for i, name in enumerate(names)}
    properties |= _kinds(scene, splats, compared, settings)
    views = tuple(
        torch.where(n > 0, total / n.clamp(min=1), torch.nan).float().cpu().numpy()
        for total, _, n in (sums.unbind(dim=2) for sums in pixels)
    )
    return HeadMap(properties, found[:, 2].clip(min=0), views)


def _differences(
    scene: Scene, positions: Sequence[tuple[int, int]], settings: Mapping[str, Any]
) -> tuple[list[Tensor], list[tuple[int, int]]]:
    """Differences of each target's pixels, and the pairs that share enough to be compared.

    Returns:
        Per view the sums over its neighbors of the difference and of the excess [ΔE00], and the
        number of neighbors that the pixel is compared with, shape `(H, W, 3)`.
    """
    sums = [depth.new_zeros((*depth.shape, 3), dtype=torch.float64) for depth in scene.depths]
    warper, compared = PairWarper(_with_unedited(scene, settings), settings), []
    for rows in batches(positions, scene):
        batch = warper.batch("corrected", [positions[row] for row in rows])
        assert batch.foreground is not None, "the warper gives it"
        shared = batch.overlap.sum(dim=(1, 2)).double()
        coverage = shared / batch.foreground.sum(dim=(1, 2)).clamp(min=1)
        kept = (shared > 0) & (coverage >= settings["min_overlap"])
        differences, excess = _pixel_differences(batch)
        for i, view in enumerate(batch.targets):
            if kept[i]:
                parts = (differences[i], excess[i], batch.overlap[i].double())
                sums[view] += torch.stack(parts, dim=2)
                compared.append((view, batch.sources[i]))
    return sums, compared


def _with_unedited(scene: Scene, settings: Mapping[str, Any]) -> Scene:
    """The scene with seven channels: edited and unedited colors, and where the latter is a head."""
    if scene.unedited is None:
        return scene
    colors = [
        torch.cat([own, plain[..., :3], (plain[..., 3:] > settings["foreground_alpha"]).to(own)], 2)
        for own, plain in zip(scene.colors, scene.unedited, strict=True)
    ]
    return replace(scene, colors=colors)


def _pixel_differences(batch: PairBatch) -> tuple[Tensor, Tensor]:
    """Difference and excess of each pixel [ΔE00], 0 where it does not count. `(N, H, W)` each."""
    sides = [image[batch.overlap] for image in (batch.target, batch.warped)]
    found = [
        delta_e(*(lab_from_srgb(side[:, first : first + 3].double()) for side in sides))
        for first in range(0, sides[0].shape[1] - 2, 3)
    ]
    beyond = found[0]
    if len(found) > 1:
        both_show = (sides[0][:, 6] > 0.5) & (sides[1][:, 6] > 0.5)
        beyond = (found[0] - found[1] * both_show).clamp(min=0)
    maps = batch.target.new_zeros((2, *batch.overlap.shape), dtype=torch.float64)
    maps[0, batch.overlap], maps[1, batch.overlap] = found[0], beyond
    return maps[0], maps[1]


def _kinds(
    scene: Scene,
    splats: Splats,
    positions: Sequence[tuple[int, int]],
    settings: Mapping[str, Any],
) -> dict[str, NDArray[np.float32]]:
    """The values of the headline's kinds, in steps. As for the score, a pair counts one way."""
    positions = sorted({(min(pair), max(pair)) for pair in positions})
    views = head_views(scene, HEAD_PX, settings["depth_jump"], settings["foreground_alpha"])
    shape = (*views.depth.shape, 2 * len(KINDS))
    sums = views.depth.new_zeros(shape, dtype=torch.float64)
    for start in range(0, len(positions), _BATCH):
        targets, sources = zip(*positions[start : start + _BATCH], strict=True)
        values, known = disagreement_maps(
            head_pairs(
                views, targets, sources, settings["depth_tolerance"], settings["round_trip_px"]
            )
        )
        parts = torch.cat([torch.where(known, values, 0), known.to(values)], dim=1).double()
        sums.index_add_(0, torch.tensor(targets, device=sums.device), parts.permute(0, 2, 3, 1))
    found = splat_sums(splats, views.cameras, list(sums))
    return {
        f"{NAME}_{kind}": _mean(found[:, i], found[:, len(KINDS) + i]) / np.float32(STEPS[kind])
        for i, kind in enumerate(KINDS)
    }


def _mean(sums: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sums over weights, 0 where there is no weight."""
    means = np.divide(sums, weights, out=np.zeros(len(sums)), where=weights > 0)
    # Tiny weights may be rounded to below 0.
    return means.clip(min=0).astype(np.float32)


def _quantile(falling: NDArray[np.float32], head: NDArray[np.float64], above: float) -> float:
    """The value above which the part `above` of the head lies, from falling values."""
    return float(falling[np.searchsorted(head, above * head[-1])]) if head[-1] > 0 else 0.0
