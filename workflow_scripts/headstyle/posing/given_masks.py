"""Masks that the user gives for photographs: found by name, read, and turned upright."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from headstyle.base.errors import InputError
from headstyle.importers.images import exif_orientation, opened_image, turn_upright
from headstyle.importers.masks import (
    MASK,
    Mask,
    find_masks,
    missing_mask,
    read_mask_file,
    views_of,
)
from headstyle.posing.photographs import PhotographInfo


def find_given_masks(
    folder: str | Path, views: Sequence[str] | Mapping[str, Path], all_needed: bool = True
) -> dict[str, Path]:
    """The given mask of each view, as `headstyle.importers.masks.find_masks` finds them.

    Args:
        folder: Where the masks are.
        views: The views' photographs by name, or their names.
        all_needed: Whether a view without a mask is an error; else it is left out.

    Raises:
        InputError: the folder is missing, a mask that is needed is missing, or two masks fit one
            view.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; set the subject's masks to one, or to none")
    found = find_masks(folder, views_of(views))
    for view in views if all_needed else ():
        if view not in found:
            raise InputError(missing_mask(folder, view))
    return found


def read_given_mask(path: str | Path, photograph: PhotographInfo, stored: bool = False) -> Mask:
    """Read a mask made elsewhere, turned upright and at the size of its photograph.

    Args:
        path: An image, as `headstyle.importers.masks.read_mask_file` reads it.
        photograph: Header of the view's photograph.
        stored: What to take it for where its size fits both orientations.

    Raises:
        InputError: the file cannot be read as a mask, or has another shape than the photograph.
    """
    mask = read_mask_file(path)
    size = (mask.shape[1], mask.shape[0])
    upright = (photograph.width, photograph.height)
    fits_stored = _is_smaller_or_larger(size, photograph.stored_size)
    fits_upright = _is_smaller_or_larger(size, upright)
    if not (fits_stored or fits_upright):
        raise InputError(
            f"{path} is {size[0]}x{size[1]} px but its photograph is"
            f" {photograph.width}x{photograph.height} px; make the mask at the photograph's size,"
            " or smaller in both sides alike"
        )
    turn = stored if fits_stored and fits_upright else fits_stored
    mask = turn_upright(mask, photograph.exif_orientation) if turn else mask
    if mask.shape == upright[::-1]:
        return mask
    resized = PillowImage.fromarray(mask).resize(upright, PillowImage.Resampling.BILINEAR)
    return np.asarray(resized)


def masks_follow_stored_pixels(
    masks: dict[str, Path], photographs: dict[str, PhotographInfo]
) -> bool:
    """Whether given masks are in the photographs' stored orientation.

    Decided by the masks whose size fits only one orientation; without one, they are upright.
    """
    for view, path in masks.items():
        info = photographs[view]
        if info.exif_orientation >= 5 and info.width != info.height:
            with opened_image(path, MASK) as image:
                size = image.size[::-1] if exif_orientation(image) >= 5 else image.size
                if _is_smaller_or_larger(size, info.stored_size):
                    return True
    return False


def _is_smaller_or_larger(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes are equal or differ by one factor, but for rounding to whole pixels."""
    if size[0] == other[0] or size[1] == other[1]:
        return size == other
    off = abs(size[0] * other[1] - size[1] * other[0])
    return 2 * off <= max(sum(size), sum(other))
