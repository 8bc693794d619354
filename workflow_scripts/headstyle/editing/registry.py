"""Which editors there are: the config names one, and it is made here."""

from collections.abc import Mapping, Sequence
from typing import Any

from headstyle.base.errors import InputError
from headstyle.editing.base import Editor


def check_editing(editing: Mapping[str, Any], prompts: Sequence[str]) -> None:
    """Check what the schema cannot: that the settings fit each other and the prompts.

    Raises:
        InputError: the range of noise levels is upside down, or a prompt has no control operation.
    """
    low, high = editing["noise_level"]
    if low > high:
        raise InputError(f"editing.noise_level is [{low}, {high}]; put the smaller number first")
    if editing["editor"] == "control":
        for prompt in prompts:
            if prompt not in editing["control"]["operations"]:
                raise InputError(
                    f"editing.control.operations has no operation for prompt {prompt}; give it "
                    "one, or choose another editing.editor"
                )


def make_editor(editing: Mapping[str, Any], device: str) -> Editor:
    """The editor that the config's section `editing` names.

    Args:
        editing: The config's section `editing`.
        device: Where a diffusion model runs, such as `cpu` or `cuda:1`.

    Raises:
        InputError: the editor is unknown, one of its settings is wrong, or its weights are missing.
    """
    # Imported here, as diffusers takes seconds to import and the control editor needs none of it.
    match editing["editor"]:
        case "control":
            from headstyle.editing.control import ControlEditor

            return ControlEditor.from_config(editing["control"])
        case "instruct_pix2pix":
            from headstyle.editing.instruct_pix2pix import InstructPix2Pix

            return InstructPix2Pix.from_config(editing, device)
        case other:
            raise InputError(f"editing.editor is {other!r}; choose 'instruct_pix2pix' or 'control'")
