"""Checkpoints of the mini editor's training.

A checkpoint is a pipeline folder of the averaged weights in half precision, which can already edit,
and beside them `progress.json`. Its largest file has 14 MB. The optimizer starts anew.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.base.files import read_json, whole_folder, write_json
from headstyle.editing.weights import pipeline_files

from headstyle_training.editor.model import EditorModel, load_editor_model
from headstyle_training.editor.stage import Stage

logger = logging.getLogger("headstyle_training")

PROGRESS = "progress.json"


class Checkpoint:
    """The latest state of one training, in a folder that is replaced as a whole."""

    def __init__(
        self, folder: Path | None, stages: Mapping[str, Stage], every_seconds: float = 30
    ) -> None:
        """The checkpoint in `folder`; None keeps none.

        Args:
            folder: Need not exist.
            stages: The training's parts by name.
            every_seconds: `save` does nothing in between.
        """
        self._folder, self._stages, self._every_seconds = folder, stages, every_seconds
        self._saved = time.monotonic()

    def resume(self) -> EditorModel | None:
        """The model of the checkpoint, the stages put where they were; None where there is none.

        Raises:
            InputError: the folder holds something else.
        """
        if self._folder is None or not self._folder.exists():
            return None
        pipeline_files(str(self._folder), None)
        progress = read_json(self._folder / PROGRESS)
        if not isinstance(progress, dict) or set(progress) != set(self._stages):
            raise InputError(
                f"{self._folder / PROGRESS} does not tell how far {' and '.join(self._stages)} "
                "have come; name another folder for the checkpoint"
            )
        for name, stage in self._stages.items():
            stage.done, stage.history = progress[name]["done"], progress[name]["history"]
            logger.info("%s: %.0f %% are done", name, 100 * stage.done)
        return load_editor_model(self._folder)

    def save(self, model: EditorModel, at_once: bool = False) -> None:
        """Write the model and how far the stages are, if the last time is long enough ago."""
        now = time.monotonic()
        if self._folder is None or (now - self._saved < self._every_seconds and not at_once):
            return
        self._saved = now
        progress = {
            name: {"done": stage.done, "history": stage.history}
            for name, stage in self._stages.items()
        }
        with whole_folder(self._folder) as folder:
            model.save(folder)
            write_json(folder / PROGRESS, progress)
