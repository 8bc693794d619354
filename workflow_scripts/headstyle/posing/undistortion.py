"""How photographs become training views: undistorted to pinholes, downscaled, with alpha."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import OPENGL_FROM_OPENCV, Cameras, pixel_rays
from headstyle.base.errors import InputError
from headstyle.base.files import write_json
from headstyle.base.images import RgbaImage, resize_rgba
from headstyle.importers.colmap_models import SparseModel
from headstyle.importers.lenses import Lens, pinhole_matrix, project

PixelMap = NDArray[np.float32]
"""Where each pixel of an undistorted image comes from (x, y), for cv2.remap. Shape `(H, W, 2)`."""

# Steps in which the focal length is tried that just leaves no blank border.
_FOCAL_STEP = 1.002
_FOCAL_FACTORS = (0.7, 4.0)


def view_size(width: int, height: int, size_px: int, side: str) -> tuple[int, int]:
    """Width and height after downscaling to `size_px` along the `long` or `short` side.

    Images are never enlarged: one that is smaller keeps its size.
    """
    measured = max(width, height) if side == "long" else min(width, height)
    factor = min(1.0, size_px / measured)
    return max(1, round(width * factor)), max(1, round(height * factor))


def undistorted_pinhole(lens: Lens) -> NDArray[np.float64]:
    """The pinhole matrix, at the lens's size, that shows as much as fits without a blank border.

    The principal point stays; the focal length changes by one factor for both axes.

    Raises:
        InputError: the lens sees too wide an angle for a pinhole.
    """
    matrix = pinhole_matrix(lens)
    edge = [np.linspace(0.5, side - 0.5, 128) for side in (lens.width, lens.height)]
    sides = [(edge[0], np.full(128, y)) for y in (0.5, lens.height - 0.5)]
    sides += [(np.full(128, x), edge[1]) for x in (0.5, lens.width - 0.5)]
    border = np.concatenate([np.stack(side, axis=1) for side in sides])

    def fits(factor: float) -> bool:
        source = project(lens, pixel_rays(border, _zoomed(matrix, factor)))
        last = np.array([lens.width, lens.height]) - 0.5
        return bool(np.all((source >= 0.5 - 1e-6) & (source <= last + 1e-6)))

    factor = 1.0
    if fits(factor):
        while factor > _FOCAL_FACTORS[0] and fits(factor / _FOCAL_STEP):
            factor /= _FOCAL_STEP
        return _zoomed(matrix, factor)
    while factor < _FOCAL_FACTORS[1]:
        factor *= _FOCAL_STEP
        if fits(factor):
            return _zoomed(matrix, factor)
    raise InputError(
        f"a {lens.model} camera with parameters {lens.params} cannot be undistorted to a pinhole;"
        " leave its photographs out or give poses of undistorted ones"
    )


def undistortion_map(lens: Lens, matrix: NDArray[np.float64]) -> PixelMap | None:
    """The map from an image of pinhole `matrix` to the lens's image; None if they are the same."""
    grid = np.stack(np.meshgrid(np.arange(lens.width) + 0.5, [0.5]), axis=-1).reshape(-1, 2)
    rows = []
    for row in range(lens.height):
        source = project(lens, pixel_rays(np.add(grid, (0.0, row)), matrix))
        rows.append(source.astype(np.float32) - np.float32(0.5))
    pixel_map = np.stack(rows)
    own = np.stack(np.meshgrid(np.arange(lens.width), np.arange(lens.height)), axis=-1)
    return None if np.abs(pixel_map - own).max() < 1e-3 else pixel_map


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
        pose, matrix = cameras.world_to_camera[i], cameras.intrinsics[i]
        pixels = (model.positions[points] @ pose[:3, :3].T + pose[:3, 3]) @ matrix.T
        # Observations lie before the camera; points that a poor model puts behind it are outside.
        front = pixels[:, 2] > 0
        columns, rows = np.floor(
            pixels[:, :2] / np.where(front, pixels[:, 2], 1.0)[:, None]
        ).T.astype(np.int64)
        height, width = alpha.shape
        front &= (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        np.add.at(seen, points, 1)
        np.add.at(inside, points[front], alpha[rows[front], columns[front]] >= 0.5)
    return inside > seen / 2


def transforms(cameras: Cameras) -> dict[str, Any]:
    """The views as nerfstudio's transforms.json: camera-to-world with OpenGL axes."""
    frames = []
    for i, name in enumerate(cameras.names):
        matrix = cameras.intrinsics[i]
        camera_to_world = np.linalg.inv(cameras.world_to_camera[i]) @ OPENGL_FROM_OPENCV
        frames.append(
            {
                "file_path": f"{name}.png",
                "w": int(cameras.sizes[i, 0]),
                "h": int(cameras.sizes[i, 1]),
                "fl_x": matrix[0, 0],
                "fl_y": matrix[1, 1],
                "cx": matrix[0, 2],
                "cy": matrix[1, 2],
                "transform_matrix": camera_to_world.tolist(),
            }
        )
    return {"camera_model": "PINHOLE", "frames": frames}


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


def _zoomed(matrix: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    zoomed = matrix.copy()
    zoomed[0, 0] *= factor
    zoomed[1, 1] *= factor
    return zoomed
