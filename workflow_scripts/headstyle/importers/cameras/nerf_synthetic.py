"""NeRF's synthetic scenes, and what Blender's exporters write like them.

As NeRF's own loader reads them (load_blender.py of github.com/bmild/nerf): one angle of view for
all frames, RGBA images without suffix in their paths, and a file for each of train, val and test.
"""

from collections.abc import Mapping
from math import atan
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.base.files import write_json
from headstyle.importers.cameras.base import GivenPose, is_json
from headstyle.importers.cameras.nerfstudio import (
    Transforms,
    first_content,
    frame_images,
    transforms_content,
)

_KEPT = ("file_path", "transform_matrix")
# Keys of other makers, who may write camera_angle_x as well.
_OTHERS = ("fl_x", "aabb_scale", "camera_model", "x_fov", "timestep_index")


class NerfSynthetic(Transforms):
    """`transforms_train.json`, `_val` and `_test`: camera_angle_x, and a matrix per frame."""

    label = "transforms_train.json of NeRF's synthetic scenes"
    maker = "NeRF"
    rank = 1

    def find(self, path: Path) -> Path | None:
        if not path.is_dir() and not is_json(path):
            return None
        content = first_content(path)
        frames = content.get("frames")
        first = frames[0] if isinstance(frames, list) and frames else None
        shared = isinstance(first, dict) and not any(key in first for key in _OTHERS)
        known = "camera_angle_x" in content and not any(key in content for key in _OTHERS)
        return path if known and shared else None

    def images(self, place: Path) -> list[Path]:
        return frame_images(self.frames(place))

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        frames = transforms_content(poses)["frames"]
        first = frames[0]
        for name, frame, pose in zip(poses, frames, poses.values(), strict=True):
            width, height, focal = frame["w"], frame["h"], frame["fl_x"]
            centered = (focal, width / 2, height / 2) == (frame["fl_y"], frame["cx"], frame["cy"])
            same = focal / width == first["fl_x"] / first["w"]
            if pose.lens.model != "PINHOLE" or not centered or not same:
                raise InputError(
                    f"{place} holds one angle of view and centered pinholes only, but {name!r} has"
                    f" another lens ({pose.lens.model}); write another format"
                )
        content = {"camera_angle_x": 2 * atan(0.5 * first["w"] / first["fl_x"])}
        kept = [{key: frame[key] for key in _KEPT} for frame in frames]
        write_json(place / "transforms_train.json", content | {"frames": kept})
