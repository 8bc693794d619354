"""Formats of cameras, one module each, found by looking into this folder.

In comes a path that the user gives, out come lenses and poses by the images' names. To add a
format, write `headstyle/importers/cameras/NAME.py` with a subclass of `CameraFormat`; nothing else
changes.
"""

import importlib
import pkgutil
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.importers.cameras.base import CameraFormat, Companions, GivenPose

__all__ = [
    "CameraFormat",
    "Companions",
    "GivenPose",
    "camera_formats",
    "companions_of",
    "find_cameras",
    "images_of_cameras",
    "readable_companions",
]


def camera_formats() -> list[CameraFormat]:
    """One object per format, in the order in which they are asked."""
    formats = []
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        formats += [
            kind()
            for kind in vars(module).values()
            if isinstance(kind, type)
            and issubclass(kind, CameraFormat)
            and kind is not CameraFormat
            and kind.__module__ == module.__name__
        ]
    return sorted(formats, key=lambda kind: (kind.rank, kind.label))


def images_of_cameras(folder: Path) -> list[Path]:
    """The images that the cameras of a data set's folder are of.

    Returns:
        Their paths; none where the folder holds no cameras, or where all images below it count.
    """
    for kind in camera_formats():
        place = kind.find(folder) if type(kind).images is not CameraFormat.images else None
        if place is not None:
            return kind.images(place)
    return []


def find_cameras(path: str | Path) -> tuple[CameraFormat, Path]:
    """The format of a file or folder of cameras, and the place that it means.

    Raises:
        InputError: the path does not exist, or no format knows it.
    """
    path = Path(path)
    labels = ", ".join(kind.label for kind in camera_formats())
    if not path.exists():
        raise InputError(f"{path} does not exist; name cameras in one of these formats: {labels}")
    for kind in camera_formats():
        place = kind.find(path)
        if place is not None:
            return kind, place
    if path.is_dir():
        raise InputError(
            f"{path} holds no COLMAP model (cameras, images, points3D as .bin or .txt) and no other"
            f" cameras that are known ({labels}); name the folder or file that does"
        )
    raise InputError(f"{path} is in no format of cameras that is known ({labels}); export it again")


def companions_of(path: str | Path | None) -> Companions:
    """What comes with the cameras at a path; nothing where there is no path.

    Raises:
        InputError: the cameras cannot be read.
    """
    if not path:
        return Companions()
    kind, place = find_cameras(path)
    return kind.companions(place)


def readable_companions(path: str | Path | None) -> Companions:
    """As `companions_of`, but nothing where the cameras cannot be read: who needs them tells."""
    try:
        return companions_of(path)
    except InputError:
        return Companions()
