"""The config's `foreign` section: the files it names, and where a scene lies in the results."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError
from headstyle.importers.cameras import companions_of, readable_companions
from headstyle.importers.listing import files_everywhere

FOLDER = "foreign"
"""Folder of these scenes below the results."""
_PATHS = ("renders", "cameras", "depths", "unedited", "masks", "pairs")
"""Keys of files that are scored. `splats` are only shown."""
_BRACES = re.compile(r"\{[^{}]*\}")
_CAMERA_SUFFIXES = (".bin", ".txt", ".json", ".xml", ".csv", ".npy")


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
        for key in (*_PATHS, "splats"):
            path = entry.get(key)
            if path and not Path(path).exists():
                raise InputError(f"foreign.{name}.{key}: {path} does not exist; correct the path")
        scale = entry.get("depth_scale")
        if scale is not None and not 0 < float(scale) < math.inf:
            raise InputError(
                f"foreign.{name}.depth_scale is {scale!r}; give a number above 0, or null"
            )
        given = entry.get("depths") or entry.get("unedited")
        if not given and not companions_of(entry["cameras"]).depths:
            raise InputError(
                f"foreign.{name} has neither depths nor unedited, and its cameras bring no"
                " depth; name a folder of depth maps, or"
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
            files += [f for f in files_everywhere(path, _CAMERA_SUFFIXES) if f.is_file()]
        else:
            files += [f for f in files_everywhere(path, ("",)) if f.is_file()]
    files += [f for f in readable_companions(entry["cameras"]).files if f.is_file()]
    return sorted({str(path) for path in files})


def plain_files(paths: Iterable[str]) -> list[str]:
    """The files that Snakemake can take as inputs: it takes `{...}` in a name for a wildcard."""
    return [path for path in paths if not _BRACES.search(path)]


def braced_files(paths: Iterable[str]) -> dict[str, list[int]]:
    """Size and time of change of the other files, so that a parameter tells of their changes."""
    return {
        path: [Path(path).stat().st_size, Path(path).stat().st_mtime_ns]
        for path in paths
        if _BRACES.search(path)
    }


@dataclass(frozen=True)
class ForeignScene:
    """Where the files of another method's scene lie in the results.

    A file that the scene does not have is `[]`: so a rule takes it as no input.
    """

    name: str
    entry: Mapping[str, Any]
    """The scene's entry in the config."""
    results: str
    """Folder of all results."""

    @property
    def folder(self) -> str:
        """Folder of all files of the scene."""
        return f"{self.results}/{FOLDER}/{self.name}"

    @property
    def inputs(self) -> list[str]:
        """The files that the entry names, as far as Snakemake can take them as inputs."""
        return plain_files(foreign_files(self.entry))

    @property
    def braced(self) -> dict[str, list[int]]:
        """What tells of a change of the others, as `braced_files` does."""
        return braced_files(foreign_files(self.entry))

    @property
    def is_fitted(self) -> bool:
        """Whether the depth comes from splats that are fitted to the unedited views.

        Without these, the data set of the cameras brings it.
        """
        return self.has_unedited and not self.entry.get("depths")

    @property
    def has_unedited(self) -> bool:
        """Whether the views before the edit are given."""
        return bool(self.entry.get("unedited"))

    @property
    def depth(self) -> str:
        """Folder of the depth maps: the scene's own, or those of the fit."""
        return f"{self.folder}/fit/depth" if self.is_fitted else f"{self.folder}/depth"

    @property
    def splats(self) -> str | list[str]:
        """The splats of the unedited scene, where they are fitted."""
        return f"{self.folder}/fit/splats.ply" if self.is_fitted else []

    @property
    def own_splats(self) -> list[str]:
        """The file of the scene's own splats, where it is given."""
        path = self.entry.get("splats")
        return [path] if path else []

    @property
    def shown_splats(self) -> list[str]:
        """The same, as far as Snakemake can take it as an input."""
        return plain_files(self.own_splats)

    @property
    def braced_splats(self) -> dict[str, list[int]]:
        """What tells of a change of the file otherwise, as `braced_files` does."""
        return braced_files(self.own_splats)

    @property
    def unedited(self) -> str | list[str]:
        """The file beside the views before the edit, where they are given."""
        return f"{self.folder}/views/cameras.json" if self.has_unedited else []

    @property
    def floor(self) -> str | list[str]:
        """The pairs of the unedited views, where they are given."""
        return f"{self.folder}/unedited/consistency/pairs.csv" if self.has_unedited else []

    @property
    def instruction(self) -> str | None:
        """The text that the edit followed, where it is given."""
        return self.entry.get("instruction")

    def tables(self, name: str) -> list[str]:
        """The tables `pairs` or `views` of the scene, and those of its unedited views."""
        folders = [self.folder, *([f"{self.folder}/unedited"] * self.has_unedited)]
        return [f"{folder}/consistency/{name}.csv" for folder in folders]
