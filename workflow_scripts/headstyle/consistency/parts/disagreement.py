"""Kinds of disagreement between two views: color, place, detail, sharpness, strength of the edit.

Every kind has its own unit: color and detail are in ΔE, place is in percent of the head's size,
sharpness is a log ratio of local contrasts, and strength is a fraction of the edit. Each is a mean
over the pixels, place the quadratic mean; strength is one number per pair. The units do not depend
on how much texture an edit has, so that prompts can be compared.

The unedited views disagree too, as depth is not exact and skin shines. That is no fault of the
edit. So each pixel's disagreement is a vector, and only its distance counts from the line segment
between zero and the unedited views' disagreement at that pixel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from headstyle.consistency.parts.headline_views import HeadPairs
from headstyle.consistency.parts.registration import displacement, residual
from headstyle.consistency.parts.smoothing import lengths, masked_smooth

TERMS = ("color", "place", "detail", "sharpness", "strength")
"""Kinds of disagreement, in the order of the columns of `disagreements`."""
COLOR_SCALE = 0.08
"""Gaussian sigma that separates color from texture, as a fraction of the head's size."""
SHARPNESS_WINDOW = 0.05
"""Gaussian sigma of the window of a local contrast, as a fraction of the head's size."""
DETAIL_PX = (1.0, 3.0)
"""Gaussian sigmas between which detail lies [px]."""
FAINT = 0.05
"""Local contrasts below this fraction of their mean hardly count."""
EDIT_NOISE = 1.0
"""Color change below which an edit counts as hardly any [ΔE]."""


Fields = tuple[Tensor, Tensor]
"""Displacements of the edited and of the unedited textures [px]. Shape `(N, 2, H, W)` each."""


@dataclass(frozen=True)
class Unedited:
    """How the unedited views of every pair disagree. It is the same whatever their edits are."""

    field: Tensor
    """Displacements of the textures [px]. Shape `(N, 2, H, W)`."""
    color: Tensor
    """Difference of the smoothed colors. Shape `(N, 3, H, W)`."""
    detail: Tensor
    """Difference of the textures after the displacement is undone. Shape `(N, 3, H, W)`."""
    sharpness: Tensor
    """Log ratio of the local contrasts. Shape `(N, 1, H, W)`."""


def unedited_disagreements(pairs: HeadPairs) -> Unedited:
    """What `disagreements` compares the edited views with."""
    views = (pairs.plain_target, pairs.plain_warped, pairs.plain_shared)
    field = displacement(*views, pairs.head_px)
    detail, inside = residual(*views, field, pairs.head_px)
    color = masked_smooth(
        pairs.plain_target - pairs.plain_warped, pairs.plain_shared, COLOR_SCALE * pairs.head_px
    )
    sharpness = _log_ratio(*views, SHARPNESS_WINDOW * pairs.head_px)
    shared = pairs.plain_shared
    return Unedited(field, color * shared, detail * inside, sharpness * shared)


def disagreements(
    pairs: HeadPairs, unedited: Unedited | None = None, fields: Fields | None = None
) -> Tensor:
    """All kinds of disagreement of every pair, in their units. Shape `(N, 5)`.

    Args:
        pairs: The pairs.
        unedited: What `unedited_disagreements` finds for them; None finds it here.
        fields: What `displacements` finds for them; None finds it here.
    """
    strength, explained = _strength(pairs)
    unedited = unedited_disagreements(pairs) if unedited is None else unedited
    fields = displacements(pairs, unedited) if fields is None else fields
    maps = _maps(pairs, explained, unedited, fields)
    color, _, detail, sharpness = (_mean(*found) for found in maps)
    # Where features are displaced, most of the head stays in place: a plain mean would hide them.
    place = _mean(maps[1][0].square(), maps[1][1]).sqrt()
    return torch.stack([color, 100 / pairs.head_px * place, detail, sharpness, strength], dim=1)


def disagreement_maps(pairs: HeadPairs) -> tuple[Tensor, Tensor]:
    """Where a pair disagrees: the kinds but for strength, which is one number per pair.

    Returns:
        The first four kinds of `TERMS` per pixel of the target, in their units, and where they are
        known (bool). Shape `(N, 4, H, W)` each.
    """
    unedited = unedited_disagreements(pairs)
    maps = _maps(pairs, _strength(pairs)[1], unedited, displacements(pairs, unedited))
    values, masks = zip(*maps, strict=True)
    units = [1.0, 100 / pairs.head_px, 1.0, 1.0]
    scaled = [unit * found for unit, found in zip(units, values, strict=True)]
    return torch.cat(scaled, dim=1), torch.cat(masks, dim=1) > 0


