"""A radiance field as one file: tensors as safetensors, what they mean as JSON beside them."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from headstyle.base.errors import InputError
from headstyle.base.files import whole_file
from headstyle.radiance.field import Box, RadianceField
from headstyle.radiance.settings import NerfSettings

FORMAT = "headstyle radiance field 1"


def write_field(path: str | Path, field: RadianceField) -> None:
    """Write a field, whole or not at all. Equal fields give equal bytes."""
    described = {
        "format": FORMAT,
        "box": asdict(field.box),
        "settings": asdict(field.settings),
        "views": field.views,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in _tensors(field).items()}
    with whole_file(path) as partial:
        # One entry, because safetensors writes several in no fixed order.
        save_file(tensors, partial, metadata={"field": json.dumps(described)})


def read_field(path: str | Path) -> RadianceField:
    """Read what `write_field` wrote.

    Raises:
        InputError: the file is missing, damaged, or no radiance field of this version.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            described = json.loads(file.metadata()["field"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if described["format"] != FORMAT:
            raise ValueError(f"its format is {described['format']!r}")
        box = described["box"]
        field = RadianceField(
            Box(tuple(box["corner"]), box["side"]),
            NerfSettings.from_config(described["settings"]),
            described["views"],
            seed=0,
        )
        field.load_state_dict(tensors | _empty(field))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} is no radiance field that can be read ({_first_line(error)}); train it again"
        ) from None
    return field


def _tensors(field: RadianceField) -> dict[str, torch.Tensor]:
    # safetensors holds no tensor without numbers.
    return {name: value for name, value in field.state_dict().items() if value.numel()}


def _empty(field: RadianceField) -> dict[str, torch.Tensor]:
    return {name: value for name, value in field.state_dict().items() if not value.numel()}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
