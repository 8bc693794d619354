"""Polycam's raw data: a JSON for each keyframe.

As nerfstudio's polycam_utils.py reads it: t_00 to t_23 go from the camera to the world, with
ARKit's axes x right, y up, z backward. `corrected_` folders are those after Polycam's own bundle
adjustment. Depth maps of 16 bits are smaller than the images; they belong to both kinds of cameras.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.cameras import OPENGL_FROM_OPENCV
from headstyle.base.errors import InputError
from headstyle.base.files import write_json
from headstyle.importers.cameras.base import (
    CameraFormat,
    Companions,
    GivenPose,
    Sizes,
    is_json,
    number,
    positive,
    read_json_of_user,
    world_to_camera,
)
from headstyle.importers.images import SUFFIXES
from headstyle.importers.lenses import Lens

MILLIMETERS = 1e-3
"""Meters per unit of the depth files."""
_FOLDERS = ("corrected_cameras", "cameras")
_KEYS = [f"t_{row}{column}" for row in range(3) for column in range(4)]


class Polycam(CameraFormat):
    """`keyframes/corrected_cameras/TIME.json` beside `keyframes/corrected_images/TIME.jpg`."""

    label = "keyframes of Polycam"
    axes = "opengl"
    rank = 1

    def find(self, path: Path) -> Path | None:
        if not path.is_dir():
            return None
        for parent in (path / "keyframes", path):
            for name in _FOLDERS:
                if _first_is_known(parent / name):
                    return parent / name
        return path if path.name in _FOLDERS and _first_is_known(path) else None

    def names(self, place: Path) -> list[str]:
        return [file.stem for file in _files(place)]

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        poses = {}
        for file in _files(place):
            if file.stem in sizes:
                entry = read_json_of_user(file)
                try:
                    poses[file.stem] = _pose(entry)
                except (AttributeError, TypeError, ValueError) as error:
                    raise InputError(
                        f"{file} is not the camera of the keyframe {file.stem!r} ({error}); export"
                        " the raw data again"
                    ) from None
        return poses

    def images(self, place: Path) -> list[Path]:
        folder = place.with_name(place.name.replace("cameras", "images"))
        stems = {file.stem for file in _files(place)}
        images = sorted(folder.iterdir()) if folder.is_dir() else []
        return [p for p in images if p.stem in stems and p.suffix.lower() in SUFFIXES]

    def companions(self, place: Path) -> Companions:
        folder = place.with_name("depth")
        depths = {file.stem: folder / f"{file.stem}.png" for file in _files(place)}
        return Companions(depths=depths if folder.is_dir() else {}, depth_scale=MILLIMETERS)

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        for name, pose in poses.items():
            lens = pose.lens
            if lens.model != "PINHOLE" or Path(name).name != name:
                raise InputError(
                    f"{place} holds pinholes in one folder only, but {name!r} has a {lens.model}"
                    " lens or lies in another folder; write another format"
                )
            matrix = np.linalg.inv(pose.world_to_camera) @ OPENGL_FROM_OPENCV
            entry = dict(zip(("fx", "fy", "cx", "cy"), map(float, lens.params), strict=True))
            entry |= {"width": lens.width, "height": lens.height}
            entry |= dict(zip(_KEYS, matrix[:3].ravel().tolist(), strict=True))
            write_json(place / "keyframes/corrected_cameras" / f"{name}.json", entry)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.json") if not p.name.startswith("."))


def _first_is_known(folder: Path) -> bool:
    first = next((file for file in _files(folder) if is_json(file)), None)
    if first is None:
        return False
    try:
        content = read_json_of_user(first)
    except InputError:
        # Reading tells what is wrong with a keyframe; other JSON is none of ours.
        return folder.parent.name == "keyframes"
    return isinstance(content, dict) and "t_00" in content


def _pose(entry: Mapping[str, Any]) -> GivenPose:
    width, height = int(positive(entry, "width")), int(positive(entry, "height"))
    params = (
        *(positive(entry, key) for key in ("fx", "fy")),
        *(number(entry, key) for key in ("cx", "cy")),
    )
    matrix = np.eye(4)
    matrix[:3] = np.reshape([number(entry, key) for key in _KEYS], (3, 4))
    pose = world_to_camera(matrix @ OPENGL_FROM_OPENCV)
    return GivenPose(Lens("PINHOLE", width, height, params), pose)
