"""The files of COLMAP models: where they are, whether they are whole, and pycolmap's reading."""

import logging
import math
import mmap
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError, first_line
from headstyle.importers.lenses import load_pycolmap

logger = logging.getLogger("headstyle")

PLACES = (
    *(".", "0", "sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse"),
    *("dense/sparse", "dense/0/sparse", "dense/sparse/0"),
)
"""Where a model may lie below a folder, the first that is there."""

_SUFFIXES = ("bin", "txt")
_FILES = ("cameras", "images", "points3D", "rigs", "frames")
# Bytes: before the parts of an entry whose number varies, and of these parts.
_CAMERA_HEAD, _PARAMETER = 24, 8
_IMAGE_HEAD, _FEATURE = 64, 24
_POINT_HEAD, _TRACK_ELEMENT = 43, 8
_FRAME_HEAD, _DATA_ID = 64, 16
_SENSOR, _SENSOR_POSE = 8, 56


def find_model(folder: Path) -> Path | None:
    """The folder of the model at or below a folder; of the models 0, 1, ... the largest."""
    for place in PLACES:
        candidate = folder / place
        if _has_model(candidate):
            if place == ".":
                return folder
            return _largest_beside(candidate) if candidate.name == "0" else candidate
    return None


def _has_model(folder: Path) -> bool:
    return any((folder / f"cameras.{suffix}").is_file() for suffix in _SUFFIXES)


@cache  # So that it is told once.
def _largest_beside(first: Path) -> Path:
    """The largest of the models that COLMAP numbers, as it does where photographs fall apart."""
    numbered = [path for path in first.parent.iterdir() if path.name.isdigit() and _has_model(path)]
    sizes = {
        path: max((f.stat().st_size for f in path.glob("images.*")), default=0) for path in numbered
    }
    largest = max(sorted(sizes, key=lambda path: int(path.name)), key=sizes.__getitem__)
    if len(numbered) > 1:
        logger.warning(
            "%s holds %d models; the largest is taken, %s, as their worlds differ",
            *(first.parent, len(numbered), largest.name),
        )
    return largest


def open_model(folder: str | Path) -> tuple[Any, dict[int, str]]:
    """Read a model, binary or text, with or without points.

    Args:
        folder: A folder at or below which the model lies (see `PLACES`).

    Returns:
        pycolmap's reconstruction, and each image's name by its number: pycolmap cuts names at
        spaces.

    Raises:
        InputError: there is no model, or a file of it is missing, truncated or damaged.
    """
    place = find_model(Path(folder))
    if place is None:
        raise InputError(
            f"{folder} holds no COLMAP model (cameras, images, points3D as .bin or .txt)"
        )
    suffix = next(s for s in _SUFFIXES if (place / f"cameras.{s}").is_file())
    if not (place / f"images.{suffix}").is_file():
        raise InputError(
            f"{place} has cameras.{suffix} but no images.{suffix}; export the whole COLMAP model"
        )
    if suffix == "bin":
        _check_sizes(place)
    try:
        with _whole_copy(place, suffix) as whole:
            model = load_pycolmap().Reconstruction(whole)
    except Exception as error:
        raise InputError(
            f"{place} cannot be read as a COLMAP model ({first_line(error)}); export it again"
        ) from None
    try:
        names = {number: image.name for number, image in model.images.items()}
        return model, names if suffix == "bin" else names | _text_names(place / "images.txt")
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{place} has an image without a name or with one that is not UTF-8"
            f" ({first_line(error)}); export it again"
        ) from None


@contextmanager
def _whole_copy(place: Path, suffix: str) -> Iterator[Path]:
    """The model's folder, or a copy of it in which nothing is left out that pycolmap relies on.

    Writers leave out points3D, or the lines of features in images.txt: then pycolmap would take
    every second image for the features of the first.
    """
    images = _image_lines(place / "images.txt") if suffix == "txt" else []
    if (place / f"points3D.{suffix}").is_file() and all(f is not None for _, f in images):
        yield place
        return
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for part in _FILES:
            if (place / f"{part}.{suffix}").is_file():
                shutil.copy(place / f"{part}.{suffix}", copy)
        if not (place / f"points3D.{suffix}").is_file():
            (copy / f"points3D.{suffix}").write_bytes(bytes(8) if suffix == "bin" else b"")
        if images:
            text = "".join(f"{image}\n{features or ''}\n" for image, features in images)
            (copy / "images.txt").write_text(text, encoding="utf-8", errors="surrogateescape")
        yield copy


