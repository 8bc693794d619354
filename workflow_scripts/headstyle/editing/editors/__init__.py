"""The kinds of editors, one module each, found by their names.

To add an editor, write `headstyle/editing/editors/NAME.py` with a subclass of `EditorKind` called
NAME, and set `editing.editor: NAME` in the config. Declare its settings in the module as
`NAME.setting`; in the config they stand under `editing.NAME`.
"""

import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError
from headstyle.base.settings import class_named
from headstyle.editing.editors.base import EditorKind, Weights

__all__ = ["EditorKind", "Weights", "available_editors", "editor_kind", "editor_paths"]


def available_editors() -> list[str]:
    """Names of all kinds of editors, in alphabetical order."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name != "base")


def editor_paths() -> dict[str, Path]:
    """The module of each kind of editor, by its name."""
    return {name: Path(__path__[0], f"{name}.py") for name in available_editors()}


def editor_kind(editing: Mapping[str, Any]) -> type[EditorKind]:
    """The kind of editor that the config's section `editing` names.

    Raises:
        InputError: there is no such editor.
    """
    name = editing["editor"]
    if name not in available_editors():
        names = ", ".join(available_editors())
        raise InputError(f"editing.editor is {name!r}; choose one of {names}")
    # mypy refuses an abstract class, as it could be instantiated. Only its subclasses are.
    return class_named(name, __name__, EditorKind)  # type: ignore[type-abstract]
