"""Which files of a folder are views, what views are called, and which other files are theirs.

A view is the path of its file below the folder, without the suffix and without what all paths
begin with. Its name is that path with all characters that could harm a file name replaced, so that
results can be called after it.
"""

import logging
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath

from headstyle.base.errors import InputError
from headstyle.importers.cameras import images_of_cameras

logger = logging.getLogger("headstyle")

RAW_SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"),
)
VIDEO_SUFFIXES = (".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".3gp")
# What cameras and programs write beside photographs is no photograph, and needs no word.
_SIDECARS = (
    *(".txt", ".tsv", ".csv", ".json", ".xmp", ".aae", ".xml", ".ini", ".db", ".md", ".html"),
    *(".yaml", ".yml", ".pdf", ".zip", ".lrcat", ".pto"),
)
# Folders that people keep beside photographs; none of them holds photographs.
_OTHER_FOLDERS = re.compile(
    r"(masks?|depths?|normals?|sparse|dense|colmap|truth|thumb(nail)?s|images_\d+)([_.-].*)?", re.I
)
_SUFFIX = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,5}$")
# Share of letters that two names have in common, to be told as look-alikes.
_ALIKE = 0.4
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Listing:
    """The views of a folder."""

    files: dict[str, Path]
    """Each view's file by the view's name, sorted by name."""
    left_out: tuple[str, ...]
    """What the folder holds besides, in a few words each with its count."""


@dataclass(frozen=True)
class Naming:
    """What files of views are called, in the terms of `match_files`."""

    suffixes: Sequence[str]
    marker: re.Pattern[str] | None = None
    first: Callable[[str], bool] | None = None


def list_files(folder: str | Path, suffixes: Sequence[str], key: str) -> Listing:
    """The files of a folder with one of the suffixes, by view.

    Files in the folder itself are taken; else those that the cameras of a data set name; else those
    in the folders below, but for folders of masks, depth and the like. Hidden files do not count.

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
        chosen = [path for path in below if not _in_other_folder(path, folder)]
        found, rest = _split(chosen, suffixes)
        skipped, _ = _split(sorted(set(below) - set(chosen)), suffixes)
        notes, other = _below_notes(folder, skipped), other + rest
    return Listing(_by_view(found, folder, suffixes, prefix), (*_notes(other), *notes))


def list_views(folder: str | Path, suffixes: Sequence[str], key: str) -> dict[str, Path]:
    """The files by view, as `list_files`; says what is left out, raises where there is no file."""
    listing = list_files(folder, suffixes, key)
    if not listing.files:
        raise InputError(f"{key}: {folder} holds no file {', '.join(suffixes)}; correct the path")
    if listing.left_out:
        logger.warning("%s: left out of %s: %s", key, folder, ", ".join(listing.left_out))
    return listing.files


def files_of_views(
    folder: str | Path | None, views: Mapping[str, Path], naming: Naming, key: str
) -> list[Path]:
    """Each view's file in another folder or below it, in the order of the views.

    Args:
        folder: Where to look; None stands for a folder that is not given.
        views: As in `match_files`.
        naming: What the files are called.
        key: As in `list_files`.

    Returns:
        One file per view; no file where no folder is given.

    Raises:
        InputError: as `list_views`, or a view has no file, or two.
    """
    if folder is None:
        return []
    list_views(folder, naming.suffixes, key)
    names = [str(path) for path in files_everywhere(Path(folder), naming.suffixes)]
    found = match_files(views, names, key, naming.suffixes, naming.marker, naming.first)
    missing = [view for view in views if view not in found]
    if missing:
        alike = look_alikes(missing, set(names) - set(found.values()))
        raise InputError(
            f"{key}: {folder} lacks {len(missing)} of {len(views)} views, first {missing[0]!r}"
            f"{alike}; add the file or take the view out of the renders"
        )
    return [Path(found[view]) for view in views]


def files_everywhere(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files with one of the suffixes in a folder and all folders below it, sorted."""
    return _split(sorted([*_files_in(folder), *_files_below(folder)]), suffixes)[0]


