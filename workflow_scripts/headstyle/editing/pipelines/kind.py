"""What the editors have in common that are whole pipelines of diffusers.

A module of `headstyle.editing.editors` subclasses `PipelineKind`, names the pipeline's class and
writes `call`, which edits one batch. Everything else is the same for all of them and stands here
and in `headstyle.editing.pipelines.editor`.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from headstyle.base.errors import InputError
from headstyle.editing.base import Editor
from headstyle.editing.editors.base import EditorKind, Weights
from headstyle.editing.pipelines.calls import Call
from headstyle.editing.pipelines.folders import (
    PipelineFolder,
    download_folder,
    find_folder,
    is_hub_name,
)
from headstyle.editing.weights import origin_sentence


class PipelineKind(EditorKind):
    """An editor that is a pipeline of diffusers, called as a whole."""

    pipeline_class: ClassVar[str]
    """Name of the pipeline's class in diffusers."""
    known_licenses: ClassVar[Mapping[str, str]] = {}
    """Licenses of models on the hub, for those whose card is not on this machine."""
    warning: ClassVar[str] = ""
    """What readers of the report must know about the license, in a sentence; or nothing."""
    multiple_px: ClassVar[int] = 16
    """Widths and heights must be multiples of this."""
    least_px: ClassVar[int] = 16
    """Smallest width and height that the pipeline takes."""
    most_together: ClassVar[int] = 1
    """Largest number of views that the pipeline edits rightly in one call."""
    starts_from_render: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def call(cls, pipeline: Any, call: Call) -> Sequence[np.ndarray]:
        """Edit one batch.

        Args:
            pipeline: An instance of the pipeline's class.
            call: What to edit, at most `most_together` pictures.

        Returns:
            The edited pictures, sRGB in [0, 1], each of shape `(h, w, 3)` and of the aspect ratio
            of its picture.
        """

    @classmethod
    def own(cls, editing: Mapping[str, Any]) -> Mapping[str, Any]:
        """The editor's own settings."""
        settings: Mapping[str, Any] = editing[cls.name]
        return settings

    @classmethod
    def folder(cls, editing: Mapping[str, Any]) -> PipelineFolder:
        """The pipeline's folder, which holds a pipeline of the right class.

        Raises:
            InputError: it is missing, or holds another pipeline.
        """
        own = cls.own(editing)
        folder = find_folder(cls.model_key(), own["model"], own["revision"])
        folder.check_class(cls.pipeline_class)
        return folder

    @classmethod
    def model_key(cls) -> str:
        """Key of the configuration that names the model."""
        return f"editing.{cls.name}.model"

    @classmethod
    def make(cls, editing: Mapping[str, Any], device: str) -> Editor:
        # Imported here, as diffusers takes seconds to import.
        from headstyle.editing.pipelines.editor import PipelineEditor

        return PipelineEditor.from_config(cls, editing, device)

    @classmethod
    def weights(cls, editing: Mapping[str, Any]) -> list[Weights]:
        own, folder = cls.own(editing), cls.folder(editing)
        revision = folder.revision() or own["revision"]
        files = tuple(folder.files())
        return [Weights(cls.model_key(), own["model"], revision, files, cls.license(editing))]

    @classmethod
    def download(cls, editing: Mapping[str, Any]) -> list[Path]:
        own = cls.own(editing)
        if not is_hub_name(own["model"]):
            return []
        return download_folder(cls.model_key(), own["model"], own["revision"])

    @classmethod
    def license(cls, editing: Mapping[str, Any]) -> str:
        """The model's license: as its card states it, as is known of its name, or `unknown`."""
        try:
            stated = cls.folder(editing).license()
        except InputError:
            stated = None
        return stated or cls.known_licenses.get(cls.own(editing)["model"], "unknown")

    @classmethod
    def note(cls, editing: Mapping[str, Any]) -> str:
        text = origin_sentence(cls.own(editing)["model"], cls.license(editing))
        return f"{text} {cls.warning}".strip()
