"""Masks corrected by the other views.

What stands beside or behind the head and is foreground in few views is carved from their masks.
What one mask lost of the head and nearly all other views see is given back. Masks that agree with
the others stay as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from headstyle.importers.colmap_models import SparseModel
from headstyle.importers.masks import Mask
from headstyle.posing.agreement.votes import PosedMask, Votes, count_votes, foreground_parts

MIN_VIEWS = 8
"""Fewer posed views do not outvote a wrong one."""
# How often the grid is refined in each round. The votes of the second are counted on the corrected
# masks, which agree better, and more views must see what is kept: this part of the way to all.
_HALVINGS, _STRICTNESS = (1, 2), (0.0, 0.5)
# Without one vote of its own, a view's part of the others may be larger than that of all by this.
_OWN_VOTE = 0.1
# Parts of the longer side of a mask: what is thinner than twice the first is left as it is, since
# silhouettes are that coarse; what is given back ends so far inside the silhouette, which is a
# little larger than the head; so far around what is carved its soft edge is carved too.
_THIN, _INSIDE, _AROUND = 0.008, 0.012, 0.03
# The silhouette is so much larger than the head (a part of the longer side). In this rim beside
# what is carved, colors decide; so far around it they are learned.
_RIM, _COLORS_AROUND = 0.03, 0.06
_COLOR_ROUNDS = 3
# What is given back must be in the frames of so large a part of the views.
_LOOKS_TO_GIVE = 0.5
# The views see more of a hollow, such as that below the chin, as foreground than is. So what is
# given back must also hold points of the surface. A view can see a point that was found in another
# view from a direction no farther off [deg]. The points' density is taken over this radius (a part
# of the longer side), and must be so large a part of that in the mask.
_POINT_ANGLE_DEG, _POINT_RADIUS, _POINT_DENSITY = 40.0, 0.03, 0.2
# So much of the core of the silhouette lies in the mask, or so much of the mask lies in the
# silhouette; else its camera or its mask is wrong as a whole. And in the median view both hold.
_FIT, _MEDIAN_FIT = 0.9, 0.85
# Radius of the filter that moves the border of a correction to an edge of the photograph, as a part
# of the longer side, and the variance [of values in 0-1] from which on something is an edge.
_EDGE_RADIUS, _EDGE_VARIANCE = 0.006, 4e-4


@dataclass(frozen=True)
class Agreement:
    """What the other views say about the mask of one view, at working size."""

    carved: NDArray[np.bool_]
    """What is not foreground. Shape `(h, w)`."""
    given_back: NDArray[np.bool_]
    """What is foreground although the mask lost it. Shape `(h, w)`."""

    @property
    def is_complete(self) -> bool:
        """Whether the mask can stay as it is."""
        return not (self.carved.any() or self.given_back.any())


@dataclass(frozen=True)
class Agreements:
    """What came of comparing all views."""

    views: Mapping[str, Agreement]
    """By view; only views that were compared."""
    left_alone: Mapping[str, str]
    """Why other views were not compared, by view."""
    note: str = ""
    """Why no view was compared, or empty."""


def compare_masks(
    model: SparseModel,
    masks: Mapping[str, Mask],
    photographs: Mapping[str, NDArray[np.uint8]],
    keep_part: float,
    give_back_part: float,
) -> Agreements:
    """Compare the masks of all views of a model with each other.

    Args:
        model: The cameras and points.
        masks: Masks of the model's views at working size.
        photographs: Their photographs at the same size, RGB. Shape `(h, w, 3)`.
        keep_part: Foreground of a mask is carved where, all along the ray, a smaller part of the
            other views sees foreground. 0.5 to 1.
        give_back_part: What a mask lost is given back where a larger part of the other views sees
            foreground. 0.5 to 1.
    """
    count = len(model.views)
    if count < MIN_VIEWS:
        return _nothing(f"{count} posed views are too few to correct masks; {MIN_VIEWS} are needed")
    views = [
        PosedMask(lens, pose, masks[name])
        for name, lens, pose in zip(model.views, model.lenses, model.world_to_camera, strict=True)
    ]
    on_head = foreground_parts(views, model.positions) >= keep_part
    points = [
        view.pixels(model.positions[visible[on_head[visible]]])
        for view, visible in zip(views, map(partial(_visible, model), range(count)), strict=True)
    ]
    corrected = views
    for halvings, strictness in zip(_HALVINGS, _STRICTNESS, strict=True):
        least_part = keep_part - _OWN_VOTE
        votes = count_votes(corrected, model.positions, least_part, halvings)
        if votes is None:
            return _nothing("the masks of most views contradict each other under these cameras")
        found = [
            _compare(
                *(votes, corrected, views[i].alpha, i, points[i]),
                (keep_part, keep_part + strictness * (1 - keep_part)),
                give_back_part,
            )
            for i in range(count)
        ]
        in_silhouette, of_core = np.array([shares for _, shares in found]).T
        if min(np.median(in_silhouette), np.median(of_core)) < _MEDIAN_FIT:
            return _nothing("the masks of most views contradict each other under these cameras")
        fits = (np.maximum(in_silhouette, of_core) >= _FIT).tolist()
        corrected = [
            replace(view, alpha=_at_once(view.alpha, agreement)) if fit else view
            for view, (agreement, _), fit in zip(views, found, fits, strict=True)
        ]
    reason = "its mask and the other views have little in common; its pose may be wrong"
    agreements = {
        name: replace(a, carved=_carved_by_color(view.alpha, a, photographs[name]))
        for name, (a, _), view, fit in zip(model.views, found, views, fits, strict=True)
        if fit
    }
    return Agreements(
        agreements,
        {name: reason for name, fit in zip(model.views, fits, strict=True) if not fit},
    )


def correct_mask(
    mask: Mask,
    agreement: Agreement,
    photograph: NDArray[np.uint8],
    finish: Callable[[Mask], Mask] | None = None,
) -> tuple[Mask, dict[str, float]]:
    """Apply to a mask what the other views say.

    The borders of the corrections move to edges of the photograph nearby. Pixels away from the
    corrections keep their alpha.

    Args:
        mask: At full size. Shape `(H, W)`.
        agreement: From `compare_masks`.
        photograph: RGB. Shape `(H, W, 3)`.
        finish: A last step for a mask that has changed, such as keeping its largest region.

    Returns:
        The mask, and what was `carved` and `given_back`, in parts of the foreground before.
    """
    if agreement.is_complete:
        return mask, {"carved": 0.0, "given_back": 0.0}
    gray: NDArray[Any] = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)
    guide = gray.astype(np.float32) / np.float32(255)
    alpha = mask.astype(np.float32)
    alpha *= 1 - _to_edges(agreement.carved, guide)
    alpha = np.maximum(alpha, 255 * _to_edges(agreement.given_back, guide))
    corrected = np.rint(alpha).astype(np.uint8)
    if finish is not None:
        corrected = finish(corrected)
    change = corrected.astype(np.int64) - mask
    before = max(1, int(mask.sum(dtype=np.int64)))
    return corrected, {
        "carved": round(float(np.maximum(-change, 0).sum() / before), 6),
        "given_back": round(float(np.maximum(change, 0).sum() / before), 6),
    }


def _nothing(note: str) -> Agreements:
    return Agreements({}, {}, note)


def _compare(
    votes: Votes,
    views: Sequence[PosedMask],
    alpha: Mask,
    own: int,
    points: NDArray[np.int32],
    keep_parts: tuple[float, float],
    give_back_part: float,
) -> tuple[Agreement, tuple[float, float]]:
    """What the other views say about an alpha, and how well it fits to them.

    Args:
        votes: The votes of `views`.
        views: All views, as corrected so far.
        alpha: The mask of the view `own` before any correction.
        own: Index of the view.
        points: Pixels of the points that the view can see.
        keep_parts: As in `compare_masks`: for all, and for places without points of the surface.
        give_back_part: As in `compare_masks`.

    Returns:
        The agreement; the part of the mask that lies in the others' silhouette, and the part of the
        silhouette's core that lies in the mask.
    """
    parts, looks = votes.others(views, own)
    foreground, long = alpha >= 128, max(alpha.shape)
    kept, likely = (votes.silhouette(parts >= part, views[own], own)[0] for part in keep_parts)
    carved = _thick(foreground & ~kept, _THIN * long)
    unlikely = foreground & ~likely
    unlikely &= ~_has_points(unlikely & kept, foreground & likely, points)
    carved |= _thick(unlikely, _THIN * long)
    # With its soft edge.
    carved = _grown(carved, _AROUND * long) & ~(foreground & ~carved) & ~(kept & ~carved & likely)
    seen = (parts >= give_back_part) & (looks >= _LOOKS_TO_GIVE * len(views))
    _, sure = votes.silhouette(seen, views[own], own)
    sure = _shrunk(sure, _INSIDE * long)
    lost = sure & ~foreground
    # Points at the very border of a mask lie beside it by chance.
    clear = lost & ~_grown(foreground, _THIN * long)
    with_points = _has_points(clear, foreground & kept, points)
    given_back = _thick(lost & with_points, _THIN * long)
    # Up to the mask that is left, and over its soft edge.
    given_back = _grown(given_back, _POINT_RADIUS * long) & lost
    if given_back.any():
        given_back |= ndimage.binary_fill_holes(foreground | given_back) & lost
    given_back |= _grown(given_back, 1) & sure & ~carved
    fit = (_part(foreground & kept, foreground), _part(foreground & sure, sure))
    return Agreement(carved, given_back), fit


def _carved_by_color(
    alpha: Mask, agreement: Agreement, photograph: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """What is carved, moved on to where the colors change from those outside to those inside.

    The graph cut of Rother, Kolmogorov and Blake (2004, "GrabCut") decides in the rim.
    """
    carved, foreground, long = agreement.carved, alpha >= 128, max(alpha.shape)
    removed = carved & foreground
    if not removed.any():
        return carved
    rim = _grown(removed, _RIM * long) & foreground & ~carved
    around = _grown(removed, (_RIM + _COLORS_AROUND) * long)
    rows, columns = (np.flatnonzero(around.any(axis=axis)) for axis in (1, 0))
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    labels = np.where(foreground & ~carved, np.uint8(cv2.GC_FGD), np.uint8(cv2.GC_BGD))
    labels[rim] = cv2.GC_PR_FGD
    labels = np.ascontiguousarray(labels[part])
    if len(np.unique(labels)) < 3:
        return carved  # No color is known of one of the sides.
    # The first colors of the models are drawn at random.
    cv2.setRNGSeed(0)
    pixels = np.ascontiguousarray(photograph[part][..., ::-1])
    outside, inside = np.zeros((1, 65)), np.zeros((1, 65))
    no_box = (0, 0, 0, 0)
    cv2.grabCut(
        *(pixels, labels, no_box, outside, inside, _COLOR_ROUNDS), mode=cv2.GC_INIT_WITH_MASK
    )
    moved = np.zeros_like(carved)
    moved[part] = labels == cv2.GC_PR_BGD
    return carved | _thick(moved, _THIN * long)


def _visible(model: SparseModel, own: int) -> NDArray[np.int64]:
    """The points that a view can see, since a view from about the same direction does."""
    poses = model.world_to_camera
    centers = -np.einsum("cji,cj->ci", poses[:, :3, :3], poses[:, :3, 3])
    found, views = model.observations.T
    there, here = (
        away / np.linalg.norm(away, axis=1, keepdims=True)
        for away in (centers[of] - model.positions[found] for of in (views, own))
    )
    near = (there * here).sum(axis=1) >= np.cos(np.radians(_POINT_ANGLE_DEG))
    return np.unique(found[near])


def _has_points(
    lost: NDArray[np.bool_], kept: NDArray[np.bool_], pixels: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Where a region that a mask lost has about as many points as what it kept."""
    counts = np.bincount(pixels[pixels >= 0], minlength=lost.size).reshape(lost.shape)
    spread = _POINT_RADIUS * max(lost.shape)

    def density(region: NDArray[np.bool_]) -> NDArray[np.float32]:
        there = np.where(region, counts, 0).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(there, (0, 0), spread))

    there = density(lost)
    if not (kept.any() and there.any()):
        return np.zeros_like(lost)
    return there >= _POINT_DENSITY * np.float32(np.mean(density(kept)[kept]))


