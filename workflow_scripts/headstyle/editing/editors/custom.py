"""The editor `custom`: a class of the user, named in the config as `package:Class`.

The class is made once for a job, as `Class(settings, device)`, from `editing.custom.settings` and a
device such as `cuda:0`. It needs one method:

    def edit(self, views, instructions):
        '''The edited views, RGBA in [0, 1], each of the shape of its photograph.'''

`views` are `headstyle.editing.View`, and `instructions` as many `headstyle.editing.Instruction`.
The alpha of the photographs is restored. Optional are `describe()`, whose dictionary enters
`run.json`, and the attribute `license`.
"""

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.errors import InputError, first_line
from headstyle.base.images import RgbaImage
from headstyle.base.settings import Setting
from headstyle.editing.base import Editor, Instruction, View, one_each, with_alpha
from headstyle.editing.editors.base import EditorKind

SETTINGS = (
    Setting(
        "custom.entry",
        None,
        {"type": ["string", "null"], "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"},
        meaning="The class, as package:Class. Python must be able to import the package.",
    ),
    Setting(
        "custom.settings",
        {},
        {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
        meaning="What the class gets as its settings, as {name: value}.",
    ),
)


class CustomKind(EditorKind):
    """A class of the user."""

    name = "custom"
    # Refusing references would take an import of the user's package at every start.
    takes_references = True

    @classmethod
    def check(cls, editing: Mapping[str, Any], prompts: Sequence[str]) -> None:
        entry = editing["custom"]["entry"]
        if entry is None:
            raise InputError("editing.custom.entry is null; name your class, as package:Class")
        package = entry.partition(":")[0].partition(".")[0]
        if find_spec(package) is None:
            raise InputError(
                f"editing.custom.entry: Python finds no package {package}; install it, or put its "
                "folder on PYTHONPATH"
            )

    @classmethod
    def make(cls, editing: Mapping[str, Any], device: str) -> Editor:
        return CustomEditor(editing["custom"], device)

    @classmethod
    def note(cls, editing: Mapping[str, Any]) -> str:
        return f"The edits come from {editing['custom']['entry']}, which is no part of headstyle."


class CustomEditor:
    """The editor around a class of the user, whose results it checks."""

    shares_batches = False

    def __init__(self, custom: Mapping[str, Any], device: str) -> None:
        """Import and make the class.

        Raises:
            InputError: it cannot be imported or made, or has no method `edit`.
        """
        self.entry: str = custom["entry"]
        self.settings = dict(custom["settings"])
        module, _, name = self.entry.partition(":")
        try:
            made = getattr(import_module(module), name)
            self.inner = made(self.settings, device)
        except Exception as error:
            raise InputError(
                f"editing.custom.entry: {self.entry} cannot be made ({type(error).__name__}: "
                f"{first_line(error)}); correct it"
            ) from error
        if not callable(getattr(self.inner, "edit", None)):
            raise InputError(f"editing.custom.entry: {self.entry} has no method edit; add it")
        self.source = _digest_of_source(made)

    def edit(
        self, views: Sequence[View], instructions: Instruction | Sequence[Instruction]
    ) -> list[RgbaImage]:
        """The edited views, in the given order.

        Raises:
            InputError: the class gives something else than one RGBA image for each view.
        """
        edited = list(self.inner.edit(list(views), one_each(views, instructions)))
        if len(edited) != len(views):
            raise InputError(
                f"editing.custom.entry: {self.entry} gave {len(edited)} images for {len(views)} "
                "views; give one for each"
            )
        return [self._checked(image, view) for image, view in zip(edited, views, strict=True)]

    def expect(self, views: int) -> None:
        """Do nothing: the class prepares itself."""

    def describe(self) -> dict[str, Any]:
        """The class, its settings, the digest of its source, and what it says of itself."""
        own: dict[str, Any] = getattr(self.inner, "describe", dict)()
        return {
            "editor": "custom",
            "entry": self.entry,
            "settings": self.settings,
            "license": getattr(self.inner, "license", "unknown"),
            "source_sha256": self.source,
            **({"described": dict(own)} if own else {}),
        }

    def describe_machine(self) -> dict[str, Any]:
        """An empty entry."""
        return {}

    def _checked(self, image: Any, view: View) -> RgbaImage:
        found = np.asarray(image, dtype=np.float32)
        if found.shape != view.photograph.shape:
            raise InputError(
                f"editing.custom.entry: {self.entry} gave an image of shape {found.shape} for "
                f"the view {view.name}, which has {view.photograph.shape}; give RGBA of this size"
            )
        return with_alpha(found[..., :3], view.photograph)


def _digest_of_source(made: Any) -> str | None:
    """Digest of the file that defines a class; None where there is none."""
    try:
        file = inspect.getsourcefile(made)
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    except (TypeError, OSError):
        return None
