"""Folders of GaussianAvatars, VHAP and NeRSemble's exports: many cameras at many points in time.

As scene/dataset_readers.py of github.com/ShenhanQian/GaussianAvatars reads them, and as VHAP writes
them: each frame has its timestep_index and camera_index. The poses are of the head at rest.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError
from headstyle.base.files import write_json
from headstyle.importers.cameras.base import GivenPose, is_json
from headstyle.importers.cameras.nerfstudio import (
    Transforms,
    first_content,
    frame_images,
    transforms_content,
)

logger = logging.getLogger("headstyle")


class GaussianAvatars(Transforms):
    """`transforms*.json` whose frames have a `timestep_index`; one of them is a scene."""

    label = "transforms_train.json of GaussianAvatars"
    maker = "GaussianAvatars"
    rank = 1

    def find(self, path: Path) -> Path | None:
        if not path.is_dir() and not is_json(path):
            return None
        frames = first_content(path).get("frames")
        first = frames[0] if isinstance(frames, list) and frames else None
        return path if isinstance(first, dict) and "timestep_index" in first else None

    def frames(self, place: Path) -> list[dict[str, Any]]:
        # Splits may share frames.
        return list({frame["file_path"]: frame for frame in super().frames(place)}.values())

    def images(self, place: Path) -> list[Path]:
        """The images of the first timestep: those of several are no scene."""
        frames = self.frames(place)
        step_of = {frame["file_path"]: _step(frame) for frame in frames}
        steps = sorted(set(step_of.values()))
        if len(steps) > 1:
            logger.warning(
                "%s has %d timesteps, of which the first, %d, is taken; for another one, name a"
                " folder that holds its images alone",
                place,
                len(steps),
                steps[0],
            )
        return frame_images(f for f in frames if step_of[f["file_path"]] == steps[0])

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        content = transforms_content(poses)
        for index, frame in enumerate(content["frames"]):
            frame |= {"timestep_index": 0, "camera_index": index, "camera_id": str(index)}
        content |= {"timestep_indices": [0], "camera_indices": [*range(len(poses))]}
        write_json(place / "transforms_train.json", content)


def _step(frame: Mapping[str, Any]) -> int:
    step = frame.get("timestep_index")
    if not isinstance(step, int):
        raise InputError(
            f"{frame['path']}: frame {frame['file_path']!r} has the timestep_index {step!r}, not a"
            " whole number; export it again"
        )
    return step
