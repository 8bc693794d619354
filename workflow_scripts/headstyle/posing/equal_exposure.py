"""Photographs of one scene as if all had been taken with one exposure and one white balance.

An automatic camera gives every photograph another brightness and tint, which a splat scene can
only explain as a surface that changes with the direction. Time, aperture and sensitivity in EXIF
tell how much light each photograph gathered. The tint, and what EXIF does not tell, is found from
the points of the surface that several photographs show: their colors must agree.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from scipy.sparse import csr_array

from headstyle.base.images import RgbaImage, to_linear, to_srgb
from headstyle.importers.images import opened_image

logger = logging.getLogger("headstyle")

TAGS = (ExifTags.Base.ExposureTime, ExifTags.Base.ISOSpeedRatings, ExifTags.Base.FNumber)
# Light outside is clipped or noise.
_LEAST_LIGHT, _MOST_LIGHT = 0.003, 0.9
# Pixels around a point whose mean is its color; all of them must be foreground.
_AROUND_PX = 3
# Resizing leaves alphas inside the foreground a rounding error below 1.
_WHOLE = 0.999
# What EXIF tells of a view counts as much as so many points.
_PRIOR_POINTS = 1.0
# Of reweighted least squares.
_ROUNDS = 20


def exposure_of(path: str | Path) -> float | None:
    """Time [s] times ISO over the square of the f-number, None where EXIF does not tell."""
    with opened_image(path) as image:
        details = image.getexif().get_ifd(ExifTags.IFD.Exif)
    try:
        seconds, iso, aperture = (float(details[tag]) for tag in TAGS)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    value = seconds * iso / aperture**2 if aperture > 0 else 0.0
    return value if np.isfinite(value) and value > 0 else None


def equalizing_gains(photographs: Mapping[str, str | Path]) -> dict[str, float]:
    """By how much to multiply the light of each view for all to have their geometric mean.

    All 1, and the log says so, where a photograph does not tell its exposure.
    """
    found = {view: exposure_of(path) for view, path in photographs.items()}
    silent = [view for view, exposure in found.items() if exposure is None]
    if silent:
        logger.warning(
            "EXIF tells no exposure of %d of %d photographs, such as %s, so that it is not used",
            len(silent),
            len(photographs),
            silent[0],
        )
        return dict.fromkeys(photographs, 1.0)
    logarithms = {view: np.log(exposure) for view, exposure in found.items() if exposure}
    mean = np.mean(list(logarithms.values()))
    return {view: float(np.exp(mean - value)) for view, value in logarithms.items()}


@dataclass(frozen=True)
class PointColors:
    """The light of points in the views that see them."""

    points: NDArray[np.int64]
    """Index of the point of each observation. Shape `(O,)`."""
    light: NDArray[np.float64]
    """Linear light of red, green and blue in (0, 1). Shape `(O, 3)`."""


def point_colors(
    image: RgbaImage, pixels: NDArray[np.float64], points: NDArray[np.int64]
) -> PointColors:
    """The light of the points that a view sees in its foreground, where it is not clipped.

    Args:
        image: The view. Shape `(H, W, 4)`.
        pixels: Where it sees the points (x, y) [px]; NaN for points behind the camera. `(N, 2)`.
        points: Their indices. Shape `(N,)`.
    """
    height, width = image.shape[:2]
    inside = ((pixels >= 0) & (pixels < (width, height))).all(axis=1)
    columns, rows = np.floor(pixels[inside]).astype(np.int64).T
    alpha = image[..., 3]
    side = (_AROUND_PX, _AROUND_PX)
    means = cv2.blur(to_linear(image[..., :3]) * alpha[..., None], side)[rows, columns]
    is_whole = cv2.erode(alpha, np.ones(side))[rows, columns] > _WHOLE
    usable = is_whole & (means > _LEAST_LIGHT).all(axis=1) & (means < _MOST_LIGHT).all(axis=1)
    return PointColors(points[inside][usable], means[usable].astype(np.float64))


def agreeing_gains(views: Sequence[PointColors], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much to multiply the light of each view for points to have one color in all of them.

    The logarithm of an observation is that of its point's color minus that of its view's gain. Both
    are found by least squares; what fits badly, such as a highlight, counts less (Huber 1964).

    Args:
        views: What each view sees.
        first: The gains that views keep where few points tell: those of EXIF. Shape `(V,)`.

    Returns:
        Gains of red, green and blue, with a geometric mean of 1 over the views. Shape `(V, 3)`.
    """
    prior = np.log(first) - np.log(first).mean()
    gains = np.repeat(prior[:, None], 3, axis=1)
    view = np.repeat(np.arange(len(views)), [len(v.points) for v in views])
    if not len(view):
        return np.exp(gains)
    _, point = np.unique(np.concatenate([v.points for v in views]), return_inverse=True)
    light = np.log(np.concatenate([v.light for v in views]))
    each, weights = np.arange(len(light)), np.ones(len(light))
    sizes = len(views), int(point.max()) + 1
    for _ in range(_ROUNDS):
        shared = csr_array((weights, (view, point)), sizes)
        totals = shared.sum(axis=0)
        # The points' colors are eliminated: each is the mean of what views see of it.
        system = np.diag(shared.sum(axis=1) + _PRIOR_POINTS)
        system -= (shared / totals @ shared.T).toarray()
        sums = csr_array((weights, (point, each)), (sizes[1], len(light))) @ light
        seen = csr_array((weights, (view, each)), (sizes[0], len(light))) @ light
        known = _PRIOR_POINTS * prior[:, None] - seen + shared @ (sums / totals[:, None])
        gains = np.linalg.solve(system, known)
        gains -= gains.mean(axis=0)
        colors = (sums + shared.T @ gains) / totals[:, None]
        errors = np.abs(light + gains[view] - colors[point]).max(axis=1)
        scale = max(1.4826 * float(np.median(errors)), 1e-6)
        weights = np.minimum(1, scale / np.maximum(errors, 1e-12))
    return np.exp(gains)


def with_gain(image: RgbaImage, gain: float | NDArray[np.float64]) -> RgbaImage:
    """An image with its light multiplied by `gain`; what becomes brighter than white is white.

    Args:
        image: Shape `(H, W, 4)`.
        gain: For all colors, or one of each. Shape `(3,)`.
    """
    if np.all(np.equal(gain, 1)):
        return image
    changed = to_srgb(to_linear(image[..., :3]) * gain)
    return np.concatenate([changed, image[..., 3:]], axis=2).astype(np.float32)
