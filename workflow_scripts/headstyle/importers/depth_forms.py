"""Maps that are called depth but hold no distances: inverse, normalized, or with an offset."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError

INVERSE = "inverse depth (disparity)"
SHIFTED = "depth with an offset, as if normalized between a near and a far plane"
BETTER_FORM = 1.25
"""Another form is the right one if it explains so many times more than the best unit."""

# Constants that are tried, relative to the median, and scales around that of the median.
_SHIFTS = (-0.8, -0.6, -0.4, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_SHIFTED_SCALES = np.geomspace(0.85, 1.18, 34)
# Farthest points of one scene's views are never the same to this relative difference, and a head's
# nearest point is farther than this share of them.
_SAME_END, _NORMALIZED_START = 1e-6, 0.15
# Where each map was divided by its own largest value, all end at one of these.
_NORMALIZED_ENDS = (1, 255, 65535)


def check_not_normalized(depths: Sequence[NDArray[Any]]) -> None:
    """Stop where each map was stretched to the same range.

    Args:
        depths: 0 where there is no surface. Shape `(H, W)` each.

    Raises:
        InputError: all maps end at the same value, and begin near 0 or end at 1, 255 or 65535.
    """
    seen = [depth[depth > 0] for depth in depths if (depth > 0).any()]
    farthest = np.array([values.max() for values in seen])
    nearest = np.array([values.min() for values in seen])
    if len(seen) < 2 or np.ptp(farthest) > _SAME_END * farthest.max():
        return
    if farthest[0] in _NORMALIZED_ENDS or (nearest < _NORMALIZED_START * farthest).all():
        raise InputError(
            f"the depth maps all fill the range up to {farthest.max():g}, so each was normalized by"
            " itself and holds no distances; write z in world units"
        )


def inverse_of(depth: NDArray[Any]) -> NDArray[Any]:
    """1 / depth; 0 stays 0."""
    return np.divide(1, depth, out=np.zeros_like(depth), where=depth > 0)


def shifted(depths: Sequence[NDArray[Any]], scale: float) -> Iterator[list[NDArray[Any]]]:
    """The maps with each of some constants added, in units around those that fit best then.

    Args:
        depths: As in `check_not_normalized`.
        scale: The best unit without a constant.
    """
    middle = float(np.median(np.concatenate([depth[depth > 0] for depth in depths])))
    for shift in _SHIFTS:
        moved = [np.where(d > 0, np.maximum(d + shift * middle, 0), 0) for d in depths]
        for factor in _SHIFTED_SCALES * scale / (1 + shift):
            yield [depth * factor for depth in moved]