def displacements(pairs: HeadPairs, unedited: Unedited) -> Fields:
    """How far the textures of every pair are displaced."""
    edited = displacement(pairs.target, pairs.warped, pairs.shared, pairs.head_px)
    return edited, unedited.field


def misplacement(fields: Fields) -> Tensor:
    """The displacement that the unedited views do not explain [px]. Shape `(N, 2, H, W)`."""
    return _beyond(*fields)


Map = tuple[Tensor, Tensor]
"""Values per pixel, and 1 where they count, else 0. Shape `(N, 1, H, W)` each."""


def _maps(pairs: HeadPairs, explained: Tensor, unedited: Unedited, fields: Fields) -> list[Map]:
    """Color, place [px], detail and sharpness per pixel."""
    shared = pairs.shared
    place, detail = _place_and_detail(pairs, unedited, fields)
    color, sharpness = _color(pairs, explained, unedited), _sharpness(pairs, unedited)
    return [(color, shared), place, detail, (sharpness, shared)]


def _color(pairs: HeadPairs, explained: Tensor, unedited: Unedited) -> Tensor:
    """Difference of the colors after smoothing removed the texture [ΔE76]. `(N, 1, H, W)`.

    `explained` is subtracted first: the difference that a weaker edit of one view explains, which
    is a disagreement in strength.
    """
    sigma = COLOR_SCALE * pairs.head_px
    rest = masked_smooth(pairs.target - pairs.warped - explained, pairs.shared, sigma)
    return lengths(_beyond(rest, unedited.color))


def _place_and_detail(pairs: HeadPairs, unedited: Unedited, fields: Fields) -> tuple[Map, Map]:
    """How far the texture is displaced [px], and how else it differs [ΔE76].

    The first is the length of the displacement. The second is the color difference that is left
    after the texture is moved back.
    """
    rest, inside = residual(pairs.target, pairs.warped, pairs.shared, fields[0], pairs.head_px)
    place = lengths(misplacement(fields))
    return (place, pairs.shared), (lengths(_beyond(rest, unedited.detail)), inside)


def _sharpness(pairs: HeadPairs, unedited: Unedited) -> Tensor:
    """Absolute log ratio of the views' local contrasts of detail. Shape `(N, 1, H, W)`."""
    sigma = SHARPNESS_WINDOW * pairs.head_px
    ratio = _log_ratio(pairs.target, pairs.warped, pairs.shared, sigma)
    return _beyond(ratio, unedited.sharpness).abs()


def _strength(pairs: HeadPairs) -> tuple[Tensor, Tensor]:
    """How much stronger one view is edited than the other, as a fraction of the pair's mean edit.

    If both views are mixtures of before and after, their difference is at every pixel this fraction
    of their mean edit. The fraction is fitted by least squares. It is weighted by the share of the
    difference's energy that it explains, so that other kinds of differences do not count here.

    Returns:
        Absolute fractions, shape `(N,)`, and the differences that they explain, `(N, 3, H, W)`.
    """
    edits = [pairs.target - pairs.plain_target, pairs.warped - pairs.plain_warped]
    mean = (edits[0] + edits[1]) / 2 * pairs.plain_shared
    difference = (edits[0] - edits[1]) * pairs.plain_shared
    product, size, found = (
        (first * second).sum(dim=(1, 2, 3))
        for first, second in ((difference, mean), (mean, mean), (difference, difference))
    )
    faint = EDIT_NOISE**2 * pairs.plain_shared.sum(dim=(1, 2, 3))
    explained_share = product.square() / (size * found).clamp(min=1e-9)
    fraction = explained_share * product / (size + faint).clamp(min=1e-9)
    return fraction.abs(), fraction[:, None, None, None] * mean


def _log_ratio(first: Tensor, second: Tensor, mask: Tensor, sigma: float) -> Tensor:
    fine, coarse = DETAIL_PX
    contrasts = []
    for image in (first, second):
        low = masked_smooth(image, mask, fine)
        detail = (low - masked_smooth(low, mask, coarse)) * mask
        squares = detail.square().sum(dim=1, keepdim=True)
        contrasts.append(masked_smooth(squares, mask, sigma))
    faint = FAINT * _mean((contrasts[0] + contrasts[1]) / 2, mask)[:, None, None, None] + 1e-4
    return torch.log((contrasts[0] + faint) / (contrasts[1] + faint))


def _beyond(found: Tensor, own: Tensor) -> Tensor:
    """The vectors from the nearest point between 0 and `own` to `found`. `(N, K, H, W)`."""
    along = (found * own).sum(dim=1, keepdim=True)
    share = along / own.square().sum(dim=1, keepdim=True).clamp(min=1e-9)
    return found - share.clamp(0, 1) * own


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `(N, 1, H, W)` over a mask, NaN where it is empty. Shape `(N,)`."""
    return (values * mask).sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3))
