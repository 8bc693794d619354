"""Scenes of either representation behind one door: splats or a radiance field.

`headstyle.rendering.renderer.render_views` renders both.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.losses.perceptual import PatchLpips
from headstyle.radiance.field import RadianceField
from headstyle.radiance.files import read_field, write_field
from headstyle.radiance.settings import FIELD_SUFFIX, NerfSettings
from headstyle.radiance.trainer import FieldTrainer, field_state, restore_field
from headstyle.rendering.renderer import Splats
from headstyle.rendering.splats import read_ply, write_ply
from headstyle.training.checkpoints import restore, state_of
from headstyle.training.settings import TrainingSettings
from headstyle.training.trainer import SplatTrainer
from headstyle.training.trainers import make_trainer

Scene = Splats | RadianceField
Trainer = SplatTrainer | FieldTrainer


def read_scene(path: str | Path) -> Scene:
    """Read a scene that the workflow wrote: its suffix names the representation.

    Raises:
        InputError: the file is missing or damaged.
    """
    return read_field(path) if Path(path).suffix == FIELD_SUFFIX else read_ply(path)


def write_scene(path: str | Path, scene: Scene) -> None:
    """Write a scene, whole or not at all."""
    if isinstance(scene, RadianceField):
        write_field(path, scene)
    else:
        write_ply(path, scene)


def moved(scene: Scene, device: str | torch.device) -> Scene:
    """A copy of a scene on a device."""
    return copy.deepcopy(scene).to(device)


def scene_size(scene: Scene) -> dict[str, int]:
    """How many splats a scene has, or how many numbers a field learned."""
    if isinstance(scene, RadianceField):
        return {"parameters": sum(value.numel() for value in scene.parameters())}
    return {"splats": len(scene["means"])}


def scene_of(trainer: Trainer) -> Scene:
    """The scene of a trainer as it is now."""
    return trainer.scene if isinstance(trainer, FieldTrainer) else trainer.splats


def make_avatar_trainer(
    scene: Scene,
    cameras: Cameras,
    targets: Mapping[str, RgbaImage],
    settings: TrainingSettings,
    nerf: Mapping[str, Any] | None,
    perceptual: PatchLpips | None,
    seed: int,
    device: str,
) -> Trainer:
    """The trainer of an avatar.

    Args:
        scene: What the avatar starts from.
        cameras: The views.
        targets: Their images.
        settings: An avatar's settings; a field takes iterations and background from them.
        nerf: The config's section `nerf`, for a field.
        perceptual: The perceptual term of the loss.
        seed: The avatar's.
        device: Device to train on.
    """
    if isinstance(scene, RadianceField):
        assert nerf is not None, "the avatars of a field need the section nerf"
        trainer = FieldTrainer(
            scene.with_settings(NerfSettings.from_config(nerf)),
            *(cameras, targets, settings.iterations, seed, device),
            background=settings.background,
            editing=True,
        )
        trainer.perceptual = perceptual
        return trainer
    splats = make_trainer(scene, cameras, targets, settings, seed, device)
    splats.extra_loss = perceptual
    return splats


def trainer_state(trainer: Trainer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A trainer's state: the tensors, and the rest as values that JSON can hold."""
    return field_state(trainer) if isinstance(trainer, FieldTrainer) else state_of(trainer)


def restore_trainer(
    trainer: Trainer, tensors: Mapping[str, Tensor], described: Mapping[str, Any]
) -> None:
    """Put a trainer into a state that `trainer_state` returned."""
    if isinstance(trainer, FieldTrainer):
        restore_field(trainer, tensors, described)
    else:
        restore(trainer, tensors, described)
