"""COLMAP models, read by pycolmap."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError, first_line
from headstyle.importers.lenses import Lens, lens_of, load_pycolmap


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
        InputError: the folder holds no COLMAP model, or two images with one stem.
    """
    model = _open_model(folder)
    posed = sorted((i for i in model.images.values() if i.has_pose), key=lambda i: i.name)
    views = [Path(image.name).stem for image in posed]
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


def _open_model(folder: str | Path) -> Any:
    pycolmap = load_pycolmap()
    for candidate in (Path(folder), Path(folder) / "0", Path(folder) / "sparse" / "0"):
        if any((candidate / f"cameras.{suffix}").is_file() for suffix in ("bin", "txt")):
            try:
                return pycolmap.Reconstruction(candidate)
            except Exception as error:
                reason = first_line(error)
                raise InputError(
                    f"{candidate} cannot be read as a COLMAP model ({reason}); export it again"
                ) from None
    raise InputError(f"{folder} holds no COLMAP model (cameras, images, points3D as .bin or .txt)")
