"""The cameras.json that 3D Gaussian splatting and its descendants write beside a trained scene."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.errors import InputError
from headstyle.base.files import write_json
from headstyle.importers.cameras.base import (
    CameraFormat,
    GivenPose,
    Sizes,
    is_json,
    number,
    positive,
    read_json_of_user,
    world_to_camera,
)
from headstyle.importers.lenses import Lens


class SplattingCameras(CameraFormat):
    """A list with `img_name`, `width`, `height`, `position`, `rotation`, `fx` and `fy` each.

    Position and rotation go from the camera to the world; the principal point is the center.
    """

    label = "cameras.json of 3D Gaussian splatting"

    def find(self, path: Path) -> Path | None:
        place = path / "cameras.json" if path.is_dir() else path
        if not is_json(place):
            return None
        content = read_json_of_user(place)
        known = isinstance(content, list) and content and isinstance(content[0], dict)
        return place if known and "img_name" in content[0] else None

    def names(self, place: Path) -> list[str]:
        entries = read_json_of_user(place)
        for number_of_entry, entry in enumerate(entries, start=1):
            if not isinstance(entry, dict) or "img_name" not in entry:
                raise InputError(
                    f"{place}: its entry {number_of_entry} has no img_name; export it again"
                )
        return [str(entry["img_name"]) for entry in entries]

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        poses = {}
        for entry in read_json_of_user(place):
            name = str(entry["img_name"])
            if name in sizes:
                try:
                    poses[name] = _pose(entry)
                except (KeyError, TypeError, ValueError, OverflowError) as error:
                    raise InputError(
                        f"{place}: the camera of {name!r} is incomplete ({error}); export it again"
                    ) from None
        return poses

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        entries = []
        for index, (name, pose) in enumerate(poses.items()):
            lens = pose.lens
            focal_x, focal_y, *center = lens.params
            if lens.model != "PINHOLE" or center != [lens.width / 2, lens.height / 2]:
                raise InputError(
                    f"{place} holds pinholes with a centered principal point only, but {name!r} has"
                    f" another lens ({lens.model}); write another format"
                )
            inverse = np.linalg.inv(pose.world_to_camera)
            entry = {"id": index, "img_name": name, "width": lens.width, "height": lens.height}
            entry |= {"position": inverse[:3, 3].tolist(), "rotation": inverse[:3, :3].tolist()}
            entries.append(entry | {"fy": float(focal_y), "fx": float(focal_x)})
        write_json(place, entries)


def _pose(entry: Mapping[str, Any]) -> GivenPose:
    width, height = int(positive(entry, "width")), int(positive(entry, "height"))
    focal = (positive(entry, "fx"), positive(entry, "fy"))
    center = (number(entry, "cx", width / 2), number(entry, "cy", height / 2))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(entry["rotation"], (3, 3))
    matrix[:3, 3] = np.reshape(entry["position"], 3)
    return GivenPose(Lens("PINHOLE", width, height, (*focal, *center)), world_to_camera(matrix))
