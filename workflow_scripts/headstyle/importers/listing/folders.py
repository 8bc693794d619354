"""Which files of a folder are views, and what is left out of it."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.importers.cameras import images_of_cameras, readable_companions
from headstyle.importers.listing.names import (
    is_marked,
    masked_name,
    named_by_place,
    place_of,
)

logger = logging.getLogger("headstyle")

RAW_SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"),
)
VIDEO_SUFFIXES = (".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".3gp")
ARCHIVE_SUFFIXES = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz")
# What cameras and programs write beside photographs is no photograph, and needs no word.
_SIDECARS = (
    *(".txt", ".tsv", ".csv", ".json", ".xmp", ".aae", ".xml", ".ini", ".db", ".md", ".html"),
    *(".yaml", ".yml", ".pdf", ".lrcat", ".pto", ".thm", ".lrv", ".pp3", ".dop", ".on1"),
    *(".log", ".url", ".lnk", ".gpx", ".kml"),
)
# Folders that people keep beside photographs; none of them holds photographs.
_OTHER_FOLDERS = re.compile(
    r"(masks?|depths?|normals?|sparse|dense|colmap|truth|thumb(nail)?s|images_\d+)([_.-].*)?", re.I
)
# Beside `images`, these hold the same photographs as they were before.
_BEFORE = re.compile(r"inputs?|raw|originals?|images?[_-](orig(inals?)?|raw)", re.I)
# Folders of systems, with thumbnails or what was deleted.
_SYSTEM = ("@eadir", "@tmp", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Listing:
    """The views of a folder."""

    files: dict[str, Path]
    """Each view's file by the view's name, sorted by name."""
    left_out: tuple[str, ...]
    """What the folder holds besides, in a few words each with its count."""


def list_files(folder: str | Path, suffixes: Sequence[str], key: str) -> Listing:
    """The files of a folder with one of the suffixes, by view.

    Files in the folder itself are taken; else those that the cameras of a data set name; else those
    in the folders below, but for folders of masks, depth and the like, and for what `images` was
    made from. Hidden files do not count, nor does a mask beside its image.

    Args:
        folder: Where to look.
        suffixes: In lower case; compared without regard to case.
        key: What the folder is in messages, such as `foreign.mine.renders`; may be empty.

    Raises:
        InputError: the folder is missing, two files differ by their suffix only, a name has
            control characters, or a link is broken.
    """
    folder, prefix = Path(folder), f"{key}: " if key else ""
    if not folder.is_dir():
        raise InputError(f"{prefix}{folder} is not a folder; correct the path")
    found, other = _split(_files_in(folder), suffixes)
    named = [] if found else _split(images_of_cameras(folder), suffixes)[0]
    if named:
        return Listing(_by_view(named, folder, suffixes, prefix), ())
    below = sorted(_files_below(folder))
    if found:
        deeper, _ = _split((p for p in below if not _in_other_folder(p, folder)), suffixes)
        notes = _below_notes(folder, deeper)
    else:
        # What the cameras in the folder name as masks or depth is no view.
        companions = {os.path.abspath(path) for path in readable_companions(folder).files}
        below = [path for path in below if os.path.abspath(path) not in companions]
        chosen = [path for path in below if not _in_other_folder(path, folder)]
        chosen = _without_originals(chosen, folder)
        found, rest = _split(chosen, suffixes)
        skipped, _ = _split(sorted(set(below) - set(chosen)), suffixes)
        notes, other = _below_notes(folder, skipped), other + rest
    found, masks = _without_masks(found)
    if masks:
        notes.append(f"{len(masks)} masks (to use them, name {masks[0].parent} as the masks)")
    if found:  # An archive beside photographs is what they were unpacked from.
        other = [path for path in other if path.suffix.lower() not in ARCHIVE_SUFFIXES]
    return Listing(_by_view(found, folder, suffixes, prefix), (*_notes(other), *notes))


def list_views(folder: str | Path, suffixes: Sequence[str], key: str) -> dict[str, Path]:
    """The files by view, as `list_files`; says what is left out, raises where there is no file."""
    listing = list_files(folder, suffixes, key)
    if not listing.files:
        raise InputError(f"{key}: {folder} holds no file {', '.join(suffixes)}; correct the path")
    if listing.left_out:
        logger.warning("%s: left out of %s: %s", key, folder, ", ".join(listing.left_out))
    return listing.files


def files_everywhere(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files with one of the suffixes in a folder and all folders below it, sorted."""
    return _split(sorted([*_files_in(folder), *_files_below(folder)]), suffixes)[0]


