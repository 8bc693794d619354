"""The table of methods: who takes part in the leaderboard, and where the renders are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstyle.base.errors import InputError, given_by
from headstyle.base.tables.rows import read_rows

COLUMNS = ("method", "folder", "what", "link", "license")
MADE = "made:"
"""Begins the cell `folder` of a method that the workflow makes itself."""
BASELINE, TRUE_EDITS, VIEWS_ALONE = "baseline", "true_edits", "views_alone"
REFERENCES = (BASELINE, TRUE_EDITS)
"""What is made for orientation and takes no rank: doing nothing, and the perfect edit."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_ORIGIN = given_by("the config key leaderboard.methods")


@dataclass(frozen=True)
class Method:
    """One row of the table of methods."""

    name: str
    """Name in tables and paths."""
    folder: str
    """Where its renders are, or what of it the workflow makes, after `made:`."""
    what: str
    """What it does, in a sentence; plain text."""
    link: str = ""
    """Web address, or empty."""
    license: str = ""
    """License of its renders, or empty."""

    @property
    def made(self) -> str:
        """What the workflow makes: a schedule or a constant above; empty for given renders."""
        return self.folder.removeprefix(MADE) if self.folder.startswith(MADE) else ""

    @property
    def is_reference(self) -> bool:
        """Whether it stands in the table for orientation only, without a rank."""
        return self.made in REFERENCES

    def renders(self, subject: str, prompt: str, strength: str) -> Path | None:
        """The folder `{view}.png` of a scene of given renders; None where there is none.

        It is looked for in the folder's `{subject}/{prompt}`, then as an avatar of a results folder
        of this workflow, of the given strength.
        """
        scenes = (f"{prompt}", f"{prompt}/renders", f"avatars/{prompt}_{strength}/renders")
        paths = [Path(self.folder, subject, scene) for scene in scenes]
        return next((path for path in paths if any(path.glob("*.png"))), None)


def read_methods(path: str | Path, schedules: Sequence[str]) -> list[Method]:
    """Read the table of methods.

    Args:
        path: TSV or CSV with the columns of `COLUMNS`.
        schedules: The schedules that the workflow can make avatars by.

    Raises:
        InputError: the table or a folder is missing, or a cell cannot be used.
    """
    rows = read_rows(path, _ORIGIN, COLUMNS)
    if not rows:
        raise InputError(f"{path} has no rows; add one per method")
    methods: dict[str, Method] = {}
    for row in rows:
        method = Method(row["method"], *(row[key].strip() for key in COLUMNS[1:]))
        _check(method, path, schedules)
        if method.name in methods:
            raise InputError(f"{path} has the method {method.name} twice; rename one")
        methods[method.name] = method
    return list(methods.values())


def _check(method: Method, path: str | Path, schedules: Sequence[str]) -> None:
    if not _NAME.match(method.name):
        raise InputError(
            f"{path} has the method {method.name!r}; use letters, digits, hyphens and underscores"
        )
    where = f"{path}, method {method.name}"
    if method.link and not method.link.startswith(("https://", "http://")):
        raise InputError(f"{where}: the link is {method.link!r}; begin it with https://")
    known = (*schedules, VIEWS_ALONE, *REFERENCES)
    if method.folder.startswith(MADE):
        if method.made not in known:
            raise InputError(
                f"{where}: the workflow cannot make {method.made!r}; choose one of"
                f" {', '.join(known)}, or name a folder of renders"
            )
    elif not method.folder or not Path(method.folder).is_dir():
        raise InputError(
            f"{where}: the folder {method.folder!r} does not exist; correct the path, or write"
            f" {MADE} and one of {', '.join(known)}"
        )
