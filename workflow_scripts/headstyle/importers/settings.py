"""The config's `foreign` section: which files it names, and whether they are there."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError

FOLDER = "foreign"
"""Folder of these scenes below the results."""
_PATHS = ("renders", "cameras", "depths", "unedited", "masks", "pairs")
_COLMAP_SUFFIXES = (".bin", ".txt")


def check_foreign(entries: Mapping[str, Mapping[str, Any]], subjects: Collection[str]) -> None:
    """Check that each entry's paths exist, and that depth comes from somewhere.

    Raises:
        InputError: one of them is not so, or a subject has the name of the scenes' folder.
    """
    if entries and FOLDER in subjects:
        raise InputError(
            f"a subject is called {FOLDER!r}, which is the folder of other methods' scenes; rename"
            " the subject"
        )
    for name, entry in entries.items():
        for key in _PATHS:
            path = entry.get(key)
            if path and not Path(path).exists():
                raise InputError(f"foreign.{name}.{key}: {path} does not exist; correct the path")
        if not entry.get("depths") and not entry.get("unedited"):
            raise InputError(
                f"foreign.{name} has neither depths nor unedited; name a folder of depth maps, or"
                " of the views before the edit, to which splats are fitted for their depth"
            )


def foreign_files(entry: Mapping[str, Any]) -> list[str]:
    """All files that an entry stands for, so that a change of one of them is seen."""
    files: list[Path] = []
    for key in _PATHS:
        path = Path(entry[key]) if entry.get(key) else None
        if path is None:
            continue
        if path.is_file():
            files.append(path)
        elif key == "cameras":
            files += [f for f in path.rglob("*") if f.suffix in _COLMAP_SUFFIXES and f.is_file()]
        else:
            files += [f for f in path.iterdir() if f.is_file() and not f.name.startswith(".")]
    return sorted(str(path) for path in files)