def _image_lines(path: Path) -> list[tuple[str, str | None]]:
    """The line of each image in images.txt, and that of its features, None where there is none."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    lines = [line.strip() for line in lines if not line.startswith("#")]
    found: list[tuple[str, str | None]] = []
    waiting: str | None = None
    # What follows the last newline is no line.
    for line in lines if lines and lines[-1] else lines[:-1]:
        if waiting is not None:
            has_features = not line or _are_features(line)
            found.append((waiting, line if has_features else None))
            waiting = None if has_features else line
        elif line:
            waiting = line
    return found if waiting is None else [*found, (waiting, None)]


def _are_features(line: str) -> bool:
    """Whether a line holds triples of numbers, as an image's line with its name does not."""
    fields = line.split()
    try:
        return len(fields) % 3 == 0 and all(math.isfinite(float(field)) for field in fields)
    except ValueError:
        return False


def _text_names(path: Path) -> dict[int, str]:
    """Each image's whole name by its number, from images.txt."""
    names = {}
    for image, _ in _image_lines(path):
        # Number, pose and camera, then the name to the end of the line.
        fields = image.split(maxsplit=9)
        names[int(fields[0])] = fields[9]
    return names


def _check_sizes(place: Path) -> None:
    """Raise an InputError where a binary file is shorter than it says.

    pycolmap believes what a file says, and takes all memory for a truncated one.
    """
    for part in _FILES:
        path = place / f"{part}.bin"
        if not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                if path.stat().st_size < 8:
                    raise struct.error
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                with content:
                    _walk(content, _ENDS[part])
        except InputError as error:
            raise InputError(f"{path} is damaged: {error}; export the COLMAP model again") from None
        except struct.error:
            raise InputError(
                f"{path} is truncated ({path.stat().st_size} bytes are too few for what it says"
                " that it holds); copy or export the COLMAP model again"
            ) from None


def _walk(content: mmap.mmap, end_of: Callable[[mmap.mmap, int], int]) -> None:
    """Go through all entries of a file; raise struct.error where it ends too early."""
    (count,) = struct.unpack_from("<Q", content, 0)
    place = 8
    for _ in range(count):
        place = end_of(content, place)
        if place > len(content):
            raise struct.error


def _camera_end(content: mmap.mmap, place: int) -> int:
    (model,) = struct.unpack_from("<i", content, place + 4)
    pycolmap = load_pycolmap()
    try:
        kind = pycolmap.CameraModelId(model)
        count = len(pycolmap.Camera.create_from_model_id(1, kind, 1.0, 1, 1).params)
    except Exception:
        raise InputError(f"it has a camera of the model number {model}, which is unknown") from None
    return place + _CAMERA_HEAD + count * _PARAMETER


def _image_end(content: mmap.mmap, place: int) -> int:
    name_end = content.find(b"\0", place + _IMAGE_HEAD)
    if name_end < 0:
        raise struct.error
    (features,) = struct.unpack_from("<Q", content, name_end + 1)
    return name_end + 9 + features * _FEATURE


def _point_end(content: mmap.mmap, place: int) -> int:
    (elements,) = struct.unpack_from("<Q", content, place + _POINT_HEAD)
    return place + _POINT_HEAD + 8 + elements * _TRACK_ELEMENT


def _frame_end(content: mmap.mmap, place: int) -> int:
    (count,) = struct.unpack_from("<I", content, place + _FRAME_HEAD)
    return place + _FRAME_HEAD + 4 + count * _DATA_ID


def _rig_end(content: mmap.mmap, place: int) -> int:
    (sensors,) = struct.unpack_from("<I", content, place + 4)
    place += 8 + (_SENSOR if sensors else 0)
    for _ in range(sensors - 1):
        (has_pose,) = struct.unpack_from("<B", content, place + _SENSOR)
        place += _SENSOR + 1 + (_SENSOR_POSE if has_pose else 0)
    return place


_ENDS = {
    "cameras": _camera_end,
    "images": _image_end,
    "points3D": _point_end,
    "frames": _frame_end,
    "rigs": _rig_end,
}
