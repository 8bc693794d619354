"""instant-ngp's transforms.json.

As its loader reads it (src/nerf_loader.cu and nerf_device.cuh of github.com/NVlabs/instant-ngp):
the angle of view may be in degrees, and a lens with k1 has k1, k2, p1 and p2 alone, or k1 to k4
where it is a fisheye. `scale`, `offset` and `aabb_scale` place the scene in its unit cube; they
change neither a pose nor a lens.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError
from headstyle.base.files import write_json
from headstyle.importers.cameras.base import GivenPose, is_json, positive
from headstyle.importers.cameras.nerfstudio import (
    Transforms,
    first_content,
    transforms_content,
    transforms_lens,
)
from headstyle.importers.lenses import Lens

# What instant-ngp's scripts write and nerfstudio's do not.
_OWN = ("aabb_scale", "x_fov", "y_fov", "is_fisheye")
_NERFSTUDIO = ("camera_model", "applied_transform", "ply_file_path")


class InstantNgp(Transforms):
    """`transforms.json` with `aabb_scale`; intrinsics for all frames or per frame."""

    label = "transforms.json of instant-ngp"
    maker = "instant-ngp"
    rank = 1

    def find(self, path: Path) -> Path | None:
        if not path.is_dir() and not is_json(path):
            return None
        content = first_content(path)
        own = any(key in content for key in _OWN)
        return path if own and not any(key in content for key in _NERFSTUDIO) else None

    def lens(self, frame: Mapping[str, Any], size: tuple[int, int]) -> Lens:
        entry = dict(frame)
        for axis in "xy":
            if f"{axis}_fov" in entry:
                entry.pop(f"fl_{axis}", None)
                entry[f"camera_angle_{axis}"] = math.radians(positive(entry, f"{axis}_fov"))
        if not entry.get("is_fisheye"):
            # colmap2nerf.py writes them, but the loader takes no notice.
            entry = {key: value for key, value in entry.items() if key not in ("k3", "k4")}
        return transforms_lens(entry, size)

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        content = transforms_content(poses)
        content.pop("camera_model", None)
        for frame, (name, pose) in zip(content["frames"], poses.items(), strict=True):
            if frame.pop("camera_model", None):
                raise InputError(
                    f"{place} holds lenses of one kind only, but {name!r} has a {pose.lens.model}"
                    " lens beside others; write another format"
                )
        is_fisheye = next(iter(poses.values())).lens.model == "OPENCV_FISHEYE"
        write_json(place, {"aabb_scale": 16, "is_fisheye": is_fisheye, **content})
