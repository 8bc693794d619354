"""What a path is, and a look at it."""

from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.importers.images import SUFFIXES
from headstyle.importers.listing import ARCHIVE_SUFFIXES, VIDEO_SUFFIXES
from headstyle.inspection.cameras import knows_cameras, look_at_cameras
from headstyle.inspection.findings import Findings
from headstyle.inspection.photographs import (
    look_at_masks,
    look_at_photographs,
    look_at_sources,
)
from headstyle.inspection.results import look_at_results, subjects_of
from headstyle.inspection.splats import look_at_splats
from headstyle.rendering.splat_files import SPLAT_SUFFIXES


def inspect_path(path: str | Path) -> Findings:
    """Look at photographs, cameras, splats or results.

    Raises:
        InputError: the path does not exist, or holds none of these, or what it holds is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; correct the path")
    if path.is_file():
        return _look_at_file(path)
    if subjects_of(path):
        return look_at_results(path)
    if (path / "views" / "cameras.json").is_file():
        return _look_at_subject(path)
    return _look_at_folder(path)


def _look_at_file(path: Path) -> Findings:
    suffix = path.suffix.lower()
    if suffix in SPLAT_SUFFIXES:
        return look_at_splats(path)
    if suffix in SUFFIXES:
        raise InputError(f"{path} is one image; name the folder of the photographs")
    if suffix in ARCHIVE_SUFFIXES:
        raise InputError(f"{path} is an archive; unpack it, and name the folder")
    if suffix in VIDEO_SUFFIXES and (made := look_at_sources(path)):
        return made
    found = look_at_cameras(path)
    if found.pictures:
        found.add(look_at_masks(path.parent, found.pictures))
    return found


def _look_at_subject(path: Path) -> Findings:
    found = look_at_cameras(path / "views")
    # Its images are results, not photographs to begin with.
    found.subject = {}
    if (path / "baseline" / "splats.ply").is_file():
        found.add(look_at_splats(path / "baseline" / "splats.ply"))
    return found


def _look_at_folder(path: Path) -> Findings:
    """Cameras, photographs and splats of one folder, as far as it has them."""
    looks = []
    reasons = []
    for look in (look_at_cameras, look_at_photographs):
        try:
            looks.append(look(path))
        except InputError as error:
            reasons.append(str(error))
    splats = sorted(f for f in path.iterdir() if f.suffix.lower() in SPLAT_SUFFIXES)
    for file in splats[:1]:
        try:
            looks.append(look_at_splats(file))
        except InputError as error:
            reasons.append(str(error))
    if not looks:
        if made := look_at_sources(path):
            return made
        raise InputError(reasons[-1])
    found, *others = looks
    if found.cameras is None and knows_cameras(path):
        found.say("cameras", reasons[0])
    for other in others:
        found.say("beside", other.title)
        found.add(other)
    if found.pictures:
        found.add(look_at_masks(path, found.pictures))
    return found
