"""Photographs of one scene as if all had been taken with one exposure, from what EXIF tells.

A camera on automatic exposure gives every photograph another brightness, which a splat scene can
only explain as a surface that changes with the direction. Time, aperture and sensitivity tell how
much light each photograph gathered.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import ExifTags

from headstyle.base.images import RgbaImage, to_linear, to_srgb
from headstyle.importers.images import opened_image

logger = logging.getLogger("headstyle")

TAGS = (ExifTags.Base.ExposureTime, ExifTags.Base.ISOSpeedRatings, ExifTags.Base.FNumber)


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

    All 1, with a warning, where a photograph does not tell its exposure.
    """
    found = {view: exposure_of(path) for view, path in photographs.items()}
    silent = [view for view, exposure in found.items() if exposure is None]
    if silent:
        logger.warning(
            "exposures stay as they are: EXIF of %s and %d others does not tell them",
            silent[0],
            len(silent) - 1,
        )
        return dict.fromkeys(photographs, 1.0)
    logarithms = {view: np.log(exposure) for view, exposure in found.items() if exposure}
    mean = np.mean(list(logarithms.values()))
    return {view: float(np.exp(mean - value)) for view, value in logarithms.items()}


def with_gain(image: RgbaImage, gain: float) -> RgbaImage:
    """An image with its light multiplied by `gain`; what becomes brighter than white is white."""
    if gain == 1:
        return image
    changed = to_srgb(to_linear(image[..., :3]) * gain)
    return np.concatenate([changed, image[..., 3:]], axis=2).astype(np.float32)
