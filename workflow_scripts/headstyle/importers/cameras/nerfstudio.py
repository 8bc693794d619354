"""transforms.json of nerfstudio, and what all kinds of transforms.json have in common.

Defined at https://docs.nerf.studio/quickstart/data_conventions.html.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

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
from headstyle.importers.images import SUFFIXES as IMAGE_SUFFIXES
from headstyle.importers.lenses import Lens, brown_lens

SPLITS = ("train", "val", "test")
MASK_KEYS = ("mask_path", "fg_mask_path")
"""What frames call their masks: nerfstudio, and VHAP's exports for GaussianAvatars."""
DEPTH_UNIT = 1e-3
"""nerfstudio's depth files count millimeters, before `applied_scale`."""
_PERSPECTIVE = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "PERSPECTIVE")
# instant-ngp's keys for lenses that are no pinholes with distortion.
_OTHER_LENSES = ("ftheta_p0", "is_equirectangular", "equirectangular", "latlong", "orthographic")
_KEYS = {
    "PINHOLE": (),
    "OPENCV": ("k1", "k2", "p1", "p2"),
    "OPENCV_FISHEYE": ("k1", "k2", "k3", "k4"),
}


class Transforms(CameraFormat):
    """Camera-to-world matrices with OpenGL axes; intrinsics for all frames or per frame."""

    label = "transforms.json of nerfstudio"
    axes = "opengl"
    maker: ClassVar[str] = "nerfstudio"
    """Whose transforms.json messages call it."""
    # Any JSON that no other format knows is taken for one, so that errors say what it lacks.
    rank = 3

    def find(self, path: Path) -> Path | None:
        if path.is_dir():
            return path if transforms_files(path) else None
        return path if is_json(path) else None

    def names(self, place: Path) -> list[str]:
        return [frame["file_path"] for frame in self.frames(place)]

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        poses = {}
        for frame in self.frames(place):
            name = frame["file_path"]
            if name not in sizes:
                continue
            try:
                if "transform_matrix" not in frame:
                    raise ValueError("transform_matrix is missing")
                matrix = np.array(frame["transform_matrix"], dtype=np.float64)
                if matrix.shape not in ((3, 4), (4, 4)):
                    raise ValueError(f"transform_matrix has the shape {matrix.shape}")
                pose = world_to_camera(matrix @ OPENGL_FROM_OPENCV)
                poses[name] = GivenPose(self.lens(frame, sizes[name]), pose)
            except (TypeError, ValueError, OverflowError) as error:
                if isinstance(error, InputError):
                    raise InputError(f"{frame['path']}: frame {name!r} {error}") from None
                raise InputError(
                    f"{frame['path']} is not a complete {self.maker} transforms.json (frame"
                    f" {name!r}: {error}); export it again"
                ) from None
        return poses

    def companions(self, place: Path) -> Companions:
        frames = self.frames(place)
        scales = {_applied_scale(frame) for frame in frames} or {1.0}
        scale = scales.pop()
        clouds = (_beside(f, f["ply_file_path"]) for f in frames if f.get("ply_file_path"))
        return Companions(
            masks=_files(frames, MASK_KEYS),
            depths=_files(frames, ("depth_file_path",)),
            depth_scale=DEPTH_UNIT * scale,
            points=next(clouds, None),
            points_scale=scale,
        )

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        write_json(place, transforms_content(poses))

    def lens(self, frame: Mapping[str, Any], size: tuple[int, int]) -> Lens:
        """The lens of one frame; arguments and errors as of `transforms_lens`."""
        return transforms_lens(frame, size)

    def frames(self, place: Path) -> list[dict[str, Any]]:
        """The frames of a file, or of all splits of a folder, with what they share."""
        frames = []
        for path in transforms_files(place):
            content = read_json_of_user(path)
            if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
                raise InputError(
                    f"{path} is not a complete {self.maker} transforms.json (it has no list of"
                    " frames); export it again"
                )
            shared = _told({**content, "frames": None})
            for index, frame in enumerate(content["frames"]):
                if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
                    raise InputError(
                        f"{path} is not a complete {self.maker} transforms.json (frame {index} has"
                        " no file_path); export it again"
                    )
                frames.append({**shared, **_told(frame), "path": path})
        return frames


def transforms_content(poses: Mapping[str, GivenPose]) -> dict[str, Any]:
    """What transforms.json says of images by name: camera-to-world with OpenGL axes.

    Raises:
        InputError: a lens is none of nerfstudio's.
    """
    frames = []
    models = sorted({pose.lens.model for pose in poses.values()})
    for name, pose in poses.items():
        keys = _KEYS.get(pose.lens.model)
        if keys is None:
            raise InputError(
                f"transforms.json cannot hold the {pose.lens.model} lens of {name!r}; undistort the"
                " images"
            )
        focal_x, focal_y, center_x, center_y, *distortion = pose.lens.params
        frame = {"file_path": name, "w": pose.lens.width, "h": pose.lens.height}
        frame |= {"fl_x": focal_x, "fl_y": focal_y, "cx": center_x, "cy": center_y}
        frame |= dict(zip(keys, distortion, strict=True))
        if len(models) > 1:
            frame["camera_model"] = pose.lens.model
        camera_to_world = np.linalg.inv(pose.world_to_camera) @ OPENGL_FROM_OPENCV
        frames.append(frame | {"transform_matrix": camera_to_world.tolist()})
    return ({"camera_model": models[0]} if len(models) == 1 else {}) | {"frames": frames}


