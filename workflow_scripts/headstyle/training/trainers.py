"""Construction of trainers: with recorded iterations where the device can replay them."""

from collections.abc import Mapping

import torch

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.rendering.renderer import Splats
from headstyle.training.settings import TrainingSettings
from headstyle.training.trainer import SplatTrainer


def make_trainer(
    splats: Splats,
    cameras: Cameras,
    targets: Mapping[str, RgbaImage],
    settings: TrainingSettings,
    seed: int,
    device: str | torch.device = "cpu",
) -> SplatTrainer:
    """A trainer. It replays recorded iterations if the device and the settings allow it.

    Arguments and errors are those of `SplatTrainer`.
    """
    return recorded(SplatTrainer(splats, cameras, targets, settings, seed, device))


def recorded(trainer: SplatTrainer) -> SplatTrainer:
    """The trainer itself, which replays its iterations where device and settings allow it."""
    if trainer.settings.cuda_graphs and trainer.device.type == "cuda":
        # Imported here because the import needs gsplat, which fails on a machine without a GPU.
        from headstyle.training.recorded_steps import RecordedSteps

        trainer.replayer = RecordedSteps(trainer)
    return trainer
