"""The inputs that all avatars of a subject share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.avatars.stylization import render_images
from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.losses.perceptual import PatchLpips
from headstyle.radiance.scenes import (
    Scene,
    Trainer,
    make_avatar_trainer,
    moved,
    scene_of,
    write_scene,
)
from headstyle.rendering.renderer import render_views
from headstyle.training.baseline import write_renders
from headstyle.training.settings import TrainingSettings


@dataclass(frozen=True)
class Subject:
    """The inputs that all avatars of a subject share."""

    cameras: Cameras
    photographs: Mapping[str, RgbaImage]
    """The unedited views by name. Every edit is conditioned on them."""
    splats: Scene
    """The baseline."""
    neighbors: Sequence[Sequence[int]]
    """For each view the indices of its neighbors."""
    device: str = "cpu"
    """Where splats are trained."""

    @cached_property
    def renders(self) -> dict[str, RgbaImage]:
        """The baseline's render of every view. The first edits of all avatars start from it."""
        return dict(render_images(moved(self.splats, self.device), self.cameras))

    @cached_property
    def depths(self) -> dict[str, NDArray[np.float32]]:
        """The baseline's median depth in every view."""
        views = render_views(moved(self.splats, self.device), self.cameras)
        return {name: median for name, _, median, _ in views}

    def trainer(
        self,
        settings: TrainingSettings,
        nerf: Mapping[str, Any] | None,
        perceptual: PatchLpips | None,
        seed: int,
    ) -> Trainer:
        """A trainer of an avatar; arguments as those of `make_avatar_trainer`."""
        return make_avatar_trainer(
            *(self.splats, self.cameras, self.photographs, settings),
            *(nerf, perceptual, seed, self.device),
        )

    def renders_of(self, trainer: Trainer, names: Sequence[str]) -> dict[str, RgbaImage]:
        """What an avatar in training looks like in some of the views."""
        return dict(render_images(scene_of(trainer), self.cameras.select(names)))

    def write(self, trainer: Trainer, scene: Path, renders: Path, depth: Path) -> None:
        """Write a finished avatar: the file of its scene, and the folders of its views."""
        write_scene(scene, scene_of(trainer))
        write_renders(scene_of(trainer), self.cameras, renders, depth)
