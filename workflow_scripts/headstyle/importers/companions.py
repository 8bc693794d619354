"""What a data set brings beside images and cameras: masks, metric depth, and points to start from.

A path to cameras, in any format of `headstyle.importers.cameras`, comes in; files by view go out.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError, Origin
from headstyle.base.tables.ply import Table, read_ply_tables
from headstyle.importers.cameras import companions_of, find_cameras
from headstyle.importers.colmap_models import read_points
from headstyle.importers.listing import match_files

logger = logging.getLogger("headstyle")

_POINTS = Origin("add it, or take its name out of the data set", "export the data set again")
_COLORS = (("red", "green", "blue"), ("r", "g", "b"))
_GRAY = 128


@dataclass(frozen=True)
class ViewFiles:
    """What a data set brings for views: files in the views' order."""

    masks: list[Path]
    depths: list[Path]
    depth_scale: float
    """World units per unit of the depth files."""


def masks_of_data_set(path: str | Path | None, images: Mapping[str, str | Path]) -> dict[str, Path]:
    """The mask of each view that has a frame in a data set; none where the set names no masks.

    Args:
        path: Where the data set's cameras are.
        images: Path of each view's image.

    Raises:
        InputError: the cameras cannot be read, or a frame's mask is not named or not there.
    """
    return _files_of(path, companions_of(path).masks, images, "mask")


def files_of_data_set(
    path: str | Path, images: Mapping[str, str | Path], *, masks: bool, depths: bool
) -> ViewFiles:
    """The masks and depth maps of the views, where they are wanted and the data set names any.

    The arguments and errors are those of `masks_of_data_set`.
    """
    found = companions_of(path)
    own_masks = _files_of(path, found.masks if masks else {}, images, "mask")
    own_depths = _files_of(path, found.depths if depths else {}, images, "depth map")
    return ViewFiles([*own_masks.values()], [*own_depths.values()], found.depth_scale)


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
