"""States of a training: everything that its next iterations depend on, in one file.

A checkpoint is written every so many seconds, for a training that is interrupted. A saved state is
written after chosen iterations, for a later training that goes on from it.

The file has the safetensors format. The tensors `splats.*` are the scene, and `moments.*` are
Adam's state. The metadata holds the rest of the state as JSON. One file is written in one step, so
tensors and metadata always belong together.
"""

import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.files import whole_file
from headstyle.training.selection import Selection
from headstyle.training.settings import TrainingSettings
from headstyle.training.trainer import HistoryRow, SplatTrainer

logger = logging.getLogger("headstyle")

FILE = "training.safetensors"
STATE_SUFFIX = ".safetensors"
"""Of files with a training's state, unlike those that hold splats alone."""
UNREADABLE = (OSError, SafetensorError, KeyError, TypeError, ValueError)
"""What `read_state` raises for a file that is missing or damaged."""


class Checkpoints:
    """The checkpoint of one training in a folder of its own; only the latest is kept."""

    def __init__(self, folder: str | Path | None, every_s: float, task: str) -> None:
        """Write nothing if there is no folder or `every_s` is 0.

        Args:
            folder: Folder of the checkpoint. It is no rule's output, because Snakemake deletes the
                outputs of an interrupted job.
            every_s: Seconds between checkpoints.
            task: Digest of the views and settings. A checkpoint of another task is not resumed.
        """
        self.folder = Path(folder) if folder and every_s else None
        self.every_s = every_s
        self.task = task
        self.iteration: int | None = None
        """Iteration of the latest checkpoint."""
        self._written = time.monotonic()

    def resume(self, trainer: SplatTrainer, selection: Selection) -> None:
        """Continue from the checkpoint if there is one of the same task, and log the decision."""
        if self.folder is None or not (self.folder / FILE).exists():
            return
        path = self.folder / FILE
        try:
            tensors, described = read_state(path)
            if described["task"] != self.task:
                logger.info("%s is of other views or settings: starting anew", path)
                return
        except UNREADABLE as error:
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
            save_training(self.folder / FILE, trainer, selection, task=self.task)
            self.iteration = trainer.iteration
        self._written = time.monotonic()

    def note(self) -> str:
        """Text for messages: where the last good checkpoint is."""
        if self.iteration is None:
            return "there is no earlier checkpoint"
        return f"the last good checkpoint, of iteration {self.iteration}, is in {self.folder}"

    def remove(self) -> None:
        """Delete the folder: the training is complete."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def save_training(
    path: str | Path, trainer: SplatTrainer, selection: Selection, **more: str
) -> None:
    """Write the state of a training and of its selection; `more` is kept beside it."""
    tensors, described = state_of(trainer)
    tensors |= selection.tensors()
    described |= {"selection": selection.described(), "views": _views_digest(trainer), **more}
    # A training that started from a known scene uses all of its harmonics.
    described["sh_degree_every"] = trainer.settings.sh_degree_every
    with whole_file(path) as partial:
        write_state(partial, tensors, described)


def go_on_from(path: str | Path, trainer: SplatTrainer, selection: Selection) -> str:
    """Put a new training into a saved state, so that it goes on as that training would have.

    Iterations count on from the saved ones. Settings may differ; they count from here on.

    Returns:
        The checksum of the state.

    Raises:
        InputError: the file cannot be read, is of other training views or other cameras, of another
            degree of harmonics, with or without exposures unlike this training, of another kind of
            device, or this training ends before it.
    """
    try:
        tensors, described = read_state(path)
        views, iteration = described["views"], described["iteration"]
    except UNREADABLE as error:
        raise InputError(
            f"{path} is no state of a training ({error}); name a file that"
            " baseline.checkpoint_iterations saved, or splats as PLY"
        ) from None
    settings = trainer.settings
    if views != _views_digest(trainer):
        raise InputError(
            f"{path} is the state of a training on other views or cameras, so that it cannot go on"
            " here; train anew, or start from the splats of that iteration (PLY)"
        )
    degree = math.isqrt(tensors["splats.shN"].shape[1] + 1) - 1
    for key, saved, found in (
        ("sh_degree", degree, trainer.sh_degree),
        ("exposure_rate", "exposures" in tensors, trainer.exposures is not None),
    ):
        if saved != found:
            raise InputError(
                f"{path} is the state of a training with another baseline.{key}; set {key} as it"
                " was, or start from the splats of that iteration (PLY)"
            )
    if iteration >= settings.iterations:
        raise InputError(
            f"{path} is the state after iteration {iteration}, and baseline.iterations is"
            f" {settings.iterations}; set baseline.iterations above {iteration}"
        )
    try:
        restore(trainer, tensors, described)
    except (RuntimeError, TypeError):  # A generator's state belongs to one kind of device.
        raise InputError(
            f"{path} was saved on another kind of device than {trainer.device.type}; go on there,"
            " or start from the splats of that iteration (PLY)"
        ) from None
    if described["sh_degree_every"] == 0:
        trainer.settings = replace(settings, sh_degree_every=0)
    selection.restore(tensors, described["selection"])
    logger.info("going on after iteration %d from %s", iteration, path)
    return _checksum(tensors, json.dumps(described))


def write_state(
    path: str | Path, tensors: Mapping[str, Tensor], described: Mapping[str, Any]
) -> None:
    """Write what `state_of` returns into one file, with a checksum of all of it."""
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    text = json.dumps(described)
    save_file(kept, path, metadata={"training": text, "sha256": _checksum(kept, text)})


def read_state(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_state` wrote; raises one of `UNREADABLE` where it is missing or damaged."""
    with safe_open(path, framework="pt", device="cpu") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    # Older checkpoints have none.
    if metadata.get("sha256", found := _checksum(tensors, metadata["training"])) != found:
        raise ValueError("its contents do not have its checksum")
    return tensors, json.loads(metadata["training"])


def state_of(trainer: SplatTrainer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A trainer's state: the tensors, and the rest as values that JSON can hold."""
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
    """Put a trainer into a state that `state_of` returned."""
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
    """Digest of everything that a training depends on and that can differ between runs."""
    # The time between checkpoints does not change the training.
    chosen = {**asdict(settings), "checkpoint_every_s": None}
    digest = hashlib.sha256(json.dumps([chosen, cameras.names, *rest], default=str).encode())
    for array in (cameras.sizes, cameras.intrinsics, cameras.world_to_camera, points, colors):
        digest.update(np.ascontiguousarray(array).tobytes())
    for image in images:
        digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def _views_digest(trainer: SplatTrainer) -> str:
    """Digest of the training views: their names, cameras and order."""
    cameras = trainer.cameras
    digest = hashlib.sha256(json.dumps(cameras.names).encode())
    for array in (cameras.sizes, cameras.intrinsics, cameras.world_to_camera):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
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
