"""What a data set brings beside images and cameras: masks, metric depth, and points to start from.

A path to cameras, in any format of `headstyle.importers.cameras`, comes in; files by view go out.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError, Origin
from headstyle.base.tables.ply import Table, read_ply_tables
from headstyle.importers.cameras import companions_of, find_cameras
from headstyle.importers.colmap_models import read_points
from headstyle.importers.listing import match_files
from headstyle.importers.pinholes import PixelMap, undistort_depth

logger = logging.getLogger("headstyle")

_POINTS = Origin("add it, or take its name out of the data set", "export the data set again")
_COLORS = (("red", "green", "blue"), ("r", "g", "b"))
_GRAY = 128
# Small maps have sides of whole pixels.
_SHAPE_TOLERANCE = 0.01


@dataclass(frozen=True)
class DepthFiles:
    """Depth maps of views, and their unit."""

    files: dict[str, Path]
    """By view."""
    scale: float
    """World units per unit of the files."""


def masks_of_data_set(path: str | Path | None, images: Mapping[str, str | Path]) -> dict[str, Path]:
    """The mask of each view that has a frame in a data set; none where the set names no masks.

    Args:
        path: Where the data set's cameras are.
        images: Path of each view's image.

    Raises:
        InputError: the cameras cannot be read, or a frame's mask is not named or not there.
    """
    return _files_of(path, companions_of(path).masks, images, "mask")


def depths_of_data_set(
    path: str | Path | None, images: Mapping[str, str | Path]
) -> DepthFiles | None:
    """The depth map of each view that has a frame in a data set; None where it names no depth.

    The arguments and errors are those of `masks_of_data_set`.
    """
    found = companions_of(path)
    files = _files_of(path, found.depths, images, "depth map")
    return DepthFiles(files, found.depth_scale) if files else None


def points_of_data_set(
    path: str | Path | None,
) -> tuple[NDArray[np.float64], NDArray[np.uint8]] | None:
    """The points that a data set names, in the world of its cameras, or None.

    Returns:
        Positions `(N, 3)` and RGB colors `(N, 3)`; gray where the file has no colors. Points that
        are not finite are left out.

    Raises:
        InputError: the cameras or the points cannot be read.
    """
    found = companions_of(path)
    if found.points is None:
        return None
    if found.points.is_dir():
        positions, colors = read_points(found.points)
    else:
        vertices = read_ply_tables(found.points, _POINTS).get("vertex")
        if vertices is None or not {"x", "y", "z"} <= set(vertices.dtype.names or ()):
            raise InputError(f"{found.points} holds no points with x, y and z; {_POINTS.if_wrong}")
        positions = np.stack([vertices[axis].astype(np.float64) for axis in "xyz"], axis=1)
        colors = _colors(vertices)
    kept = np.isfinite(positions).all(axis=1)
    return positions[kept] * found.points_scale, colors[kept]


def resized_mask(mask: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A mask of the same view at another size, as `resized_depth`; each pixel is a mean."""
    if not _is_of_shape(mask, size):
        return mask
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def resized_depth(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A depth map of the same view at another size.

    Bilinear on a surface; from the nearest pixel where one surface hides another.

    Args:
        depth: Shape `(h, w)`.
        size: Width and height that are wanted. A map of another shape stays as it is, for the
            reader of the scene to tell.
    """
    height, width = depth.shape
    if not _is_of_shape(depth, size):
        return depth
    columns = (np.arange(size[0]) + 0.5) * width / size[0] - 0.5
    rows = (np.arange(size[1]) + 0.5) * height / size[1] - 0.5
    pixel_map: PixelMap = np.stack(np.meshgrid(columns, rows), axis=-1).astype(np.float32)
    return undistort_depth(depth, pixel_map)


def _is_of_shape(values: NDArray[np.float32], size: tuple[int, int]) -> bool:
    """Whether a map has the shape of an image of this size, but another size."""
    height, width = values.shape
    same_shape = abs(width / height / (size[0] / size[1]) - 1) <= _SHAPE_TOLERANCE
    return same_shape and size != (width, height)


def _files_of(
    path: str | Path | None,
    offered: Mapping[str, Path],
    images: Mapping[str, str | Path],
    what: str,
) -> dict[str, Path]:
    if not offered or path is None:
        return {}
    kind, place = find_cameras(path)
    frames = match_files(images, kind.names(place), str(place))
    files = {}
    for view in images:
        if view not in frames:
            continue
        frame = frames[view]
        if frame not in offered:
            raise InputError(
                f"{place} names no {what} for the frame {frame!r}, but for others; name one for"
                " each frame or for none"
            )
        if not offered[frame].is_file():
            raise InputError(
                f"{place}: the frame {frame!r} has the {what} {offered[frame]}, which does not"
                f" exist; add it, or take the {what}s out of {place.name}"
            )
        files[view] = offered[frame]
    return files


def _colors(vertices: Table) -> NDArray[np.uint8]:
    """RGB; numbers that are no whole ones go from 0 to 1."""
    names = vertices.dtype.names or ()
    found = next((colors for colors in _COLORS if set(colors) <= set(names)), None)
    if found is None:
        return np.full((len(vertices), 3), _GRAY, np.uint8)
    colors = np.stack([vertices[name] for name in found], axis=1)
    if colors.dtype.kind == "f":
        colors = np.nan_to_num(colors) * 255
    return np.clip(np.rint(colors), 0, 255).astype(np.uint8)
