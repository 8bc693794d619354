"""Upright copies of photographs and masks at working size, and the lenses they are taken with."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.importers.cameras import GivenPose
from headstyle.importers.lenses import Lens, guessed_lens, resized
from headstyle.posing.masks import read_mask
from headstyle.posing.photographs import PhotographInfo, read_photograph
from headstyle.posing.registration.reconstruction import WorkImage

# The working size may be this much smaller than asked for, to keep the aspect ratio.
_SIZE_SLACK = 0.02


def working_size(width: int, height: int, max_side_px: int) -> tuple[int, int]:
    """The size at which features are found: no larger, with the aspect ratio kept.

    Of the long sides within 2 % of the largest allowed, the one is taken whose short side needs
    least rounding, so that one focal length holds for both axes (1440x960 becomes 1023x682 for
    1024).
    """
    long, short = max(width, height), min(width, height)
    if long <= max_side_px:
        return width, height

    def rounding(side: int) -> float:
        return round(abs(side * short / long - round(side * short / long)), 9)

    new_long = min(
        range(max_side_px, math.floor(max_side_px * (1 - _SIZE_SLACK)), -1), key=rounding
    )
    new_short = max(1, round(new_long * short / long))
    return (new_long, new_short) if width >= height else (new_short, new_long)


def guess_lenses(
    infos: dict[str, PhotographInfo], sharing: str, model: str, max_side_px: int
) -> tuple[list[Lens], dict[str, int]]:
    """Initial lenses at working size, and the index of each view's lens.

    Args:
        infos: Headers of the photographs by view.
        sharing: `per_capture`: photographs of one size, orientation and focal length share a lens;
            `per_view`: each has its own.
        model: COLMAP's name of the camera model.
        max_side_px: Long side of the working size.
    """
    lenses: list[Lens] = []
    index: dict[tuple[object, ...], int] = {}
    lens_of_view: dict[str, int] = {}
    for view, info in infos.items():
        focal_px = info.focal_px and round(info.focal_px, 3)
        group = (info.width, info.height, focal_px) if sharing == "per_capture" else (view,)
        if group not in index:
            width, height = working_size(info.width, info.height, max_side_px)
            focal = focal_px and focal_px * max(width, height) / max(info.width, info.height)
            index[group] = len(lenses)
            lenses.append(guessed_lens(model, width, height, focal))
        lens_of_view[view] = index[group]
    return lenses, lens_of_view


def given_lenses(
    infos: dict[str, PhotographInfo], given: dict[str, GivenPose], max_side_px: int
) -> tuple[list[Lens], dict[str, int]]:
    """Each view's given lens at working size, and its index."""
    lenses = [
        resized(given[view].lens, *working_size(info.width, info.height, max_side_px))
        for view, info in infos.items()
    ]
    return lenses, {view: index for index, view in enumerate(infos)}


def write_work_images(
    views: dict[str, Any],
    masks_folder: Path,
    images: Sequence[WorkImage],
    lenses: Sequence[Lens],
    work: Path,
    threads: int,
) -> None:
    """Write upright photographs and binary masks at working size, as COLMAP wants them.

    What is there already stays.
    """
    (work / "images").mkdir(parents=True, exist_ok=True)
    (work / "masks").mkdir(exist_ok=True)

    def write(image: WorkImage) -> None:
        # The mask is written last.
        if (work / "masks" / f"{image.file}.png").exists():
            return
        lens = lenses[image.lens]
        size = (lens.width, lens.height)
        photograph: NDArray[Any] = read_photograph(views[image.view]["photograph"])
        if photograph.shape[1::-1] != size:
            photograph = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)
        mask: NDArray[Any] = read_mask(masks_folder / f"{image.view}.png")
        if mask.shape[::-1] != image.full_size:
            raise InputError(
                f"{masks_folder / image.view}.png has not its photograph's size; delete"
                f" {masks_folder} and run again"
            )
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        _write_png(work / "images" / image.file, photograph[..., ::-1], fast)
        _write_png(work / "masks" / f"{image.file}.png", np.uint8(255) * (mask >= 128), fast)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, images))


def list_work_images(
    views: dict[str, Any], infos: dict[str, PhotographInfo], lens_of_view: dict[str, int]
) -> list[WorkImage]:
    """The views of `infos`, in its order.

    Args:
        views: Their entries in masks.json.
        infos: Headers of their photographs.
        lens_of_view: Index of each view's lens.
    """
    return [
        WorkImage(
            view,
            view + Path(views[view]["photograph"]).suffix,
            lens_of_view[view],
            (info.width, info.height),
        )
        for view, info in infos.items()
    ]


def _write_png(path: Path, pixels: np.ndarray, options: list[int]) -> None:
    if not cv2.imwrite(str(path), pixels, options):
        raise OSError(f"{path} could not be written; check the free space")
