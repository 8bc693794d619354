"""RealityCapture's (RealityScan's) CSV "Internal/External camera parameters".

By the maker's page on its camera math, and as nerfstudio and Brush read it. f is of a film 36 mm
wide, and px and py are offsets from the center, both counted in the longer side of the image. A
camera's axes in the world are Rz(-heading) Rx(pitch) Ry(roll) for x right, y up, z backward.
Distortion is Brown's with k1 to k4 and OpenCV's tangential terms t1, t2. The poses are of images as
they are stored: the program takes no notice of EXIF's orientation.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import OPENGL_FROM_OPENCV
from headstyle.base.errors import InputError
from headstyle.importers.cameras.base import (
    CameraFormat,
    GivenPose,
    Sizes,
    check_bytes,
    check_names,
    number,
    positive,
    world_to_camera,
)
from headstyle.importers.lenses import brown_lens, brown_terms

FILM_MM = 36.0
"""Width of the film that focal lengths are of."""
_NEEDED = ("name", "x", "y", "alt", "heading", "pitch", "roll", "f")
_RADIAL = ("k1", "k2", "k3", "k4")
_COLUMNS = (*_NEEDED, "px", "py", *_RADIAL, "t1", "t2")


class RealityCapture(CameraFormat):
    """`.csv` with name, position, heading, pitch, roll, focal length and distortion."""

    label = "a .csv of RealityCapture"
    axes = "opengl"
    rank = 1

    def find(self, path: Path) -> Path | None:
        files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        for file in files:
            if file.suffix.lower() == ".csv" and file.is_file():
                with file.open(encoding="utf-8-sig", errors="replace") as opened:
                    start = [opened.readline(4096) for _ in range(2)]
                if any(set(_NEEDED) <= set(_header(line)) for line in start):
                    return file
        return None

    def names(self, place: Path) -> list[str]:
        return [row["name"] for row in _rows(place)]

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        poses = {}
        for row in _rows(place):
            if row["name"] in sizes:
                try:
                    poses[row["name"]] = _pose(row, sizes[row["name"]])
                except ValueError as error:
                    fault = f"is incomplete ({error})"
                    raise InputError(
                        f"{place}: the camera of {row['name']!r}"
                        f" {error if isinstance(error, InputError) else fault}; export it again"
                    ) from None
        return poses

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        with place.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["#name", *_COLUMNS[1:]])
            for name, pose in poses.items():
                writer.writerow([name, *map(repr, _numbers(place, name, pose))])


def _header(line: str) -> list[str]:
    return [word.strip(' "').lstrip("#").lower() for word in line.split(_separator(line))]


def _separator(line: str) -> str:
    """What stands between columns: a comma, or what spreadsheets write instead."""
    return max(",;\t", key=line.count)


def _rows(place: Path) -> list[dict[str, str]]:
    """The cameras, by the columns that the file has: users choose them."""
    check_bytes(place)
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{place} is not a text of UTF-8 ({error}); export it again") from None
    while lines and not set(_NEEDED) <= set(_header(lines[0])):
        del lines[0]  # `#cameras 40` may stand before the header.
    header = _header(lines[0]) if lines else []
    separator = _separator(lines[0]) if lines else ","
    rows = []
    reader = csv.reader(lines[1:], delimiter=separator)
    for number_of_line, values in enumerate(reader, start=1):
        if not values:
            continue
        if len(values) != len(header):
            raise InputError(
                f"{place} has {len(values)} values for {len(header)} columns in its camera"
                f" {number_of_line} ({values[0]!r}); export it again"
            )
        row = dict(zip(header, (value.strip() for value in values), strict=True))
        if separator != ",":  # Where a comma may be the point of decimals.
            row |= {key: row[key].replace(",", ".") for key in set(_COLUMNS[1:]) & set(row)}
        rows.append(row)
    check_names((row["name"] for row in rows), place)
    return rows


def _pose(row: Mapping[str, Any], size: tuple[int, int]) -> GivenPose:
    width, height = size
    longer = max(size)
    focal = positive(row, "f") * longer / FILM_MM
    center = (
        width / 2 + number(row, "px", 0) * longer,
        height / 2 + number(row, "py", 0) * longer,
    )
    radial = tuple(number(row, key, 0) for key in _RADIAL)
    tangential = (number(row, "t1", 0), number(row, "t2", 0))
    lens = brown_lens(size, (focal, focal, *center), radial, tangential)
    matrix = np.eye(4)
    matrix[:3, :3] = _rotation(*(number(row, key) for key in ("heading", "pitch", "roll")))
    matrix[:3, 3] = [number(row, key) for key in ("x", "y", "alt")]
    return GivenPose(lens, world_to_camera(matrix @ OPENGL_FROM_OPENCV))


def _rotation(heading: float, pitch: float, roll: float) -> NDArray[np.float64]:
    (sh, sp, sr), (ch, cp, cr) = (
        turn(np.radians([-heading, pitch, roll])) for turn in (np.sin, np.cos)
    )
    about_z = np.array([[ch, -sh, 0], [sh, ch, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    return np.asarray(about_z @ about_x @ about_y)


def _numbers(place: Path, name: str, pose: GivenPose) -> list[float]:
    """The row of a camera behind its name."""
    terms = brown_terms(pose.lens)
    if terms is None or terms[0][0] != terms[0][1]:
        raise InputError(
            f"{place} holds lenses by Brown's model with one focal length only, but {name!r} has"
            f" another lens ({pose.lens.model}); write another format"
        )
    (focal, _, *center), radial, tangential = terms
    longer = max(pose.lens.width, pose.lens.height)
    offsets = np.subtract(center, (pose.lens.width / 2, pose.lens.height / 2)) / longer
    matrix = np.linalg.inv(pose.world_to_camera) @ OPENGL_FROM_OPENCV
    heading = np.arctan2(matrix[0, 1], matrix[1, 1])
    pitch = np.arcsin(np.clip(matrix[2, 1], -1, 1))
    roll = np.arctan2(-matrix[2, 0], matrix[2, 2])
    angles = np.degrees([heading, pitch, roll])
    values = [*matrix[:3, 3], *angles, focal * FILM_MM / longer, *offsets, *radial, 0, *tangential]
    return [float(value) for value in values]
