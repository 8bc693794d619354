"""The weights that a configuration needs: all looked for before anything is trained."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstyle.base.errors import all_found
from headstyle.editing.editors import editor_kind


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
    license: str | None = None
    """Its license, where one is known."""

    def record(self) -> dict[str, Any]:
        """What `models.json` says about it: where each file is, its size and its SHA-256."""
        return {
            "purpose": self.purpose,
            "name": self.name,
            "revision": self.revision,
            **({"license": self.license} if self.license else {}),
            "files": [_file_record(path) for path in self.files],
        }


def needed_models(
    editing: Mapping[str, Any] | None,
    metrics: Mapping[str, Any],
    masks: Mapping[str, Any],
    needs_matting: bool,
    stylization: Mapping[str, Any] | None = None,
) -> list[Model]:
    """All networks of a configuration, each with its files.

    Args:
        editing: The config's section `editing`; None when no avatar is made.
        metrics: The section `metrics`.
        masks: The section `masks`.
        needs_matting: Whether any subject's masks are made with the matting network.
        stylization: The section `stylization`; None when no avatar is made.

    Raises:
        InputError: files are missing; one line for each network says what was looked for where
            and how to provide it.
    """
    searches: list[Callable[[], list[Model]]] = [lambda: _metric_models(metrics)]
    if editing is not None:
        searches.append(lambda: _editing_models(editing))
    if stylization is not None and stylization["lpips_weight"]:
        searches.append(lambda: [_loss_model(stylization)])
    if needs_matting:
        searches.append(lambda: [_matting_model(masks)])
    return all_found(searches)


def unread_texts(editing: Mapping[str, Any], prompts: Mapping[str, str]) -> list[str]:
    """One sentence for each prompt of which the editor does not see the end.

    Args:
        editing: The config's section `editing`; its model is on this machine.
        prompts: Texts of the prompts, by whom they are for.
    """
    return editor_kind(editing).unread_texts(editing, prompts)


def _editing_models(editing: Mapping[str, Any]) -> list[Model]:
    needed = editor_kind(editing).weights(editing)
    return [Model(part.key, part.name, part.revision, part.files, part.license) for part in needed]


def _loss_model(stylization: Mapping[str, Any]) -> Model:
    from headstyle.losses.perceptual import lpips_file

    path = lpips_file(stylization)
    assert path is not None
    return Model("stylization.lpips_weight", stylization["lpips_net"], None, (path,))


def _metric_models(metrics: Mapping[str, Any]) -> list[Model]:
    # Imported here, as the metrics take seconds to import and the other searches need none of it.
    from headstyle.consistency.metrics import required_weights

    return [
        Model("metrics.names", name, None, tuple(files))
        for name, files in required_weights(metrics).items()
        if files
    ]


def _matting_model(masks: Mapping[str, Any]) -> Model:
    from headstyle.posing.masks import matting_weights

    model = masks["matting_model"]
    path = matting_weights(model, masks["matting_weights"])
    return Model("masks.matting_model", model, None, (path,))


def _file_record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {"path": str(path), "bytes": None, "sha256": None}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": digest}
