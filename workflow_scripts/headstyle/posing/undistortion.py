"""How photographs become training views: undistorted to pinholes, downscaled, with alpha."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.files import write_json
from headstyle.base.images import RgbaImage, resize_rgba
from headstyle.importers.cameras.base import poses_of_cameras
from headstyle.importers.cameras.nerfstudio import transforms_content
from headstyle.importers.colmap_models import SparseModel
from headstyle.importers.lenses import pinhole_matrix, undistorted_pinhole
from headstyle.importers.pinholes import PixelMap
from headstyle.importers.points import in_most_foregrounds

logger = logging.getLogger("headstyle")

MOST_GIVEN = 50_000
"""Points that are drawn from more, such as those of a scanner; each becomes a splat at first."""


def view_size(width: int, height: int, size_px: int, side: str) -> tuple[int, int]:
    """Width and height after downscaling to `size_px` along the `long` or `short` side.

    Images are never enlarged: one that is smaller keeps its size.
    """
    measured = max(width, height) if side == "long" else min(width, height)
    factor = min(1.0, size_px / measured)
    return max(1, round(width * factor)), max(1, round(height * factor))


def make_view(
    photograph: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    pixel_map: PixelMap | None,
    size: tuple[int, int],
) -> RgbaImage:
    """Undistort and downscale a photograph with its mask.

    Args:
        photograph: RGB. Shape `(H, W, 3)`.
        mask: Alpha. Shape `(H, W)`.
        pixel_map: From `undistortion_map`.
        size: Width and height of the view.
    """
    pixels = np.dstack([photograph, mask])
    if pixel_map is not None:
        pixels = cv2.remap(  # type: ignore[call-overload]  # takes a map of pairs without a second
            pixels, pixel_map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    rgba = pixels.astype(np.float32) / np.float32(255)
    return rgba if size == rgba.shape[1::-1] else resize_rgba(rgba, *size)


def foreground_points(
    model: SparseModel, cameras: Cameras, alphas: Iterable[NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Which points lie in the foreground of more than half of the views that see them.

    Args:
        model: Points and which views see them; its views are those of `cameras`, in order.
        cameras: The pinhole cameras of the views.
        alphas: Alpha of each view, `(H, W)` in [0, 1].

    Returns:
        Shape `(N,)`.
    """
    seen = np.zeros(len(model.positions))
    inside = np.zeros(len(model.positions))
    for i, alpha in enumerate(alphas):
        points = model.observations[model.observations[:, 1] == i, 0]
        pixels = points_in_view(model.positions[points], cameras, i)
        height, width = alpha.shape
        shown = ((pixels >= 0) & (pixels < (width, height))).all(axis=1)
        columns, rows = np.floor(pixels[shown]).T.astype(np.int64)
        np.add.at(seen, points, 1)
        np.add.at(inside, points[shown], alpha[rows, columns] >= 0.5)
    return inside > seen / 2


def points_to_start_from(
    model: SparseModel,
    cameras: Cameras,
    alphas: Sequence[NDArray[np.float32]],
    given: tuple[NDArray[np.float64], NDArray[np.uint8]] | None,
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The foreground's points of the model, and those that were given.

    Args:
        model, cameras, alphas: As in `foreground_points`.
        given: Positions `(N, 3)` in the cameras' world and RGB colors `(N, 3)`, or None.

    Returns:
        Positions and colors.
    """
    found = foreground_points(model, cameras, alphas)
    logger.info("%d of %d points lie in the foreground", found.sum(), len(found))
    points, shown = model.positions[found], model.colors[found]
    if given is not None:
        positions, colors = given
        inside = in_most_foregrounds(positions, cameras, alphas)
        logger.info("so do %d of %d that were given", inside.sum(), len(inside))
        used = np.flatnonzero(inside)
        if len(used) > MOST_GIVEN:
            used = np.random.default_rng(0).choice(used, MOST_GIVEN, replace=False)
        points = np.concatenate([points, positions[used]])
        shown = np.concatenate([shown, colors[used]])
    return points, shown


def points_in_view(
    positions: NDArray[np.float64], cameras: Cameras, view: int
) -> NDArray[np.float64]:
    """Where a camera sees points (x, y) [px]; NaN for points behind it. Shape `(N, 2)`.

    Observations lie before the camera, but a poor model may put points behind it.

    Args:
        positions: Points in the world. Shape `(N, 3)`.
        cameras: The pinhole cameras.
        view: Index of the camera.
    """
    pose, matrix = cameras.world_to_camera[view], cameras.intrinsics[view]
    pixels = (positions @ pose[:3, :3].T + pose[:3, 3]) @ matrix.T
    depths = np.where(pixels[:, 2] > 0, pixels[:, 2], np.nan)
    return np.asarray(pixels[:, :2] / depths[:, None])


def transforms(cameras: Cameras) -> dict[str, Any]:
    """The views `{view}.png` as nerfstudio's transforms.json."""
    return transforms_content(
        {f"{view}.png": pose for view, pose in poses_of_cameras(cameras).items()}
    )


def write_transforms(path: Path, cameras: Cameras) -> None:
    """Write transforms.json for nerfstudio."""
    write_json(path, transforms(cameras))


def lens_cameras(model: SparseModel) -> Cameras:
    """A model's cameras at full size with their own focal lengths, distortion left out."""
    return Cameras(
        names=model.views,
        sizes=np.array([(lens.width, lens.height) for lens in model.lenses], dtype=np.int64),
        intrinsics=np.array([pinhole_matrix(lens) for lens in model.lenses]),
        world_to_camera=model.world_to_camera,
    )


def full_size_cameras(model: SparseModel) -> Cameras:
    """The undistorted pinhole cameras of a model's views, at the photographs' full size."""
    pinholes = {lens: undistorted_pinhole(lens) for lens in set(model.lenses)}
    intrinsics = np.array([pinholes[lens] for lens in model.lenses])
    return replace(lens_cameras(model), intrinsics=intrinsics)
