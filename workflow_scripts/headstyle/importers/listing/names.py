"""What views are called: places of files, names that are safe, and names that look alike."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath

_SUFFIX = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,5}$")
_MASK = (
    r"(masks?|alpha|matte|matting|foreground|fg|segmentation|seg|silhouette|cutout|rgba"
    r"|no[_-]?bg|removebg(-preview)?)"
)
MASK_MARKER = re.compile(rf"^{_MASK}[_. -]+|[_. -]+{_MASK}(?=[_. -]|$)", re.IGNORECASE)
"""What a mask's name has before, after or within its view's."""
_TWO_SUFFIXES = re.compile(
    r"([_. -]mask|\.(jpe?g|png|tiff?|heic|heif|webp|bmp))\.\w+$", re.IGNORECASE
)
# Share of letters that two names have in common, to be told as look-alikes.
_ALIKE = 0.4


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


def is_marked(name: str) -> bool:
    """Whether a file's name says that it is a mask: `x_mask.png`, or `x.jpg.png` (COLMAP)."""
    stem = PurePosixPath(name.replace("\\", "/")).name.split(".")[0]
    return bool(MASK_MARKER.search(stem) or _TWO_SUFFIXES.search(name))


def masked_name(name: str) -> str:
    """What is left of a mask's file name without suffixes and marker: its view's, as a rule."""
    return place_of(MASK_MARKER.sub("", place_of(name)))


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
