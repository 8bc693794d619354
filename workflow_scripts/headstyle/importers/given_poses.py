"""Poses that the user brings: a COLMAP model or nerfstudio's transforms.json."""

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import OPENGL_FROM_OPENCV
from headstyle.base.errors import USERS_FILE, InputError
from headstyle.base.files import read_json
from headstyle.importers.colmap_models import read_model
from headstyle.importers.lenses import Lens


@dataclass(frozen=True)
class GivenPose:
    """A view's known lens and pose."""

    lens: Lens
    world_to_camera: NDArray[np.float64]
    """OpenCV. Shape `(4, 4)`."""


def read_given_poses(
    path: str | Path, photograph_sizes: dict[str, tuple[int, int]]
) -> dict[str, GivenPose]:
    """Known poses of the views among `photograph_sizes`, by view (the images' file stems).

    Args:
        path: A COLMAP model's folder, or a nerfstudio transforms.json.
        photograph_sizes: Width and height of each view's upright photograph, used where
            transforms.json gives no size.

    Raises:
        InputError: the file cannot be read, is incomplete, or names none of the views.
    """
    path = Path(path)
    if path.suffix == ".json":
        poses = _read_transforms(path, photograph_sizes)
    else:
        model = read_model(path)
        poses = {
            view: GivenPose(model.lenses[i], model.world_to_camera[i])
            for i, view in enumerate(model.views)
        }
    known = {view: poses[view] for view in photograph_sizes if view in poses}
    if len(known) < 2:
        raise InputError(
            f"{path} has poses for {len(known)} of the {len(photograph_sizes)} views; its image"
            " names must be those of the photographs"
        )
    return known


def _read_transforms(path: Path, sizes: dict[str, tuple[int, int]]) -> dict[str, GivenPose]:
    content = read_json(path, USERS_FILE)
    poses: dict[str, GivenPose] = {}
    try:
        shared = {key: value for key, value in content.items() if key != "frames"}
        for frame in content["frames"]:
            view = PurePosixPath(frame["file_path"].replace("\\", "/")).name
            view = view if view in sizes else PurePosixPath(view).stem
            if view not in sizes:
                continue
            camera_to_world = np.array(frame["transform_matrix"], dtype=np.float64)
            poses[view] = GivenPose(
                _transforms_lens({**shared, **frame}, sizes[view]),
                _rigid_inverse(camera_to_world @ OPENGL_FROM_OPENCV),
            )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a complete nerfstudio transforms.json ({error!r}); export it again"
        ) from None
    return poses


def _transforms_lens(entry: dict[str, Any], size: tuple[int, int]) -> Lens:
    """The lens of one frame; keys as in nerfstudio's data conventions."""
    width, height = int(entry.get("w", size[0])), int(entry.get("h", size[1]))
    if "fl_x" in entry:
        focal_x = float(entry["fl_x"])
    else:
        focal_x = 0.5 * width / math.tan(0.5 * float(entry["camera_angle_x"]))
    pinhole = (
        focal_x,
        float(entry.get("fl_y", focal_x)),
        float(entry.get("cx", width / 2)),
        float(entry.get("cy", height / 2)),
    )
    k1, k2, k3, k4, p1, p2 = (float(entry.get(k, 0)) for k in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if entry.get("camera_model") == "OPENCV_FISHEYE":
        return Lens("OPENCV_FISHEYE", width, height, (*pinhole, k1, k2, k3, k4))
    if k3 or k4:
        return Lens("FULL_OPENCV", width, height, (*pinhole, k1, k2, p1, p2, k3, k4, 0.0, 0.0))
    if k1 or k2 or p1 or p2:
        return Lens("OPENCV", width, height, (*pinhole, k1, k2, p1, p2))
    return Lens("PINHOLE", width, height, pinhole)


def _rigid_inverse(camera_to_world: NDArray[np.float64]) -> NDArray[np.float64]:
    rotation = camera_to_world[:3, :3]
    if camera_to_world.shape != (4, 4) or not np.allclose(
        rotation @ rotation.T, np.eye(3), atol=1e-3
    ):
        raise ValueError("a transform_matrix is not a rigid 4x4 transform")
    # The nearest rotation: files often carry few digits.
    left, _, right = np.linalg.svd(rotation)
    inverse = np.eye(4)
    inverse[:3, :3] = (left @ right).T
    inverse[:3, 3] = -inverse[:3, :3] @ camera_to_world[:3, 3]
    return inverse