def _part(some: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return int(some.sum()) / max(1, int(of.sum()))


def _at_once(alpha: Mask, agreement: Agreement) -> Mask:
    alpha = np.where(agreement.carved, np.uint8(0), alpha)
    return np.where(agreement.given_back, np.uint8(255), alpha)


def _to_edges(region: NDArray[np.bool_], guide: NDArray[np.float32]) -> NDArray[np.float32]:
    """A region at working size as weights in [0, 1] at the guide's size, moved to its edges.

    The guided filter of He, Sun and Tang (2013): near each pixel the weights are an affine function
    of the guide.
    """
    height, width = guide.shape
    weights: NDArray[Any] = cv2.resize(
        region.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    if not region.any():
        return weights
    side = 2 * round(_EDGE_RADIUS * max(height, width)) + 1

    def mean(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.blur(values, (side, side)))

    mean_guide, mean_weights = mean(guide), mean(weights)
    covariance = mean(guide * weights) - mean_guide * mean_weights
    variance = mean(guide * guide) - mean_guide * mean_guide
    slope = covariance / (np.maximum(variance, 0) + np.float32(_EDGE_VARIANCE))
    offset = mean_weights - slope * mean_guide
    moved = np.clip(mean(slope) * guide + mean(offset), 0, 1)
    # Far from the region's border there is nothing to move: exactly 0 and 1.
    reach = np.ones((2 * side + 1, 2 * side + 1), np.uint8)
    near = cv2.dilate(weights, reach) > cv2.erode(weights, reach)
    return np.where(near, moved, weights)


def _thick(region: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    """The region without what is thinner than twice a radius."""
    core = _shrunk(region, radius_px)
    return region & _grown(core, radius_px + 1)


def _shrunk(region: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    # What lies beyond the frame does not shrink a region.
    return cv2.erode(region.astype(np.uint8), _disc(radius_px)) > 0


def _grown(region: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    return cv2.dilate(region.astype(np.uint8), _disc(radius_px)) > 0


def _disc(radius_px: float) -> NDArray[np.uint8]:
    side = 2 * max(2, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), dtype=np.uint8)
