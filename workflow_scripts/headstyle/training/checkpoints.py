"""Checkpoints of a training: everything that its next iterations depend on, in one file.

A safetensors file whose metadata holds what is no tensor as JSON, so that state and description
appear together or not at all. Of its tensors, `splats.*` is the scene and `moments.*` Adam's state.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.files import whole_file
from headstyle.training.selection import Selection
from headstyle.training.settings import TrainingSettings
from headstyle.training.trainer import HistoryRow, SplatTrainer

logger = logging.getLogger("headstyle")

FILE = "training.safetensors"


class Checkpoints:
    """The checkpoint of one training in a folder of its own; only the latest is kept."""

    def __init__(self, folder: str | Path | None, every_s: float, task: str) -> None:
        """Without a folder, or with `every_s` 0, nothing is written.

        Args:
            folder: Where the checkpoint lies; not an output of any rule, so that nothing deletes it
                when a training is interrupted.
            every_s: Seconds between checkpoints.
            task: Digest of what is trained; a checkpoint of another task is not resumed.
        """
        self.folder = Path(folder) if folder and every_s else None
        self.every_s = every_s
        self.task = task
        self.iteration: int | None = None
        """Iteration of the latest checkpoint."""
        self._written = time.monotonic()

    def resume(self, trainer: SplatTrainer, selection: Selection) -> None:
        """Continue from the checkpoint if there is one of the same task; log which happens."""
        if self.folder is None or not (self.folder / FILE).exists():
            return
        path = self.folder / FILE
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                described = json.loads(file.metadata()["training"])
                if described["task"] != self.task:
                    logger.info("%s is of other views or settings: starting anew", path)
                    return
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s cannot be read (%s): starting anew", path, error)
            return
        restore(trainer, tensors, described)
        selection.restore(tensors, described["selection"])
        self.iteration = trainer.iteration
        logger.info("resuming after iteration %d from %s", trainer.iteration, path)

    def write_when_due(self, trainer: SplatTrainer, selection: Selection) -> None:
        """Write a checkpoint if the last one is old enough and the scene is good."""
        if self.folder is None or time.monotonic() - self._written < self.every_s:
            return
        if trainer.broken_tensor() is None:
            tensors, described = state_of(trainer)
            described |= {"task": self.task, "selection": selection.described()}
            tensors |= selection.tensors()
            with whole_file(self.folder / FILE) as partial:
                save_file(
                    {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
                    partial,
                    metadata={"training": json.dumps(described)},
                )
            self.iteration = trainer.iteration
        self._written = time.monotonic()

    def note(self) -> str:
        """Where the last good state is, for messages."""
        if self.iteration is None:
            return "there is no checkpoint before it"
        return f"the last good checkpoint, of iteration {self.iteration}, is in {self.folder}"

    def remove(self) -> None:
        """Delete the folder: the training is complete."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def state_of(trainer: SplatTrainer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and, as JSON can hold it, the rest of a trainer's state."""
    tensors = {f"splats.{name}": value for name, value in trainer.splats.items()}
    for name, optimizer in trainer.optimizers.items():
        tensors |= _moments(name, optimizer)
    if trainer.exposures:
        tensors["exposures"] = trainer.exposures.logarithms
        tensors |= _moments("exposures", trainer.exposures.optimizer)
    for name, value in trainer.strategy_state.items():
        if isinstance(value, Tensor):
            tensors[f"strategy.{name}"] = value
    tensors["generator"] = trainer.generator.get_state()
    described = {
        "iteration": trainer.iteration,
        "seconds": trainer.seconds,
        "history": [list(asdict(row).values()) for row in trainer.history],
    }
    return tensors, described


def restore(
    trainer: SplatTrainer, tensors: Mapping[str, Tensor], described: Mapping[str, Any]
) -> None:
    """Put a trainer into the state that `state_of` told."""
    for name, optimizer in trainer.optimizers.items():
        trainer.splats[name] = torch.nn.Parameter(tensors[f"splats.{name}"].to(trainer.device))
        _restore_moments(name, optimizer, trainer.splats[name], tensors)
    if trainer.exposures:
        with torch.no_grad():
            trainer.exposures.logarithms.copy_(tensors["exposures"])
        logarithms = trainer.exposures.logarithms
        _restore_moments("exposures", trainer.exposures.optimizer, logarithms, tensors)
    for name, value in tensors.items():
        group, _, key = name.partition(".")
        if group == "strategy":
            trainer.strategy_state[key] = value.to(trainer.device)
    trainer.generator.set_state(tensors["generator"])
    trainer.iteration = described["iteration"]
    trainer.seconds = described["seconds"]
    trainer.history = [HistoryRow(*row) for row in described["history"]]


def task_digest(
    cameras: Cameras,
    images: Sequence[NDArray[np.floating]],
    points: NDArray[np.floating],
    colors: NDArray[np.floating],
    settings: TrainingSettings,
    *rest: object,
) -> str:
    """Digest of everything that a training depends on, as far as it can differ between runs."""
    # When checkpoints are written changes nothing of what is trained.
    chosen = {**asdict(settings), "checkpoint_every_s": None}
    digest = hashlib.sha256(json.dumps([chosen, cameras.names, *rest], default=str).encode())
    for array in (cameras.sizes, cameras.intrinsics, cameras.world_to_camera, points, colors):
        digest.update(np.ascontiguousarray(array).tobytes())
    for image in images:
        digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def _moments(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    (state,) = optimizer.state.values()
    return {f"moments.{name}.{key}": value for key, value in state.items()}


def _restore_moments(
    name: str,
    optimizer: torch.optim.Optimizer,
    parameter: torch.nn.Parameter,
    tensors: Mapping[str, Tensor],
) -> None:
    optimizer.param_groups[0]["params"] = [parameter]
    optimizer.state.clear()
    optimizer.state[parameter] = {
        key: tensors[f"moments.{name}.{key}"].to(parameter.device)
        for key in ("step", "exp_avg", "exp_avg_sq")
    }
