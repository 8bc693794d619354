"""Which file of another folder, or which name that a file gives, belongs to each view."""

import logging
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headstyle.base.errors import InputError
from headstyle.importers.listing.folders import files_everywhere, list_views
from headstyle.importers.listing.names import look_alikes, place_of, safe_name

logger = logging.getLogger("headstyle")

Index = tuple[dict[str, list[str]], ...]
"""Offered names by the last part of their place: as it is, in lower case, without marker, and by
their last words."""


@dataclass(frozen=True)
class Naming:
    """What files of views are called, in the terms of `match_files`."""

    suffixes: Sequence[str]
    marker: re.Pattern[str] | None = None
    first: Callable[[str], bool] | None = None


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
