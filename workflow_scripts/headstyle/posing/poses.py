"""From photographs and masks to posed views: what surrounds COLMAP.

Features are found on upright copies at working size; the model that comes out is for the upright
photographs at full size. The world is COLMAP's own: nothing is re-centred or re-scaled.
"""

import logging
import math
import shutil
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
from headstyle.posing.photographs import PhotographInfo, read_info, read_photograph
from headstyle.posing.reconstruction import (
    MIN_MATCHES,
    Mapping,
    Settings,
    WorkImage,
    find_matches,
    map_views,
    triangulate,
)
from headstyle.posing.turned_poses import upright_poses

logger = logging.getLogger("headstyle.posing.poses")

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


def estimate_poses(
    masks: dict[str, Any],
    masks_folder: Path,
    given: dict[str, GivenPose] | None,
    config: dict[str, Any],
    settings: Settings,
    work: Path,
    model_folder: Path,
) -> dict[str, Any]:
    """Pose the views and write the COLMAP model of those that could be posed.

    Args:
        masks: Content of masks.json.
        masks_folder: Folder of the masks.
        given: Known poses by view, or None to estimate them.
        config: The config's `poses` section.
        settings: Features, mapper, seed and threads.
        work: Empty folder for temporary files.
        model_folder: Where the model goes.

    Returns:
        Content of poses.json.

    Raises:
        InputError: no views, or fewer than `min_registered` of them, could be posed.
    """
    views = masks["views"]
    posable = [view for view in views if given is None or view in given]
    infos = {view: read_info(views[view]["photograph"]) for view in posable}
    given = given and upright_poses(given, infos)
    if given is None:
        lenses, lens_of_view = guess_lenses(
            infos, config["camera_sharing"], config["camera_model"], config["max_image_size_px"]
        )
    else:
        lenses, lens_of_view = given_lenses(infos, given, config["max_image_size_px"])
    images = _work_images(views, infos, lens_of_view)
    write_work_images(views, masks_folder, images, lenses, work, settings.threads)
    best_matches = find_matches(work, images, lenses, settings)
    counts = best_matches.values()
    logger.info("matches of a view with its best partner: %d to %d", min(counts), max(counts))
    if given is None:
        mapping = map_views(work, images, best_matches, settings, model_folder)
    else:
        poses = np.stack([given[view].world_to_camera for view in posable])
        mapping = triangulate(work, images, lenses, poses, best_matches, settings, model_folder)
    if mapping is None:
        raise InputError(
            f"no two of the {len(views)} views can be matched; use photographs that overlap more,"
            " check that the masks keep the head, or give known poses"
        )
    dropped = drop_reasons(list(views), mapping)
    check_registered(mapping, dropped, config["min_registered"])
    return {"source": "estimated" if given is None else "given", **_summary(mapping, dropped)}


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
    """Write upright photographs and binary masks at working size, as COLMAP wants them."""
    (work / "images").mkdir(parents=True)
    (work / "masks").mkdir()

    def write(image: WorkImage) -> None:
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
        _write_png(work / "images" / f"{image.view}.png", photograph[..., ::-1], fast)
        _write_png(work / "masks" / f"{image.view}.png.png", np.uint8(255) * (mask >= 128), fast)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, images))


def drop_reasons(views: Sequence[str], mapping: Mapping) -> dict[str, str]:
    """Why each view that is not in the largest model is not, by view."""
    reasons = {}
    for view in sorted(set(views) - set(mapping.registered)):
        smaller = [names for names in mapping.model_views[1:] if view in names]
        best = mapping.best_matches.get(view)
        if best is None:
            reasons[view] = "not among the given poses"
        elif smaller:
            reasons[view] = f"in a smaller model of {len(smaller[0])} views"
        elif best < MIN_MATCHES:
            reasons[view] = f"too few matches with any other view ({best})"
        else:
            reasons[view] = f"could not be placed, with at most {best} matches to another view"
    return reasons


def check_registered(mapping: Mapping, dropped: dict[str, str], min_registered: float) -> None:
    """Raise an InputError that names the dropped views if too many of them are."""
    registered, total = len(mapping.registered), len(mapping.registered) + len(dropped)
    if registered >= min_registered * total - 1e-9 and mapping.points:
        return
    if not mapping.points:
        raise InputError(
            "no point could be triangulated under the given poses; check that they belong to these"
            " photographs and follow the OpenCV or nerfstudio convention"
        )
    reasons = "; ".join(f"{view}: {reason}" for view, reason in dropped.items())
    raise InputError(
        f"{registered} of {total} views could be posed, fewer than poses.min_registered"
        f" ({min_registered:g}) ({reasons}); remove these photographs, add ones that overlap with"
        " them, check their masks, or lower poses.min_registered"
    )


def clean_work_folder(path: Path) -> Path:
    """An empty folder for temporary files, without what a killed job left there."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _work_images(
    views: dict[str, Any], infos: dict[str, PhotographInfo], lens_of_view: dict[str, int]
) -> list[WorkImage]:
    return [
        WorkImage(
            view,
            view + Path(views[view]["photograph"]).suffix,
            lens_of_view[view],
            (info.width, info.height),
        )
        for view, info in infos.items()
    ]


def _summary(mapping: Mapping, dropped: dict[str, str]) -> dict[str, Any]:
    return {
        "registered": list(mapping.registered),
        "dropped": dropped,
        "models": [len(views) for views in mapping.model_views],
        "points": mapping.points,
        "mean_track_length": round(mapping.mean_track_length, 3),
        "mean_reprojection_error_px": round(mapping.mean_reprojection_error_px, 4),
        "cameras": [
            {
                "model": lens.model,
                "width": lens.width,
                "height": lens.height,
                "params": list(lens.params),
                "focal_length_from_exif": lens.has_prior_focal,
            }
            for lens in mapping.lenses
        ],
    }


def _write_png(path: Path, pixels: np.ndarray, options: list[int]) -> None:
    if not cv2.imwrite(str(path), pixels, options):
        raise OSError(f"{path} could not be written; check the free space")
