"""Checkpoints that hold the whole state of a training, optimizer included.

A checkpoint is a folder: `progress.json`, and one safetensors file each for the weights, their
average, and Adam's two moments. So no file exceeds the largest that the project may store.
"""

import logging
from pathlib import Path

import torch
from headstyle.base.errors import InputError, first_line
from headstyle.base.files import read_json, whole_folder, write_json
from safetensors.torch import load_file, save_file

from headstyle_training.loop.training import TrainingLoop

logger = logging.getLogger("headstyle.models")

PROGRESS = "progress.json"


class StateCheckpoint:
    """The latest state of a loop that trains one network with averaged weights."""

    def __init__(self, folder: Path | None, loop: TrainingLoop) -> None:
        """A checkpoint in `folder`, which need not exist; None keeps no checkpoint."""
        self._folder, self._loop = folder, loop
        [self._network], [self._average] = loop.networks, loop.averaged

    def resume(self) -> None:
        """Put the loop where the checkpoint is, if there is one.

        Raises:
            InputError: the folder holds something else.
        """
        folder = self._folder
        if folder is None or not (folder / PROGRESS).exists():
            return
        progress = read_json(folder / PROGRESS)
        try:
            self._network.load_state_dict(load_file(folder / "weights.safetensors"))
            self._average.load_state_dict(load_file(folder / "average.safetensors"))
            first = load_file(folder / "first_moments.safetensors")
            second = load_file(folder / "second_moments.safetensors")
            self._loop.resume_moments({int(i): (first[i], second[i]) for i in first})
            self._loop.progress.resume(progress)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{folder} is no checkpoint of this training ({first_line(error)}); "
                "name another folder"
            ) from None
        logger.info("going on from iteration %d", self._loop.progress.iteration)

    def save(self) -> None:
        """Replace the folder by the loop's present state."""
        if self._folder is None:
            return
        moments = self._loop.moments
        parts = {
            "weights": self._network.state_dict(),
            "average": self._average.state_dict(),
            "first_moments": {str(i): first for i, (first, _) in moments.items()},
            "second_moments": {str(i): second for i, (_, second) in moments.items()},
        }
        with whole_folder(self._folder) as folder:
            for name, tensors in parts.items():
                held = {
                    key: tensor.detach().clone(memory_format=torch.contiguous_format)
                    for key, tensor in tensors.items()
                }
                save_file(held, folder / f"{name}.safetensors")
            write_json(folder / PROGRESS, self._loop.progress.state())
