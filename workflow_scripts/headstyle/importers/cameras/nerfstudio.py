"""transforms.json: nerfstudio's, NeRF's synthetic scenes' and instant-ngp's."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import OPENGL_FROM_OPENCV
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

SPLITS = ("train", "val", "test")
_PERSPECTIVE = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "PERSPECTIVE")
# instant-ngp's keys for lenses that are no pinholes with distortion.
_OTHER_LENSES = ("ftheta_p0", "is_equirectangular", "equirectangular", "latlong", "orthographic")
_KEYS = {
    "PINHOLE": (),
    "OPENCV": ("k1", "k2", "p1", "p2"),
    "OPENCV_FISHEYE": ("k1", "k2", "k3", "k4"),
}
# The fit of nerfstudio's polynomial by COLMAP's fraction may be off by this much [px].
_LARGEST_MISFIT_PX = 0.02


class Transforms(CameraFormat):
    """Camera-to-world matrices with OpenGL axes; intrinsics for all frames or per frame."""

    label = "transforms.json of nerfstudio, NeRF or instant-ngp"
    axes = "opengl"
    # Any JSON that no other format knows is taken for one, so that errors say what it lacks.
    rank = 2

    def find(self, path: Path) -> Path | None:
        if path.is_dir():
            return path if _files(path) else None
        return path if is_json(path) else None

    def names(self, place: Path) -> list[str]:
        return [frame["file_path"] for frame in self._frames(place)]

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        poses = {}
        for frame in self._frames(place):
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
                poses[name] = GivenPose(transforms_lens(frame, sizes[name]), pose)
            except (TypeError, ValueError, OverflowError) as error:
                if isinstance(error, InputError):
                    raise InputError(f"{frame['path']}: frame {name!r} {error}") from None
                raise InputError(
                    f"{frame['path']} is not a complete nerfstudio transforms.json (frame {name!r}:"
                    f" {error}); export it again"
                ) from None
        return poses

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        write_json(place, transforms_content(poses))

    def _frames(self, place: Path) -> list[dict[str, Any]]:
        """The frames of a file, or of all splits of a folder, with what they share."""
        frames = []
        for path in _files(place) if place.is_dir() else [place]:
            content = read_json_of_user(path)
            if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
                raise InputError(
                    f"{path} is not a complete nerfstudio transforms.json (it has no list of"
                    " frames); export it again"
                )
            shared = {key: value for key, value in content.items() if key != "frames"}
            for index, frame in enumerate(content["frames"]):
                if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
                    raise InputError(
                        f"{path} is not a complete nerfstudio transforms.json (frame {index} has no"
                        " file_path); export it again"
                    )
                frames.append({**shared, **frame, "path": path})
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
    if k4:
        return _fraction_lens(width, height, pinhole, (k1, k2, k3, k4), (p1, p2))
    if k3:
        return Lens("FULL_OPENCV", width, height, (*pinhole, k1, k2, p1, p2, k3, 0.0, 0.0, 0.0))
    if k1 or k2 or p1 or p2:
        return Lens("OPENCV", width, height, (*pinhole, k1, k2, p1, p2))
    return Lens("PINHOLE", width, height, pinhole)


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


def _fraction_lens(
    width: int,
    height: int,
    pinhole: tuple[float, ...],
    radial: tuple[float, ...],
    tangential: tuple[float, ...],
) -> Lens:
    """A lens of nerfstudio's polynomial 1 + k1 r^2 + ... + k4 r^8 as one of COLMAP's.

    COLMAP has no k4. Its FULL_OPENCV divides a polynomial of three coefficients by another one,
    which fits nerfstudio's over the image to a small fraction of a pixel.
    """
    focal_x, focal_y, center_x, center_y = pinhole
    far = [max(center_x, width - center_x) / focal_x, max(center_y, height - center_y) / focal_y]
    corner = math.hypot(*far)
    radius = np.linspace(0, 4 * corner, 4001)
    grows = radius * _polynomial(radius**2, radial)
    # The polynomial counts up to the corner, which lies where it has grown to the corner's radius.
    bends = np.flatnonzero(np.diff(grows) <= 0)
    valid = grows[: bends[0] + 1] if len(bends) else grows
    if valid[-1] < corner:
        raise InputError(
            "has distortion k1 to k4 that bends back inside the image; calibrate the lens again"
        )
    squared = radius[: int(np.searchsorted(valid, 1.02 * corner)) + 1] ** 2
    values = _polynomial(squared, radial)
    powers = np.stack([squared, squared**2, squared**3], axis=1)
    columns = np.concatenate([powers, -values[:, None] * powers], axis=1)
    scale = np.linalg.norm(columns, axis=0)
    solved = np.linalg.lstsq(columns / scale, values - 1, rcond=1e-14)[0] / scale
    fitted = (1 + powers @ solved[:3]) / (1 + powers @ solved[3:])
    misfit = np.abs(np.sqrt(squared) * (fitted - values)).max() * max(focal_x, focal_y)
    if not misfit <= _LARGEST_MISFIT_PX:
        raise InputError(
            f"has distortion k1 to k4 that COLMAP's lenses miss by {misfit:.2g} px; undistort the"
            " images"
        )
    k1, k2, k3, k4, k5, k6 = (float(value) for value in solved)
    return Lens("FULL_OPENCV", width, height, (*pinhole, k1, k2, *tangential, k3, k4, k5, k6))


def _polynomial(squared: NDArray[np.float64], radial: tuple[float, ...]) -> NDArray[np.float64]:
    k1, k2, k3, k4 = radial
    return 1 + squared * (k1 + squared * (k2 + squared * (k3 + squared * k4)))


def _focal(entry: Mapping[str, Any], axis: str, side: int) -> float:
    """Focal length [px] from the angle of view."""
    angle = positive(entry, f"camera_angle_{axis}")
    if angle >= math.pi:
        raise ValueError(f"camera_angle_{axis} is {angle:g}, not below pi")
    return 0.5 * side / math.tan(0.5 * angle)


def _files(folder: Path) -> list[Path]:
    """transforms.json of a folder, else those of its splits."""
    whole = folder / "transforms.json"
    splits = [folder / f"transforms_{split}.json" for split in SPLITS]
    return [whole] if whole.is_file() else [path for path in splits if path.is_file()]
