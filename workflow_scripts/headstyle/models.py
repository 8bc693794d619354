"""The weights that a configuration needs: all looked for before anything is trained."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstyle.editing.weights import pipeline_files
from headstyle.errors import InputError


@dataclass(frozen=True)
class Model:
    """One network that the run will load."""

    purpose: str
    """The config key that asks for it, such as `editing.model`."""
    name: str
    """Its name in the configuration."""
    revision: str | None
    """Revision on the model hub, where it has one."""
    files: tuple[Path, ...]
    """Its files, all on this machine or, for a matting model, within reach."""

    def record(self) -> dict[str, Any]:
        """What `models.json` says about it: where each file is, its size and its SHA-256."""
        return {
            "purpose": self.purpose,
            "name": self.name,
            "revision": self.revision,
            "files": [_file_record(path) for path in self.files],
        }


def needed_models(
    editing: Mapping[str, Any] | None,
    metrics: Mapping[str, Any],
    masks: Mapping[str, Any],
    needs_matting: bool,
) -> list[Model]:
    """All networks of a configuration, each with its files.

    Args:
        editing: The config's section `editing`; None when no avatar is made.
        metrics: The section `metrics`.
        masks: The section `masks`.
        needs_matting: Whether any subject's masks are made with the matting network.

    Raises:
        InputError: files are missing; one line for each network says what was looked for where
            and how to provide it.
    """
    searches: list[Callable[[], list[Model]]] = [lambda: _metric_models(metrics)]
    if editing is not None and editing["editor"] == "instruct_pix2pix":
        searches.append(lambda: [_editing_model(editing)])
    if needs_matting:
        searches.append(lambda: [_matting_model(masks)])
    found: list[Model] = []
    problems: list[str] = []
    for search in searches:
        try:
            found += search()
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))
    return found


def _editing_model(editing: Mapping[str, Any]) -> Model:
    model, revision = editing["model"], editing["revision"]
    files = pipeline_files(model, revision)
    return Model("editing.model", model, revision, tuple(files))


def _metric_models(metrics: Mapping[str, Any]) -> list[Model]:
    # Imported here, as the metrics take seconds to import and the other searches need none of it.
    from headstyle.metrics import required_weights

    return [
        Model("metrics.names", name, None, tuple(files))
        for name, files in required_weights(metrics).items()
        if files
    ]


def _matting_model(masks: Mapping[str, Any]) -> Model:
    from headstyle.masks import matting_weights

    model = masks["matting_model"]
    path = matting_weights(model, masks["matting_weights"])
    return Model("masks.matting_model", model, None, (path,))


def _file_record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {"path": str(path), "bytes": None, "sha256": None}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": digest}
