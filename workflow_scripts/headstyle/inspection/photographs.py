"""A look at a folder of photographs: headers only, so that hundreds take a moment."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.importers.depths import DEPTH_SUFFIXES
from headstyle.importers.images import SUFFIXES
from headstyle.importers.listing import VIDEO_SUFFIXES, files_everywhere, is_marked
from headstyle.importers.masks import find_masks
from headstyle.inspection.findings import Findings, counted, named, subject_name
from headstyle.posing.developing.sources import files_to_develop
from headstyle.posing.developing.videos import read_video_info
from headstyle.posing.photographs import PhotographInfo, find_photographs, read_info

_MASK_FOLDER = re.compile(r"masks?([_.-].*)?|mattes?|alphas?", re.IGNORECASE)
_DEPTH_FOLDER = re.compile(r"depths?([_.-].*)?", re.IGNORECASE)


def look_at_photographs(folder: Path) -> Findings:
    """What a folder of photographs holds.

    Raises:
        InputError: as `find_photographs`; or none of them can be read.
    """
    listing = find_photographs(folder)
    infos: dict[str, PhotographInfo] = {}
    problems = []
    for view, path in listing.files.items():
        try:
            infos[view] = read_info(path)
        except InputError as error:
            problems.append(str(error))
    if not infos:
        raise InputError(
            f"none of the {len(problems)} photographs can be read, first: {problems[0]}"
        )
    found = Findings(
        f"{folder}: {len(listing.files)} photographs",
        pictures={view: listing.files[view] for view in infos},
    )
    found.say("folders", _folders(folder, listing.files.values()))
    found.say("formats", counted(path.suffix.lower() for path in listing.files.values()))
    found.say("sizes", counted(f"of {info.width}x{info.height} px" for info in infos.values()))
    found.say("orientation", counted(_orientation(info) for info in infos.values()))
    found.say("focal length", _focal_lengths(infos))
    found.say("alpha", _with_alpha(infos))
    found.say("copies", _copies(folder, listing.files.values()))
    found.say("cannot be read", "; ".join(problems[:3]) + _more(problems, 3))
    found.say("left out", ", ".join(listing.left_out))
    found.subject = {
        "subject": subject_name(folder),
        "source": "photographs",
        "photographs": str(folder),
    }
    return found


def look_at_sources(path: Path) -> Findings | None:
    """What a video or a folder of RAW files holds; None where a path is neither.

    Raises:
        InputError: as `files_to_develop`; or the video cannot be decoded.
    """
    files = files_to_develop(path)
    if not files:
        return None
    if files[0].suffix.lower() in VIDEO_SUFFIXES:
        info = read_video_info(files[0])
        found = Findings(f"{files[0]}: a video")
        found.say("size", f"{info.width}x{info.height} px, upright")
        found.say("turned", f"by {info.turned_deg} degrees in the file" if info.turned_deg else "")
        found.say("length", f"{info.seconds:.1f} s at {info.frames_per_second:.3g} frames a second")
        found.say("photographs", "its sharpest frames (photographs.video_frames)")
    else:
        found = Findings(f"{path}: {len(files)} RAW files")
        found.say("formats", counted(file.suffix.lower() for file in files))
        found.say("photographs", "developed by LibRaw with the camera's white balance")
    found.subject = {
        "subject": subject_name(path.with_suffix("") if path.is_file() else path),
        "source": "photographs",
        "photographs": str(path),
    }
    return found


def look_at_masks(folder: Path, images: Mapping[str, Path]) -> Findings:
    """Masks and depth maps in folders that lie in a folder or beside it, called after them.

    Args:
        folder: Where the images are, or the folder above.
        images: Their images by view.
    """
    found = Findings("")
    for place in (*_folders_near(folder, _MASK_FOLDER), *_with_masks(images)):
        try:
            masks = find_masks(place, images)
        except InputError as error:
            found.say("masks", str(error))
            continue
        if masks:
            found.say("masks", f"{len(masks)} of {len(images)} views have one in {place}")
            missing = [view for view in images if view not in masks]
            found.say("without mask", named(missing))
            found.subject = {"masks": str(place)}
            break
    for place in _folders_near(folder, _DEPTH_FOLDER):
        maps = files_everywhere(place, DEPTH_SUFFIXES)
        if maps:
            kinds = counted("".join(path.suffixes[-2:]) for path in maps)
            found.say("depth", f"{kinds} in {place}")
            break
    return found


def _with_masks(images: Mapping[str, Path]) -> list[Path]:
    """The folder of the images, where masks lie among them."""
    places = {path.parent for path in images.values()}
    known = set(images.values())
    among = [
        place
        for place in places
        if any(is_marked(p.name) and p not in known for p in files_everywhere(place, SUFFIXES))
    ]
    return among if len(places) == 1 else []


def _folders_near(folder: Path, kind: re.Pattern[str]) -> list[Path]:
    # Only a folder of images has its masks beside it.
    beside = folder.parent if folder.name.lower() in ("images", "photographs", "rgb") else folder
    places = [*folder.iterdir(), *(beside.iterdir() if beside != folder else ())]
    return sorted(path for path in places if path.is_dir() and kind.fullmatch(path.name))


def _folders(folder: Path, files: Iterable[Path]) -> str:
    """The folders of photographs where there are several: of other heads, maybe, or other sizes."""
    counts = Counter(path.parent.relative_to(folder).as_posix() for path in files)
    told = [f"{count} in {place}" for place, count in sorted(counts.items())]
    return ", ".join(told[:6]) + _more(told, 6) if len(told) > 1 else ""


def _copies(folder: Path, files: Iterable[Path]) -> str:
    """How many files have the bytes of another one."""
    by_size: dict[int, list[Path]] = {}
    for path in files:
        by_size.setdefault(path.stat().st_size, []).append(path)
    alike = [path for paths in by_size.values() if len(paths) > 1 for path in paths]
    first: dict[bytes, Path] = {}
    copies = []
    for path in alike:
        digest = hashlib.sha256(path.read_bytes()).digest()
        if first.setdefault(digest, path) != path:
            copies.append(" of ".join(str(p.relative_to(folder)) for p in (path, first[digest])))
    return "; ".join(copies[:3]) + _more(copies, 3)


def _orientation(info: PhotographInfo) -> str:
    if info.width == info.height:
        return "square"
    return "portrait" if info.height > info.width else "landscape"


def _focal_lengths(infos: Mapping[str, PhotographInfo]) -> str:
    """Focal lengths relative to the longer side, since photographs differ in size."""
    ratios = [
        info.focal_px / max(info.width, info.height) for info in infos.values() if info.focal_px
    ]
    if not ratios:
        return "not in EXIF; estimate_poses finds it"
    span = f"{min(ratios):.2f}"
    if max(ratios) - min(ratios) > 0.01:
        span += f" to {max(ratios):.2f}"
    without = len(infos) - len(ratios)
    return f"{span} times the longer side" + (f"; {without} without EXIF" if without else "")


def _with_alpha(infos: Mapping[str, PhotographInfo]) -> str:
    count = sum(info.with_alpha for info in infos.values())
    return f"{count} of {len(infos)} have an alpha channel" if count else ""


def _more(items: list[str], most: int) -> str:
    return f"; and {len(items) - most} more" if len(items) > most else ""
