"""Cameras of other methods' renders: transforms.json, a COLMAP model, or headstyle's own file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import OPENGL_FROM_OPENCV, Cameras, read_cameras
from headstyle.base.errors import USERS_FILE, InputError
from headstyle.base.files import read_json
from headstyle.importers.given_poses import GivenPose, read_given_poses
from headstyle.importers.lenses import Lens

AXES = ("opengl", "opencv")
"""Camera axes: x right, y up, z backward; and x right, y down, z forward."""
# Places of (fx, fy, cx, cy) in COLMAP's parameters; further ones are distortion.
_PINHOLE_PARAMS = {
    "SIMPLE_PINHOLE": (0, 0, 1, 2),
    "SIMPLE_RADIAL": (0, 0, 1, 2),
    "RADIAL": (0, 0, 1, 2),
    "PINHOLE": (0, 1, 2, 3),
    "OPENCV": (0, 1, 2, 3),
    "FULL_OPENCV": (0, 1, 2, 3),
}
_LARGEST_DISTORTION = 1e-9


def default_axes(path: str | Path) -> str:
    """The convention of a file: transforms.json is OpenGL, COLMAP and cameras.json are OpenCV."""
    return "opengl" if Path(path).suffix == ".json" and not _is_own(path) else "opencv"


def read_foreign_cameras(
    path: str | Path, sizes: Mapping[str, tuple[int, int]], axes: str | None = None
) -> Cameras:
    """The cameras of the views in `sizes`, for images of these sizes.

    Args:
        path: nerfstudio's or NeRF's transforms.json, a COLMAP model's folder, or a cameras.json.
        sizes: Width and height of each view's image [px]. An image smaller or larger than its
            camera by one factor scales the camera.
        axes: The file's camera axes, one of `AXES`; by default those of its format.

    Returns:
        The cameras in the order of `sizes`.

    Raises:
        InputError: the file cannot be read, lacks a view, has another aspect ratio than a view's
            image, or a lens with distortion.
    """
    given = _read_own(path) if _is_own(path) else _read_poses(path, sizes)
    missing = [name for name in sizes if name not in given]
    if missing:
        raise InputError(
            f"{path} has no camera for {len(missing)} of {len(sizes)} images, first"
            f" {missing[0]!r}; add it, or take the image out of the renders"
        )
    intrinsics = [_intrinsics(given[name].lens, size, path, name) for name, size in sizes.items()]
    poses = np.array([given[name].world_to_camera for name in sizes])
    if axes and axes != default_axes(path):
        poses = OPENGL_FROM_OPENCV @ poses
    return Cameras(
        tuple(sizes), np.array(list(sizes.values()), dtype=np.int64), np.array(intrinsics), poses
    )


def camera_names(path: str | Path) -> set[str]:
    """The views that a JSON file of cameras names; none for a COLMAP model."""
    if Path(path).suffix != ".json":
        return set()
    content = read_json(path, USERS_FILE)
    if _is_own(path):
        return {view["name"] for view in content["views"]}
    return {Path(frame["file_path"].replace("\\", "/")).stem for frame in content["frames"]}


def _is_own(path: str | Path) -> bool:
    if Path(path).suffix != ".json":
        return False
    content = read_json(path, USERS_FILE)
    return isinstance(content, dict) and "views" in content


def _read_own(path: str | Path) -> dict[str, GivenPose]:
    cameras = read_cameras(path)
    return {
        name: GivenPose(
            Lens("PINHOLE", width, height, tuple(_params(cameras.intrinsics[i]))),
            cameras.world_to_camera[i],
        )
        for i, (name, (width, height)) in enumerate(
            zip(cameras.names, cameras.sizes.tolist(), strict=True)
        )
    }


def _read_poses(path: str | Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, GivenPose]:
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; name a transforms.json or a COLMAP folder")
    return read_given_poses(path, dict(sizes))


def _params(matrix: NDArray[np.float64]) -> list[float]:
    return [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]


def _intrinsics(
    lens: Lens, size: tuple[int, int], path: str | Path, name: str
) -> NDArray[np.float64]:
    """The pinhole matrix of an image of this size."""
    places = _PINHOLE_PARAMS.get(lens.model)
    if places is None or any(
        abs(p) > _LARGEST_DISTORTION for p in lens.params[max(places or (0,)) + 1 :]
    ):
        raise InputError(
            f"{path} gives {name!r} a lens with distortion ({lens.model}), which no pinhole warp"
            " can follow; give the cameras of the undistorted images"
        )
    factors = np.array(size) / (lens.width, lens.height)
    # Rounded to whole pixels, both sides of a resized image may be off by one half.
    if abs(lens.width * factors[1] - size[0]) > 1 and abs(lens.height * factors[0] - size[1]) > 1:
        raise InputError(
            f"the image of {name!r} is {size[0]}x{size[1]} px but its camera in {path} is"
            f" {lens.width}x{lens.height} px; give the camera of the image as it is"
        )
    matrix = np.eye(3)
    focal_x, focal_y, center_x, center_y = (lens.params[place] for place in places)
    matrix[0, 0], matrix[0, 2] = focal_x * factors[0], center_x * factors[0]
    matrix[1, 1], matrix[1, 2] = focal_y * factors[1], center_y * factors[1]
    return matrix
