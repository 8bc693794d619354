"""Photographs as people bring them: listed, selected, and read upright as 8-bit RGB.

A view is one photograph; `headstyle.importers.listing` tells how it is called.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PillowImage

from headstyle.base.errors import InputError
from headstyle.importers.images import (
    SUFFIXES,
    Picture,
    Use,
    exif_orientation,
    has_alpha,
    opened_image,
    read_picture,
)
from headstyle.importers.listing import Listing, list_files

MIN_SIDE_PX = 48
"""A photograph with a shorter side shows no head that features could be found on."""

_DIAGONAL_35MM_MM = 43.27
_MM_PER_RESOLUTION_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_PLAUSIBLE_SENSOR_MM = (2.0, 120.0)
_PHOTOGRAPH = Use("cannot be decoded", "replace it with an intact photograph or remove it")


@dataclass(frozen=True)
class PhotographInfo:
    """What a photograph's header says."""

    width: int
    """Width after EXIF rotation [px]."""
    height: int
    """Height after EXIF rotation [px]."""
    exif_orientation: int
    """EXIF orientation of the stored pixels, 1 to 8; 1 is upright."""
    focal_px: float | None
    """Focal length from EXIF [px of the full photograph], or None where EXIF does not tell."""
    with_alpha: bool = False
    """Whether the file has an alpha channel or a transparent color."""

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the stored pixels, before EXIF rotation."""
        swapped = self.exif_orientation >= 5
        return (self.height, self.width) if swapped else (self.width, self.height)


def list_photographs(folder: str | Path) -> dict[str, Path]:
    """The photographs of a folder by view name, as `find_photographs` finds them."""
    return find_photographs(folder).files


def find_photographs(folder: str | Path) -> Listing:
    """The photographs of a folder, and what it holds besides; only names are looked at.

    Raises:
        InputError: the folder is missing or holds fewer than two photographs, two photographs
            differ by their suffix only, a name has control characters, or a link is broken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; set the subject's photographs to one")
    listing = list_files(folder, SUFFIXES, "")
    if len(listing.files) < 2:
        names = ", ".join(path.name for path in listing.files.values())
        besides = f", but {', '.join(listing.left_out)}" if listing.left_out else ""
        raise InputError(
            f"{folder} holds {f'only one photograph ({names})' if names else 'no photographs'}"
            f"{besides}; put two or more photographs ({', '.join(SUFFIXES)}) into it"
        )
    return listing


def select_photographs(photographs: dict[str, Path], orientation: str = "any") -> dict[str, Path]:
    """The photographs of one orientation.

    Args:
        photographs: Paths by view name.
        orientation: `any`, `portrait` or `landscape`, after EXIF rotation; a square is both.

    Raises:
        InputError: fewer than two photographs are left.
    """
    names = sorted(photographs)
    if orientation != "any":
        infos = {name: read_info(photographs[name]) for name in names}
        sign = {"portrait": 1, "landscape": -1}[orientation]
        names = [name for name in names if sign * (infos[name].height - infos[name].width) >= 0]
    if len(names) < 2:
        folder = next(iter(photographs.values())).parent
        raise InputError(
            f"{len(names)} of {len(photographs)} photographs in {folder} are left after selection;"
            " change photographs.orientation"
        )
    return {name: photographs[name] for name in names}


def check_enough_left(
    failed: Mapping[str, InputError], total: int, go_on: float | None, min_views: int
) -> None:
    """Check that a run may go on without the photographs that cannot be used.

    Args:
        failed: Why each of them cannot be used.
        total: Number of all photographs.
        go_on: Fraction of all that is enough; None asks for all.
        min_views: Number that is needed besides.

    Raises:
        InputError: too few are left; the first of `failed`.
    """
    left = total - len(failed)
    if failed and (go_on is None or left < max(min_views, go_on * total - 1e-9)):
        raise failed[min(failed)]


def read_info(path: str | Path) -> PhotographInfo:
    """Read a photograph's header.

    Raises:
        InputError: as `read_photograph`, but for what only decoding finds.
    """
    with _opened(path) as image:
        orientation = exif_orientation(image)
        width, height = image.size
        focal_px = _focal_px(image.getexif(), width, height)
        with_alpha = has_alpha(image)
    if orientation >= 5:
        width, height = height, width
    return PhotographInfo(width, height, orientation, focal_px, with_alpha)


def unreadable(photographs: Mapping[str, Path]) -> dict[str, InputError]:
    """Why the headers of some photographs cannot be read, by view."""
    errors = {}
    for view, path in photographs.items():
        try:
            read_info(path)
        except InputError as error:
            errors[view] = error
    return errors


def read_photograph(path: str | Path) -> NDArray[np.uint8]:
    """Decode a photograph as upright sRGB, whatever its alpha. Shape `(H, W, 3)`.

    Raises:
        InputError: the file is missing, is not an image or is truncated, is animated or has
            several pages, or shows too few or too many pixels.
    """
    return read_photograph_with_alpha(path).rgb


def read_photograph_with_alpha(path: str | Path) -> Picture:
    """Decode a photograph with its alpha. Raises as `read_photograph`."""
    with _opened(path):
        pass  # Its header is in order.
    return read_picture(path, _PHOTOGRAPH)


@contextmanager
def _opened(path: str | Path) -> Iterator[PillowImage.Image]:
    """A photograph's open file, checked to be large enough to show a head."""
    with opened_image(path, _PHOTOGRAPH) as image:
        width, height = image.size
        if min(width, height) < MIN_SIDE_PX:
            raise InputError(
                f"{path} is only {width}x{height} px; use photographs of at least"
                f" {MIN_SIDE_PX} px a side"
            )
        yield image


def _focal_px(exif: PillowImage.Exif, width: int, height: int) -> float | None:
    """Focal length [px of the stored image] from EXIF, or None.

    The focal plane's resolution is exact; the 35 mm equivalent is rounded to whole millimetres and
    compares diagonals (CIPA DC-008).
    """
    details = exif.get_ifd(ExifTags.IFD.Exif)
    focal_mm = _positive(details.get(ExifTags.Base.FocalLength))
    resolution = _positive(details.get(ExifTags.Base.FocalPlaneXResolution))
    unit_mm = _MM_PER_RESOLUTION_UNIT.get(details.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
    if focal_mm and resolution and unit_mm:
        # The resolution counts the sensor's pixels, of which a downscaled copy has fewer.
        sensor_px = max(
            _positive(details.get(ExifTags.Base.ExifImageWidth)) or width,
            _positive(details.get(ExifTags.Base.ExifImageHeight)) or height,
        )
        sensor_mm = sensor_px * unit_mm / resolution
        if _PLAUSIBLE_SENSOR_MM[0] <= sensor_mm <= _PLAUSIBLE_SENSOR_MM[1]:
            return focal_mm / sensor_mm * max(width, height)
    equivalent_mm = _positive(details.get(ExifTags.Base.FocalLengthIn35mmFilm))
    if equivalent_mm:
        return equivalent_mm / _DIAGONAL_35MM_MM * float(np.hypot(width, height))
    return None


def _positive(value: object) -> float | None:
    """An EXIF number as float, or None where it is missing, zero or not a number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if np.isfinite(number) and number > 0 else None