def images_below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """As `files_everywhere`, but without smaller copies, masks, depth and the like beside them."""
    files = files_everywhere(folder, suffixes)
    kept = [path for path in files if not _in_other_folder(path, folder)]
    return _without_originals(kept, folder) or files


def _files_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and not p.is_dir())


def _files_below(folder: Path) -> list[Path]:
    """Files in the folders below a folder, also behind links; never the same folder twice."""
    files: list[Path] = []
    seen = {os.path.realpath(folder)}
    for place, folders, _ in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(folders):
            real = os.path.realpath(os.path.join(place, name))
            hidden = name.startswith(".") or name.lower() in _SYSTEM
            if not hidden and real not in seen:
                seen.add(real)
                kept.append(name)
        folders[:] = kept
        if Path(place) != folder:
            files += _files_in(Path(place))
    return files


def _in_other_folder(path: Path, folder: Path) -> bool:
    return any(_OTHER_FOLDERS.fullmatch(part) for part in path.relative_to(folder).parts[:-1])


def _without_originals(paths: list[Path], folder: Path) -> list[Path]:
    """What is left where `images` holds what another folder holds, too (3DGS's `input`)."""
    places = {path: path.relative_to(folder).parts[:-1] for path in paths}
    with_images = {
        parts[:i] for parts in places.values() for i in range(len(parts)) if parts[i] == "images"
    }
    return [
        path
        for path, parts in places.items()
        if not any(
            parts[:i] in with_images and _BEFORE.fullmatch(part) for i, part in enumerate(parts)
        )
    ]


def _without_masks(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Images, and masks that lie beside an image that they are called after."""
    images = {(path.parent, masked_name(path.name)) for path in paths if not is_marked(path.name)}
    masks = [
        path
        for path in paths
        if is_marked(path.name) and (path.parent, masked_name(path.name)) in images
    ]
    return [path for path in paths if path not in set(masks)], masks


def _split(paths: Iterable[Path], suffixes: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Files with one of the suffixes, and the others."""
    found: list[Path] = []
    other: list[Path] = []
    for path in paths:
        (found if path.name.lower().endswith(tuple(suffixes)) else other).append(path)
    return found, other


def _by_view(
    paths: Sequence[Path], folder: Path, suffixes: Sequence[str], prefix: str
) -> dict[str, Path]:
    places: dict[str, Path] = {}
    pairs: list[tuple[Path, Path]] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{prefix}{path} is a broken link; fetch the file or remove the link")
        if _CONTROL.search(str(path)):
            raise InputError(
                f"{prefix}{str(path)!r} has a control character in its name; rename it"
            )
        place = place_of(Path(os.path.relpath(path, folder)).as_posix(), suffixes)
        if place in places:
            pairs.append((path, places[place]))
        places[place] = path
    if pairs:
        path, other = pairs[0]
        more = f", as do {len(pairs) - 1} more pairs" if len(pairs) > 1 else ""
        raise InputError(
            f"{prefix}{path} and {other.name} have the same stem{more}; rename or remove one of"
            f" {'each pair' if more else 'them'}"
        )
    # A folder that all views lie in says nothing about any of them.
    shared = os.path.commonpath([os.path.dirname(place) for place in places]) if places else ""
    short = {place.removeprefix(shared).lstrip("/"): path for place, path in places.items()}
    return {name: short[place] for name, place in named_by_place(list(short)).items()}


def _notes(paths: Sequence[Path]) -> list[str]:
    """Counts of files by suffix, with the reason where there is more to say than the suffix."""
    notes = []
    found = Counter(path.suffix.lower() for path in paths)
    for suffix, count in sorted(found.items()):
        if suffix in _SIDECARS:
            continue
        reason = ""
        if suffix in RAW_SUFFIXES:
            reason = " (RAW: develop them to JPEG or TIFF)"
        elif suffix in VIDEO_SUFFIXES:
            reason = " (video: to use its frames, name it as the subject's photographs)"
        if suffix in ARCHIVE_SUFFIXES:
            reason = " (an archive: unpack it, and name the folder)"
        notes.append(f"{count} {suffix or 'without suffix'}{reason}")
    return notes


def _below_notes(folder: Path, paths: Sequence[Path]) -> list[str]:
    """Counts of views in folders that are not looked into."""
    counts = Counter(path.parent.relative_to(folder).as_posix() for path in paths)
    return [f"{count} in the folder {name}" for name, count in sorted(counts.items())]
