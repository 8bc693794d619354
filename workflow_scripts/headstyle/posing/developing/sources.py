"""Whether a subject's photographs must be made first, and from which files."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError
from headstyle.importers.images import SUFFIXES
from headstyle.importers.listing import ARCHIVE_SUFFIXES, RAW_SUFFIXES, VIDEO_SUFFIXES, list_files


def files_to_develop(path: str | Path) -> list[Path]:
    """The video or the RAW files that a subject's photographs are made from; only names count.

    A folder with photographs is taken as it is: RAW files and videos beside them are left out.

    Args:
        path: A folder, or a video.

    Returns:
        One video, or all RAW files, sorted; empty where the path is a folder of photographs or
        holds nothing that can be used.

    Raises:
        InputError: the path is a file but no video, a folder holds several videos and no
            photographs, or the package that reads RAW files is missing.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() in VIDEO_SUFFIXES:
            return [path]
        if path.suffix.lower() in ARCHIVE_SUFFIXES:
            raise InputError(f"{path} is an archive; unpack it, and name the folder")
        raise InputError(
            f"{path} is no video ({', '.join(VIDEO_SUFFIXES)}); set the subject's photographs to a"
            " video or to a folder of photographs"
        )
    if not path.is_dir() or list_files(path, SUFFIXES, "").files:
        return []
    raws = list(list_files(path, RAW_SUFFIXES, "").files.values())
    if raws:
        if importlib.util.find_spec("rawpy") is None:
            raise InputError(
                f"{path} holds {len(raws)} RAW files, for which the package rawpy is missing; run"
                " `pip install 'headstyle[raw]'`, or develop them to JPEG"
            )
        return raws
    videos = list(list_files(path, VIDEO_SUFFIXES, "").files.values())
    if len(videos) > 1:
        raise InputError(
            f"{path} holds {len(videos)} videos ({videos[0].name}, {videos[1].name}, ...); set the"
            " subject's photographs to one of them"
        )
    return videos


def develop(files: Sequence[str | Path], frames: int, out: Path) -> dict[str, Any]:
    """Write JPEG files of RAW files, or of frames of a video.

    Args:
        files: From `files_to_develop`.
        frames: How many frames of a video.
        out: An empty folder.

    Returns:
        Where each view comes from, for `developed.json`.

    Raises:
        InputError: a file cannot be decoded, or a video has too few frames.
    """
    from headstyle.posing.developing import raw, videos

    paths = [Path(file) for file in files]
    if paths[0].suffix.lower() in VIDEO_SUFFIXES:
        return videos.write_frames(paths[0], frames, out)
    return raw.write_developed(paths, out)
