"""LLFF's poses_bounds.npy, which forward-facing scenes and Mip-NeRF 360 have.

By github.com/Fyusion/LLFF ("Using your own poses"): a row of 17 numbers per image, in the order of
the images' names. They are a 3x5 matrix by rows, and the nearest and farthest depth. The matrix is
a rotation from the camera to the world with axes down, right, backward, a center, and the height,
width and focal length.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.importers.cameras.base import CameraFormat, GivenPose, Sizes, world_to_camera
from headstyle.importers.images import SUFFIXES
from headstyle.importers.lenses import Lens

FILE = "poses_bounds.npy"
_MOST_IMAGES = 100_000
# OpenCV's right, down, forward among down, right, backward.
_OPENCV = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
# Depth is not known when cameras are written; LLFF wants some.
_BOUNDS = (0.1, 100.0)


class Llff(CameraFormat):
    """`poses_bounds.npy` beside the folder `images`, whose sorted names it follows."""

    label = "poses_bounds.npy of LLFF"
    # Data sets often keep the COLMAP model that it was made from, which says more.
    rank = 2

    def find(self, path: Path) -> Path | None:
        place = path / FILE if path.is_dir() else path
        return place if place.name == FILE and place.is_file() else None

    def names(self, place: Path) -> list[str]:
        count = len(_rows(place))
        images = self.images(place)
        if not images:
            # Images elsewhere are matched by their numbers, if they have any.
            return [f"{index:06d}" for index in range(count)]
        if len(images) != count:
            raise InputError(
                f"{place} has {count} poses, but {images[0].parent} has {len(images)} images, and"
                " only their order tells which is whose; give the images that it was made from"
            )
        return [image.name for image in images]

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        poses = {}
        for name, row in zip(self.names(place), _rows(place), strict=True):
            if name in sizes:
                try:
                    poses[name] = _pose(row[:15].reshape(3, 5))
                except ValueError as error:
                    raise InputError(
                        f"{place}: the pose of {name!r} is of no camera ({error}); write it again"
                    ) from None
        return poses

    def images(self, place: Path) -> list[Path]:
        folder = place.parent / "images"
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        return [p for p in files if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        rows = []
        for name, pose in sorted(poses.items()):
            lens = pose.lens
            focal, *others = lens.params
            if lens.model != "PINHOLE" or others != [focal, lens.width / 2, lens.height / 2]:
                raise InputError(
                    f"{place} holds centered pinholes with one focal length only, but {name!r} has"
                    f" another lens ({lens.model}); write another format"
                )
            matrix = np.linalg.inv(pose.world_to_camera)[:3]
            axes = matrix[:, :3] @ _OPENCV
            size = np.array([lens.height, lens.width, focal])
            rows.append([*np.column_stack([axes, matrix[:, 3], size]).ravel(), *_BOUNDS])
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / FILE, np.array(rows))


def _rows(place: Path) -> NDArray[np.float64]:
    """One row per image. Nothing is taken into memory before its shape is known."""
    try:
        stored = np.load(place, mmap_mode="r", allow_pickle=False)
        shape = stored.shape
        if stored.dtype.kind != "f" or len(shape) != 2 or shape[1] != 17:
            raise ValueError(f"it holds {stored.dtype} of shape {shape}, not (images, 17)")
        if not 0 < shape[0] <= _MOST_IMAGES:
            raise ValueError(f"it has {shape[0]} rows")
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise InputError(f"{place} is not LLFF's ({error}); write it again") from None
    return np.array(stored, dtype=np.float64)


def _pose(matrix: NDArray[np.float64]) -> GivenPose:
    height, width, focal = matrix[:, 4].tolist()
    if not np.isfinite(matrix).all() or min(height, width, focal) <= 0:
        raise ValueError(f"its height, width and focal length are {height}, {width} and {focal}")
    to_world = np.eye(4)
    to_world[:3, :3], to_world[:3, 3] = matrix[:, :3] @ _OPENCV.T, matrix[:, 3]
    params = (focal, focal, width / 2, height / 2)
    lens = Lens("PINHOLE", round(width), round(height), params)
    return GivenPose(lens, world_to_camera(to_world))