def place_of(path: str | Path, suffixes: Sequence[str] = ()) -> str:
    """A file's path without its suffix, with forward slashes.

    Args:
        path: Of any system.
        suffixes: Known suffixes, which may have two parts (`.npy.gz`); any other suffix is cut too.
    """
    text = unicodedata.normalize("NFC", str(path).replace("\\", "/"))
    for suffix in sorted(suffixes, key=len, reverse=True):
        if text.lower().endswith(suffix):
            return text[: -len(suffix)]
    return _SUFFIX.sub("", text)


def safe_name(place: str) -> str:
    """A view's name: letters and digits of any script, `.`, `_` and `-`; all else becomes `_`."""
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in place)
    return re.sub(r"^[.-]", "_", name) or "_"


def named_by_place(places: Sequence[str]) -> dict[str, str]:
    """Each place's view name. Names that would coincide get a number.

    Returns:
        Place by name.
    """
    names: dict[str, str] = {}
    # Places that are names already keep theirs.
    for place in sorted(places, key=lambda place: (safe_name(place) != place, place)):
        name, number = safe_name(place), 1
        while name in names:
            number += 1
            name = f"{safe_name(place)}-{number}"
        names[name] = place
    return dict(sorted(names.items()))


def match_files(
    views: Mapping[str, str | Path],
    offered: Iterable[str],
    where: str,
    suffixes: Sequence[str] = (),
    marker: re.Pattern[str] | None = None,
    first: Callable[[str], bool] | None = None,
) -> dict[str, str]:
    """Which of the offered names belongs to each view.

    Names are compared from their end: of several with the view's file name, the one whose folders
    agree further up is the view's. Suffixes do not count, nor does case where nothing else fits.

    Args:
        views: Path of each view's own file, by the view's name.
        offered: Names of other files, or names that a file of cameras gives.
        where: What offers them, for messages.
        suffixes: As in `place_of`.
        marker: What may stand in a file name besides the view's, such as `_mask`; cut as a last
            resort.
        first: Tells names that go before all others.

    Returns:
        The offered name of each view that has one.

    Raises:
        InputError: two names fit a view equally well.
    """
    if first is not None:
        names = list(offered)
        ahead = [name for name in names if first(name)]
        found = match_files(views, ahead, where, suffixes, marker)
        left = {view: path for view, path in views.items() if view not in found}
        behind = [name for name in names if not first(name)]
        return found | match_files(left, behind, where, suffixes, marker)
    index = _index(offered, suffixes, marker)
    matched: dict[str, tuple[str, int]] = {}
    owner: dict[str, str] = {}
    for view, path in views.items():
        best = _best(view, path, index, where)
        if best is None:
            continue
        name, depth = best
        other = owner.get(name)
        if other is not None:
            if matched[other][1] == depth:
                raise InputError(
                    f"{where}: {name} could be of {views[other]} and of {path}; give files in"
                    " different folders different names"
                )
            if matched[other][1] > depth:
                continue
            del matched[other]
        matched[view], owner[name] = best, view
    return {view: name for view, (name, _) in matched.items()}


def look_alikes(views: Iterable[str], offered: Iterable[str], count: int = 3) -> str:
    """Names of both sides that differ but look alike, as a clause of a message; may be empty."""
    names = [PurePosixPath(name.replace("\\", "/")).name for name in offered]
    pairs = []
    for view in views:
        alike = [name for name in names if _alike(view, name)]
        if alike:
            pairs.append(f"{view!r} and {alike[0]!r}")
        if len(pairs) == count:
            break
    return f"; these look alike: {', '.join(pairs)}" if pairs else ""


def _alike(view: str, name: str) -> bool:
    """Whether one name holds the other, or both have the same numbers and mostly the same text."""
    a, b = place_of(view).casefold(), place_of(name).casefold()
    if min(len(a), len(b)) > 1 and (a in b or b in a):
        return True
    same_numbers = _numbers(a) == _numbers(b)
    return same_numbers and SequenceMatcher(None, a, b).ratio() >= _ALIKE


