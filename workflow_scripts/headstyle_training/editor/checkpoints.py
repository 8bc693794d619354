"""Checkpoints of the mini editor's training.

A checkpoint is a pipeline folder of the averaged weights in half precision, which can already edit,
and `progress.json`. Its largest file has 14 MB. It holds no optimizer: with Adam's moments in full
precision, files would be larger than the project may store, so a new optimizer warms up.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.base.files import read_json, whole_folder, write_json
from headstyle.editing.weights import pipeline_files

from headstyle_training.editor.model import EditorModel, load_editor_model
from headstyle_training.loop.checkpoints import PROGRESS
from headstyle_training.loop.progress import Progress

logger = logging.getLogger("headstyle.models")


class PipelineCheckpoint:
    """The latest state of one training, in a folder that is replaced as a whole."""

    def __init__(self, folder: Path | None, parts: Mapping[str, Progress]) -> None:
        """A checkpoint in `folder`; None keeps no checkpoint.

        Args:
            folder: Need not exist.
            parts: How far the training's parts are, by name.
        """
        self._folder, self._parts = folder, parts

    def resume(self) -> EditorModel | None:
        """The model of the checkpoint, if there is one; puts the parts where they were.

        Raises:
            InputError: the folder holds something else.
        """
        if self._folder is None or not self._folder.exists():
            return None
        pipeline_files(str(self._folder), None)
        state = read_json(self._folder / PROGRESS)
        try:
            if set(state) != set(self._parts):
                raise KeyError
            for name, part in self._parts.items():
                part.resume(state[name])
                if state[name]["done"] == 1:
                    # More minutes do not reopen a part: the denoiser knows its latents already.
                    part.done = 1.0
        except (KeyError, TypeError):
            raise InputError(
                f"{self._folder / PROGRESS} does not tell how far {' and '.join(self._parts)} "
                "have come; name another folder for the checkpoint"
            ) from None
        for name, part in self._parts.items():
            logger.info("%s: %.0f %% are done", name, 100 * part.done)
        return load_editor_model(self._folder)

    def save(self, model: EditorModel) -> None:
        """Write the model, and how far the parts are."""
        if self._folder is None:
            return
        with whole_folder(self._folder) as folder:
            model.save(folder)
            write_json(folder / PROGRESS, {n: part.state() for n, part in self._parts.items()})
