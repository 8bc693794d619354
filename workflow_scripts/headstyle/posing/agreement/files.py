"""Masks on their way through the comparison: read at working size, written as corrected."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from headstyle.importers.masks import Mask
from headstyle.posing.agreement.corrections import Agreement, correct_mask
from headstyle.posing.agreement.votes import working_mask
from headstyle.posing.masks import coverage, largest_region, mask_flags, read_mask
from headstyle.posing.photographs import read_photograph


def read_at_working_size(
    source: Path, view: str, entry: dict[str, Any]
) -> tuple[Mask, NDArray[np.uint8]]:
    """The mask `(h, w)` and the RGB photograph `(h, w, 3)` of a view, at working size.

    Args:
        source: Folder of the masks.
        view: The view.
        entry: Its entry in masks.json.

    Raises:
        InputError: one of the two cannot be read.
    """
    mask = working_mask(read_mask(source / f"{view}.png"))
    photograph = read_photograph(entry["photograph"])
    size = mask.shape[1], mask.shape[0]
    picture = np.asarray(cv2.resize(photograph, size, interpolation=cv2.INTER_AREA))
    return mask, picture.astype(np.uint8)


def write_corrected(
    view: str,
    entry: dict[str, Any],
    agreement: Agreement | None,
    source: Path,
    folder: Path,
    steps: list[str],
) -> dict[str, Any]:
    """Write {view}.png, as it was or corrected, and return its entry of masks.json.

    Args:
        view: The view.
        entry: Its entry so far.
        agreement: What the other views say about its mask; None leaves the mask as it is.
        source: Folder of the masks so far.
        folder: Folder of the corrected masks.
        steps: By which the masks were made.

    Raises:
        InputError: the mask or the photograph cannot be read.
    """
    if agreement is None or agreement.is_complete:
        shutil.copyfile(source / f"{view}.png", folder / f"{view}.png")
        return entry | {"carved": 0.0, "given_back": 0.0}
    finish = largest_region if "largest_region" in steps else None
    mask, change = correct_mask(
        read_mask(source / f"{view}.png"), agreement, read_photograph(entry["photograph"]), finish
    )
    PillowImage.fromarray(mask).save(folder / f"{view}.png")
    return entry | {"coverage": round(coverage(mask), 6), "flags": mask_flags(mask)} | change
