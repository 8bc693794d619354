"""Stylized heads that move: views of some timesteps are edited, and the bound splats learn them.

The loop, the schedules, the state on disk and the job are those of static avatars. What is edited
is every training camera at the chosen timesteps; the mesh carries the edit to all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.avatars.subject import Subject
from headstyle.base.adjacency import direction_adjacency
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.losses.perceptual import PatchLpips
from headstyle.rigged.scene import (
    RiggedScene,
    frame_image,
    frames_of,
    read_driven,
    read_scene,
    render_frames,
    write_all_frames,
    write_scene,
)
from headstyle.rigged.sequence import (
    RiggedFrame,
    RiggedSequence,
    joined_cameras,
    read_sequence,
)
from headstyle.rigged.settings import BindingSettings
from headstyle.rigged.training import RiggedTrainer, edited_timesteps, make_rigged_trainer
from headstyle.training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class RiggedSubject(Subject):
    """The inputs of all avatars of a head that moves. Its views are the frames that are edited."""

    frames: Sequence[RiggedFrame]
    """The views, in the order of `cameras`."""
    scene: RiggedScene
    """The unedited scene. `splats` are its splats."""
    sequence: RiggedSequence
    """All frames and meshes."""
    driven: RiggedSequence | None
    """The same head, moved by another one."""
    binding: BindingSettings
    """What keeps splats near the mesh."""

    @cached_property
    def renders(self) -> dict[str, RgbaImage]:
        """The unedited scene's render of every view."""
        return {frame.name: image for frame, image, _, _ in self._rendered(self.scene, self.frames)}

    @cached_property
    def depths(self) -> dict[str, NDArray[np.float32]]:
        """The unedited scene's median depth in every view."""
        return {frame.name: depth for frame, _, depth, _ in self._rendered(self.scene, self.frames)}

    def trainer(
        self,
        settings: TrainingSettings,
        nerf: Mapping[str, Any] | None,
        perceptual: PatchLpips | None,
        seed: int,
    ) -> RiggedTrainer:
        """A trainer of an avatar: it starts from the unedited scene and views; `nerf` is unused."""
        made = make_rigged_trainer(
            *(self.scene, frames_of(self.sequence.meshes), self.cameras),
            *([frame.timestep for frame in self.frames], self.photographs, settings),
            *(self.binding, seed, self.device),
        )
        made.extra_loss = perceptual
        return made

    def renders_of(self, trainer: Any, names: Sequence[str]) -> dict[str, RgbaImage]:
        """What an avatar in training looks like in some of the views."""
        assert isinstance(trainer, RiggedTrainer)
        chosen = [frame for frame in self.frames if frame.name in names]
        return {frame.name: i for frame, i, _, _ in self._rendered(trainer.scene, chosen)}

    def write(self, trainer: Any, scene: Path, renders: Path, depth: Path) -> None:
        """Write a finished avatar: its splats, and its renders of all frames of the sequence."""
        assert isinstance(trainer, RiggedTrainer)
        write_scene(scene, trainer.scene)
        write_all_frames(trainer.scene, self.sequence, self.driven, renders, depth)

    def _rendered(self, scene: RiggedScene, frames: Sequence[RiggedFrame]) -> Any:
        return render_frames(
            scene.to(self.device), frames, frames_of(self.sequence.meshes, self.device)
        )


def read_rigged_subject(
    folder: str | Path,
    splats: str | Path,
    rigged: Mapping[str, Any],
    adjacency: Mapping[str, Any],
    device: str,
) -> RiggedSubject:
    """Read the inputs of a head's avatars.

    Args:
        folder: The sequence.
        splats: The file of the unedited scene.
        rigged: The section `rigged` of the configuration.
        adjacency: Its section `adjacency`, for the neighbors of a view at its timestep.
        device: Where splats are trained.

    Raises:
        InputError: a file is missing or damaged, or no frame is there to edit.
    """
    sequence = read_sequence(folder)
    scene = read_scene(splats, sequence.meshes)
    training = sequence.of_split("train")
    timesteps = edited_timesteps([frame.timestep for frame in training], rigged["edited_timesteps"])
    frames = [frame for frame in training if frame.timestep in timesteps]
    if not frames:
        raise InputError(f"{folder} has no frame of the split train to edit; hold out fewer")
    cameras = joined_cameras(frames)
    return RiggedSubject(
        cameras=cameras,
        photographs={frame.name: frame_image(frame) for frame in frames},
        splats=scene.splats,
        neighbors=neighbors_in_time(frames, adjacency["neighbors"], adjacency["max_angle_deg"]),
        device=device,
        frames=frames,
        scene=scene,
        sequence=sequence,
        driven=read_driven(folder),
        binding=BindingSettings.from_config(rigged),
    )


def neighbors_in_time(
    frames: Sequence[RiggedFrame], neighbors: int, max_angle_deg: float
) -> list[list[int]]:
    """For each frame the frames of neighboring cameras at its timestep, as indices.

    Args:
        frames: The views.
        neighbors: Cameras that are nearest in direction.
        max_angle_deg: Largest angle between their directions.
    """
    found: list[list[int]] = [[] for _ in frames]
    for timestep in sorted({frame.timestep for frame in frames}):
        places = [i for i, frame in enumerate(frames) if frame.timestep == timestep]
        if len(places) > 1:
            cameras = joined_cameras(frames[i] for i in places)
            adjacency = direction_adjacency(cameras, neighbors, max_angle_deg)
            for i, row in zip(places, adjacency, strict=True):
                found[i] = [places[other] for other in np.flatnonzero(row)]
    return found