def _numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


Index = tuple[dict[str, list[str]], ...]
"""Offered names by the last part of their place: as it is, in lower case, without marker, and by
their last words."""


def _index(names: Iterable[str], suffixes: Sequence[str], marker: re.Pattern[str] | None) -> Index:
    exact, folded, bare, words = (defaultdict(list) for _ in range(4))
    for name in dict.fromkeys(names):
        whole = unicodedata.normalize("NFC", name.replace("\\", "/"))
        for place in dict.fromkeys((place_of(name, suffixes), whole)):
            last = place.rpartition("/")[2]
            exact[last].append(name)
            folded[last.casefold()].append(name)
            folded[safe_name(place).casefold()].append(name)
            cut = marker.sub("", last) if marker else last
            # The second suffix of `x.jpg.png` and of `x.jpg.mask.png` is cut as well.
            for key in {cut, place_of(cut)} - {"", last}:
                bare[key.casefold()].append(name)
            parts = last.casefold().split()
            for start in range(1, len(parts)):
                words[" ".join(parts[start:])].append(name)
    return exact, folded, bare, words


def _best(view: str, path: str | Path, index: Index, where: str) -> tuple[str, int] | None:
    """The name that fits a view best, and the number of parts of its path that agree."""
    exact, folded, bare, words = index
    own = [*place_of(path).split("/")]
    file = own[-1]
    for table, keys in (
        (exact, (file, PurePosixPath(path).name)),
        (folded, (file.casefold(), PurePosixPath(path).name.casefold(), view.casefold())),
        (bare, (file.casefold(), view.casefold())),
        (words, (file.casefold(),)),
    ):
        names = dict.fromkeys(name for key in keys for name in table.get(key, ()))
        depths = {name: _common(own, place_of(name).split("/")) for name in names}
        if not depths:
            continue
        most = max(depths.values())
        best = [name for name, depth in depths.items() if depth == most]
        if len(best) > 1:
            raise InputError(
                f"{where}: {best[0]} and {best[1]} could both be of {path}; remove or rename one"
            )
        if table is words:
            logger.warning("%s: %s is taken for %s, with which it ends", where, best[0], path)
        return best[0], most
    return None


def _common(own: Sequence[str], other: Sequence[str]) -> int:
    """How many folders from the end agree, of two paths whose last parts belong together."""
    count = 1
    for a, b in zip(own[-2::-1], other[-2::-1], strict=False):
        if a.casefold() != b.casefold():
            break
        count += 1
    return count


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
            if not name.startswith(".") and real not in seen:
                seen.add(real)
                kept.append(name)
        folders[:] = kept
        if Path(place) != folder:
            files += _files_in(Path(place))
    return files


def _in_other_folder(path: Path, folder: Path) -> bool:
    return any(_OTHER_FOLDERS.fullmatch(part) for part in path.relative_to(folder).parts[:-1])


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
    for path in paths:
        if not path.exists():
            raise InputError(f"{prefix}{path} is a broken link; fetch the file or remove the link")
        if _CONTROL.search(str(path)):
            raise InputError(
                f"{prefix}{str(path)!r} has a control character in its name; rename it"
            )
        place = place_of(Path(os.path.relpath(path, folder)).as_posix(), suffixes)
        if place in places:
            raise InputError(
                f"{prefix}{path} and {places[place].name} have the same stem; rename or remove one"
                " of them"
            )
        places[place] = path
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
        notes.append(f"{count} {suffix or 'without suffix'}{reason}")
    return notes


def _below_notes(folder: Path, paths: Sequence[Path]) -> list[str]:
    """Counts of views in folders that are not looked into."""
    counts = Counter(path.parent.relative_to(folder).as_posix() for path in paths)
    return [f"{count} in the folder {name}" for name, count in sorted(counts.items())]