def transforms_lens(entry: Mapping[str, Any], size: tuple[int, int]) -> Lens:
    """The lens of one frame; keys as in nerfstudio's data conventions and instant-ngp's.

    Args:
        entry: What the frame says, over what all frames share.
        size: Width and height of its image [px], where the entry gives none.

    Raises:
        InputError: the lens is of a kind that is not supported; begins with what it has.
        ValueError: a number is missing or impossible.
    """
    width, height = int(positive(entry, "w", size[0])), int(positive(entry, "h", size[1]))
    focal_x = positive(entry, "fl_x") if "fl_x" in entry else _focal(entry, "x", width)
    focal_y = focal_x
    if "fl_y" in entry:
        focal_y = positive(entry, "fl_y")
    elif "fl_x" not in entry and "camera_angle_y" in entry:
        focal_y = _focal(entry, "y", height)
    center = (number(entry, "cx", width / 2), number(entry, "cy", height / 2))
    pinhole = (focal_x, focal_y, *center)
    k1, k2, k3, k4, p1, p2 = (number(entry, k, 0) for k in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if _is_fisheye(entry):
        if p1 or p2:
            raise InputError(
                "has a fisheye lens with p1 or p2, which such lenses do not have; set them to 0"
            )
        return Lens("OPENCV_FISHEYE", width, height, (*pinhole, k1, k2, k3, k4))
    return brown_lens((width, height), pinhole, (k1, k2, k3, k4), (p1, p2))


def _is_fisheye(entry: Mapping[str, Any]) -> bool:
    """Whether a frame has a fisheye lens; raises an InputError where it has neither kind."""
    model = str(entry.get("camera_model", "OPENCV")).upper()
    other = next((key for key in _OTHER_LENSES if entry.get(key)), None)
    if other is not None:
        model = other
    if model == "OPENCV_FISHEYE" or (model in _PERSPECTIVE and entry.get("is_fisheye")):
        return True
    if model in _PERSPECTIVE:
        return False
    raise InputError(
        f"has a lens of the kind {model}, which is not supported; give images of a PINHOLE, OPENCV"
        " or OPENCV_FISHEYE camera"
    )


def _focal(entry: Mapping[str, Any], axis: str, side: int) -> float:
    """Focal length [px] from the angle of view."""
    angle = positive(entry, f"camera_angle_{axis}")
    if angle >= math.pi:
        raise ValueError(f"camera_angle_{axis} is {angle:g}, not below pi")
    return 0.5 * side / math.tan(0.5 * angle)


def transforms_files(place: Path) -> list[Path]:
    """A file itself; of a folder its transforms.json, else those of its splits."""
    if not place.is_dir():
        return [place]
    whole = place / "transforms.json"
    splits = [place / f"transforms_{split}.json" for split in SPLITS]
    return [whole] if whole.is_file() else [path for path in splits if path.is_file()]


def first_content(path: Path) -> dict[str, Any]:
    """What the first transforms.json at a path says; nothing where there is none to be read."""
    files = [file for file in transforms_files(path) if is_json(file)]
    try:
        content = read_json_of_user(files[0]) if files else None
    except InputError:
        return {}  # The format that is asked last tells what is wrong.
    return _told(content) if isinstance(content, dict) else {}


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry says: writers put null where they know nothing."""
    return {key: value for key, value in entry.items() if value is not None}


def _files(frames: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> dict[str, Path]:
    """The file that each frame names under one of some keys, of those that name one."""
    files = {}
    for frame in frames:
        named = next((frame[key] for key in keys if frame.get(key)), None)
        if named is not None:
            files[frame["file_path"]] = _beside(frame, named)
    return files


def _beside(frame: Mapping[str, Any], named: Any) -> Path:
    """The path of a file that a frame, or its whole transforms.json, names."""
    path: Path = frame["path"]
    if not isinstance(named, str):
        raise InputError(f"{path}: {named!r} is no path; export it again")
    return path.parent / named.replace("\\", "/")


def _applied_scale(frame: Mapping[str, Any]) -> float:
    """By what the poses were scaled when they were written, unlike depth and points."""
    try:
        return positive(frame, "applied_scale", 1.0)
    except ValueError as error:
        raise InputError(f"{frame['path']}: {error}; export it again") from None


def frame_images(frames: Iterable[Mapping[str, Any]]) -> list[Path]:
    """The images of frames, where their files say that they are, as far as they are there."""
    found = []
    for frame in frames:
        path = _beside(frame, frame["file_path"])
        candidates = [path, *(path.with_name(path.name + suffix) for suffix in IMAGE_SUFFIXES)]
        found += [candidate for candidate in candidates if candidate.is_file()][:1]
    return found
