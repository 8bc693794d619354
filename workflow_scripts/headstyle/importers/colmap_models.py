"""COLMAP models, read by pycolmap."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.importers.cameras.colmap_files import open_model
from headstyle.importers.lenses import Lens, lens_of


@dataclass(frozen=True)
class SparseModel:
    """Posed views and points, read from a COLMAP model."""

    views: tuple[str, ...]
    """Names (file stems), sorted. Length C."""
    lenses: tuple[Lens, ...]
    """Lens of each view. Length C."""
    world_to_camera: NDArray[np.float64]
    """OpenCV poses. Shape `(C, 4, 4)`."""
    positions: NDArray[np.float64]
    """Points in the world. Shape `(N, 3)`."""
    colors: NDArray[np.uint8]
    """Their RGB colors. Shape `(N, 3)`."""
    observations: NDArray[np.int64]
    """Which point is seen by which view: pairs (point index, view index). Shape `(O, 2)`."""


def read_model(folder: str | Path) -> SparseModel:
    """Read a COLMAP model (binary or text) with its posed views and points.

    Raises:
        InputError: as `open_model`, or two images have one stem.
    """
    model, names = open_model(folder)
    posed = sorted((i for i in model.images.values() if i.has_pose), key=lambda i: i.name)
    views = [Path(names[image.image_id]).stem for image in posed]
    if len(set(views)) < len(views):
        raise InputError(f"{folder} holds two images with the same stem; rename one of them")
    order = sorted(range(len(views)), key=views.__getitem__)
    posed, views = [posed[i] for i in order], [views[i] for i in order]
    index = {image.image_id: i for i, image in enumerate(posed)}
    points = [point for _, point in sorted(model.points3D.items())]
    observations = sorted(
        {
            (number, index[element.image_id])
            for number, point in enumerate(points)
            for element in point.track.elements
            if element.image_id in index
        }
    )
    poses = np.tile(np.eye(4), (len(posed), 1, 1))
    for i, image in enumerate(posed):
        poses[i, :3] = image.cam_from_world().matrix()
    return SparseModel(
        views=tuple(views),
        lenses=tuple(lens_of(model.cameras[image.camera_id]) for image in posed),
        world_to_camera=poses,
        positions=np.array([point.xyz for point in points], dtype=np.float64).reshape(-1, 3),
        colors=np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3),
        observations=np.array(observations, dtype=np.int64).reshape(-1, 2),
    )


def read_points(folder: str | Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The points of a COLMAP model: positions `(N, 3)` and RGB colors `(N, 3)`.

    Raises:
        InputError: as `open_model`.
    """
    model, _ = open_model(folder)
    points = [point for _, point in sorted(model.points3D.items())]
    positions = np.array([point.xyz for point in points], dtype=np.float64).reshape(-1, 3)
    return positions, np.array([p.color for p in points], dtype=np.uint8).reshape(-1, 3)
