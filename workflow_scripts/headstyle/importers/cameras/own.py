"""headstyle's own cameras.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.cameras import Cameras, write_cameras
from headstyle.base.errors import InputError
from headstyle.importers.cameras.base import (
    CameraFormat,
    GivenPose,
    Sizes,
    is_json,
    positive,
    read_json_of_user,
    world_to_camera,
)
from headstyle.importers.lenses import Lens


class OwnCameras(CameraFormat):
    """`cameras.json`: pinholes with OpenCV poses."""

    label = "headstyle's cameras.json"

    def find(self, path: Path) -> Path | None:
        place = path / "cameras.json" if path.is_dir() else path
        if not is_json(place):
            return None
        content = read_json_of_user(place)
        return place if isinstance(content, dict) and "views" in content else None

    def names(self, place: Path) -> list[str]:
        return [str(view["name"]) for view in self._views(place)]

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        poses = {}
        for view in self._views(place):
            name = str(view["name"])
            if name not in sizes:
                continue
            try:
                matrix = np.array(view["K"], dtype=np.float64).reshape(3, 3)
                pose = np.array(view["world_to_camera"], dtype=np.float64).reshape(4, 4)
                world_to_camera(pose)  # Only looks whether it is rigid: the pose stays as it is.
                params = (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
                if not np.isfinite(matrix).all() or min(params[:2]) <= 0:
                    raise ValueError("K is no matrix of a camera")
                width, height = (int(positive(view, side)) for side in ("width", "height"))
                lens = Lens("PINHOLE", width, height, params)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise InputError(
                    f"{place}: the camera of {name!r} is incomplete ({error}); export it again"
                ) from None
            poses[name] = GivenPose(lens, pose)
        return poses

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        matrices = np.zeros((len(poses), 3, 3))
        for matrix, (name, pose) in zip(matrices, poses.items(), strict=True):
            if pose.lens.model != "PINHOLE":
                raise InputError(
                    f"{place} holds pinholes only, but {name!r} has a {pose.lens.model} lens;"
                    " undistort the images"
                )
            matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2] = pose.lens.params
            matrix[2, 2] = 1
        sizes = [(pose.lens.width, pose.lens.height) for pose in poses.values()]
        stacked = np.stack([pose.world_to_camera for pose in poses.values()])
        write_cameras(place, Cameras(tuple(poses), np.array(sizes), matrices, stacked))

    def _views(self, place: Path) -> list[dict[str, Any]]:
        views = read_json_of_user(place)["views"]
        if not isinstance(views, list):
            raise InputError(f"{place} is not a cameras.json with named views; export it again")
        for number, view in enumerate(views, start=1):
            if not isinstance(view, dict) or "name" not in view:
                raise InputError(f"{place}: its view {number} has no name; export it again")
        return views
