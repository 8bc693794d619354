"""What the workflow asks of a kind of editor, before it makes one and apart from editing."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from headstyle.base.errors import InputError
from headstyle.base.settings import Setting
from headstyle.editing.base import Editor

GUIDANCES = ("text_guidance", "image_guidance")
"""Knobs of a strength that stand beside its editors: s_P and s_I of InstructPix2Pix."""


@dataclass(frozen=True)
class Weights:
    """The files of one network."""

    key: str
    """Key of the configuration that names it, such as `editing.model`."""
    name: str
    """Its name in the configuration."""
    revision: str | None
    """Revision on the model hub. None where it has none."""
    files: tuple[Path, ...]
    """Its files. All of them are on this machine."""
    license: str | None = None
    """Its license, as its card states it. None where it states none."""


class EditorKind(ABC):
    """One kind of editor. Its module has the kind's name, and the config names it so.

    The module declares the settings of the kind as `SETTINGS` (see `headstyle.base.settings`). The
    workflow imports it whenever it checks a configuration that names it: what takes long to import
    belongs into the methods. Every `editing` below is the config's section `editing`.
    """

    name: ClassVar[str]
    """The module's name."""
    knobs: ClassVar[tuple[Setting, ...] | None] = None
    """What a strength sets of this editor, as `strengths.NAME.EDITOR.KNOB`. None takes the two
    guidances, as `strengths.NAME.text_guidance` and `strengths.NAME.image_guidance`."""
    takes_references: ClassVar[bool] = False
    """Whether an edit reads `View.references`."""
    starts_from_render: ClassVar[bool] = True
    """Whether an edit starts from the noised render, so that its noise level counts."""
    checks_edits: ClassVar[bool] = True
    """Whether an unchanged or black edit is a fault."""

    @classmethod
    def strength(
        cls, editing: Mapping[str, Any], name: str, values: Mapping[str, Any]
    ) -> dict[str, float]:
        """The values of a strength that this editor uses, by the names of its knobs.

        Args:
            editing: The settings.
            name: The strength's name.
            values: Its entry in the config's section `strengths`.

        Raises:
            InputError: a value is missing, or the editor has no such knob.
        """
        where = f"strengths.{name}"
        if cls.knobs is None:
            for knob in GUIDANCES:
                if knob not in values:
                    raise InputError(f"{where}.{knob} is missing; the editor {cls.name} needs it")
            return {knob: values[knob] for knob in GUIDANCES}
        known = {knob.name: knob for knob in cls.usable_knobs(editing)}
        given = values.get(cls.name)
        if given is None:
            example = ", ".join(f"{knob.name}: {knob.default}" for knob in known.values())
            raise InputError(
                f"{where} has no values for the editor {cls.name}; add {where}.{cls.name}, such as"
                f" {{{example}}}"
            )
        for knob in given:
            if knob not in known:
                raise InputError(
                    f"{where}.{cls.name}.{knob} is set, and this model has no such knob "
                    f"(it has {', '.join(known) or 'none'}); remove it"
                )
        return {knob.name: given.get(knob.name, knob.default) for knob in known.values()}

    @classmethod
    def usable_knobs(cls, editing: Mapping[str, Any]) -> tuple[Setting, ...]:
        """The knobs that the chosen model has; by default all of them."""
        return cls.knobs or ()

    @classmethod
    @abstractmethod
    def make(cls, editing: Mapping[str, Any], device: str) -> Editor:
        """The editor, ready to edit.

        Args:
            editing: The settings.
            device: Where a network runs, such as `cpu` or `cuda:1`.

        Raises:
            InputError: a setting is wrong, or weights are missing.
        """

    @classmethod  # noqa: B027 (most editors have nothing to check)
    def check(cls, editing: Mapping[str, Any], prompts: Sequence[str]) -> None:
        """Check what a schema cannot, before any job starts.

        Args:
            editing: The settings, each within its own range.
            prompts: Identifiers of the prompts of the study.

        Raises:
            InputError: settings do not fit each other or the prompts.
        """

    @classmethod
    def for_prompt(cls, editing: Mapping[str, Any], prompt: str) -> Mapping[str, Any]:
        """The settings that shape an avatar of one prompt; by default all of them.

        Args:
            editing: The settings, without those of other editors and of the machine.
            prompt: Identifier of the prompt.
        """
        return editing

    @classmethod
    def note(cls, editing: Mapping[str, Any]) -> str:
        """What readers of the report must know about the edits, in sentences; or nothing."""
        return ""

    @classmethod
    def is_harmless(cls, editing: Mapping[str, Any]) -> bool:
        """Whether the note only names what made the edits, and warns of nothing."""
        return False

    @classmethod
    def weights(cls, editing: Mapping[str, Any]) -> list[Weights]:
        """The networks that the editor loads.

        Raises:
            InputError: files are missing.
        """
        return []

    @classmethod
    def download(cls, editing: Mapping[str, Any]) -> list[Path]:
        """Fetch what is missing of `weights` from the network, where it is to be had there.

        Only the target `models` asks for it. Whatever is raised becomes one sentence.

        Returns:
            The files that come from the network, fetched now or earlier.
        """
        return []

    @classmethod
    def unread_texts(cls, editing: Mapping[str, Any], prompts: Mapping[str, str]) -> list[str]:
        """One sentence for each prompt of which the editor does not see the end.

        Args:
            editing: The settings. The weights are on this machine.
            prompts: Texts of the prompts, by whom they are for.
        """
        return []
