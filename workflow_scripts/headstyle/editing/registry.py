"""What the config's section `editing` asks for: its settings, their checks, and the editor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstyle.base.devices import visible_gpus
from headstyle.base.errors import InputError
from headstyle.base.settings import Setting, declared_settings, taken
from headstyle.editing.base import Editor
from headstyle.editing.editors import available_editors, editor_kind, editor_paths
from headstyle.editing.faults import CheckedEditor


def editing_settings() -> tuple[Setting, ...]:
    """All settings of the section `editing`, those of every editor among them."""
    return (*_common_settings(), *declared_settings(editor_paths().values()))


def knob_settings() -> tuple[Setting, ...]:
    """All knobs of the editors that have knobs of their own, as `EDITOR.KNOB` of a strength."""
    knobs = declared_settings(editor_paths().values(), "KNOBS")
    return tuple(replace(knob, name=f"{knob.owner}.{knob.name}") for knob in knobs)


def check_editing(
    editing: Mapping[str, Any],
    prompts: Sequence[str],
    strengths: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Check that the settings fit each other and the prompts, which the schema cannot check.

    Args:
        editing: The config's section `editing`.
        prompts: Identifiers of the prompts of the study.
        strengths: The chosen entries of the config's section `strengths`.

    Raises:
        InputError: the range of noise levels is upside down, or the editor finds a setting wrong.
    """
    low, high = editing["noise_level"]
    if low > high:
        raise InputError(f"editing.noise_level is [{low}, {high}]; put the smaller number first")
    kind = editor_kind(editing)
    kind.check(editing, prompts)
    for name, values in (strengths or {}).items():
        kind.strength(editing, name, values)
    if not kind.starts_from_render:
        _refuse(editing, kind.name, ("noise_level", "image_guidance_increment"))


def strength_values(
    editing: Mapping[str, Any], strengths: Mapping[str, Mapping[str, Any]], name: str
) -> dict[str, float]:
    """What a strength sets of the editor, by the names of its knobs.

    Args:
        editing: The config's section `editing`.
        strengths: The config's section `strengths`.
        name: One of its entries.

    Raises:
        InputError: a value is missing, or the editor has no such knob.
    """
    return editor_kind(editing).strength(editing, name, strengths[name])


def _refuse(editing: Mapping[str, Any], editor: str, names: Sequence[str]) -> None:
    """Refuse settings that an editor does not read, unless they are at their defaults."""
    for setting in _common_settings():
        value = editing.get(setting.name, setting.default)
        if setting.name in names and value != setting.default:
            raise InputError(
                f"editing.{setting.name} is {value}, which the editor {editor} does not read: its "
                "edits start from pure noise, and it has no guidance on the image; remove the key"
            )


def avatar_editing(editing: Mapping[str, Any], prompt: str | None = None) -> dict[str, Any]:
    """The editing settings that shape an avatar: without other editors' and the machine's.

    Args:
        editing: The config's section `editing`.
        prompt: Identifier of the avatar's prompt; None keeps what the settings say of any prompt.
    """
    own = taken(editing, (setting for setting in _own_settings(editing) if not setting.machine))
    return own if prompt is None else dict(editor_kind(editing).for_prompt(own, prompt))


def machine_editing(editing: Mapping[str, Any]) -> dict[str, Any]:
    """The editing settings that say how the machine is used; a change of these redoes no avatar."""
    return taken(editing, (setting for setting in _own_settings(editing) if setting.machine))


def gpus_of_avatars(editing: Mapping[str, Any]) -> int:
    """How many GPUs a job needs that makes avatars: two where the editor has one of its own."""
    return 2 if _has_own_gpu(editing) else 1


def editor_device(editing: Mapping[str, Any], splats_device: str) -> str:
    """Device of the editor, among the GPUs that the job holds.

    Args:
        editing: The config's section `editing`, or the machine's settings of it.
        splats_device: Device on which the splats train.

    Raises:
        InputError: the editor is to have a GPU of its own, and the job has none for it.
    """
    if not _has_own_gpu(editing):
        return editing["device"] or splats_device
    if splats_device == "cpu" or len(visible_gpus()) == 1:
        raise InputError(
            f"editing.device is {editing['device']}, but this job has"
            f" {'no GPU' if splats_device == 'cpu' else 'one GPU'}; give the run two GPUs"
            " (resources gpu=2), or set editing.device to null"
        )
    # The job sees its own GPUs only, counted from 0.
    return "cuda:1"


def _has_own_gpu(editing: Mapping[str, Any]) -> bool:
    return editing["device"] not in (None, "cpu", "cuda", "cuda:0")


def weights_editing(editing: Mapping[str, Any]) -> dict[str, Any]:
    """The editing settings that decide which weights are needed."""
    return taken(editing, (setting for setting in _own_settings(editing) if setting.names_weights))


def editor_note(editing: Mapping[str, Any]) -> str:
    """What readers of the report must know about the edits, in sentences; or nothing."""
    return editor_kind(editing).note(editing)


def note_is_harmless(editing: Mapping[str, Any]) -> bool:
    """Whether `editor_note` only names what made the edits, and warns of nothing."""
    return editor_kind(editing).is_harmless(editing)


def make_editor(editing: Mapping[str, Any], device: str) -> Editor:
    """The editor that the config's section `editing` names.

    Args:
        editing: The config's section `editing`.
        device: Device of a diffusion model, such as `cpu` or `cuda:1`.

    Raises:
        InputError: the editor is unknown, one of its settings is wrong, or its weights are missing.
    """
    return editor_kind(editing).make(editing, device)


def checked_editor(editor: Editor, editing: Mapping[str, Any]) -> Editor:
    """An editor whose black edits, and those that changed nothing, are found.

    Args:
        editor: What `make_editor` made.
        editing: The config's section `editing`.
    """
    if not editor_kind(editing).checks_edits:
        return editor
    return CheckedEditor(editor, editing.get("faulty_edits", "retry"))


def _common_settings() -> tuple[Setting, ...]:
    chosen = Setting(
        "editor",
        "instruct_pix2pix",
        {"enum": available_editors()},
        meaning="What edits the views: a module of headstyle/editing/editors.",
        names_weights=True,
    )
    return (chosen, *declared_settings([Path(__file__).with_name("settings.py")]))


def _own_settings(editing: Mapping[str, Any]) -> tuple[Setting, ...]:
    """Those that concern every editor, and those of the editor that is named."""
    editor_kind(editing)
    return (*_common_settings(), *declared_settings([editor_paths()[editing["editor"]]]))
