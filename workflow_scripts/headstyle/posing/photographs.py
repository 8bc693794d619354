"""Photographs as people bring them: listed, selected, and read upright as 8-bit RGB.

A view is one photograph and carries its file stem as name.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, ImageFile, ImageOps, UnidentifiedImageError
from PIL import Image as PillowImage
from PIL.TiffImagePlugin import TiffImageFile

from headstyle.base.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
"""File suffixes of photographs, compared without regard to case."""
MIN_SIDE_PX = 48
"""A photograph with a shorter side shows no head that features could be found on."""

_VIEW_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_DIAGONAL_35MM_MM = 43.27
_MM_PER_RESOLUTION_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_PLAUSIBLE_SENSOR_MM = (2.0, 120.0)
# Phones write a preview after the photograph into the same file; the first frame is the photograph.
_FORMATS_WITH_PREVIEWS = {"MPO"}
# What Pillow's decoders raise on broken files.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    PillowImage.DecompressionBombError,
)


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

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the stored pixels, before EXIF rotation."""
        swapped = self.exif_orientation >= 5
        return (self.height, self.width) if swapped else (self.width, self.height)


def list_photographs(folder: str | Path) -> dict[str, Path]:
    """The photographs of a folder by view name, sorted by name; only names are looked at.

    Hidden files, sidecar files and folders are skipped.

    Raises:
        InputError: the folder is missing or holds fewer than two photographs, two photographs
            share a stem, a stem has other characters than A-Z a-z 0-9 . _ -, or a link is broken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; set the subject's photographs to one")
    photographs: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or path.is_dir():
            continue
        if not path.exists():
            raise InputError(f"{path} is a broken link; fetch the file or remove the link")
        if not _VIEW_NAME.fullmatch(path.stem):
            raise InputError(
                f"{str(path)!r} cannot name a view; rename it to letters, digits, '.', '_' and '-'"
                " only (A-Z a-z 0-9 . _ -, not starting with '.' or '-')"
            )
        if path.stem in photographs:
            other = photographs[path.stem].name
            raise InputError(f"{path} and {other} have the same stem; rename or remove one of them")
        photographs[path.stem] = path
    if len(photographs) < 2:
        names = ", ".join(path.name for path in photographs.values())
        raise InputError(
            f"{folder} holds {f'only one photograph ({names})' if names else 'no photographs'};"
            f" put two or more photographs ({', '.join(SUFFIXES)}) into it"
        )
    return dict(sorted(photographs.items()))


def select_photographs(
    photographs: dict[str, Path], orientation: str = "any", max_views: int | None = None
) -> dict[str, Path]:
    """The photographs of one orientation, thinned to `max_views` evenly spaced in name order.

    Args:
        photographs: Paths by view name.
        orientation: `any`, `portrait` or `landscape`, after EXIF rotation; a square is both.
        max_views: Largest number of views, or None for all.

    Raises:
        InputError: fewer than two photographs are left.
    """
    names = sorted(photographs)
    if orientation != "any":
        infos = {name: read_info(photographs[name]) for name in names}
        sign = {"portrait": 1, "landscape": -1}[orientation]
        names = [name for name in names if sign * (infos[name].height - infos[name].width) >= 0]
    if max_views is not None and len(names) > max_views:
        chosen = np.rint(np.linspace(0, len(names) - 1, max_views)).astype(int)
        names = [names[i] for i in chosen]
    if len(names) < 2:
        folder = next(iter(photographs.values())).parent
        raise InputError(
            f"{len(names)} of {len(photographs)} photographs in {folder} are left after selection;"
            " change photographs.orientation or photographs.max_views"
        )
    return {name: photographs[name] for name in names}


def read_info(path: str | Path) -> PhotographInfo:
    """Read a photograph's header.

    Raises:
        InputError: as `read_photograph`, but for what only decoding finds.
    """
    with _opened(path) as image:
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        orientation = orientation if orientation in range(1, 9) else 1
        width, height = image.size
        focal_px = _focal_px(exif, width, height)
    if orientation >= 5:
        width, height = height, width
    return PhotographInfo(width, height, orientation, focal_px)


def read_photograph(path: str | Path) -> NDArray[np.uint8]:
    """Decode a photograph and turn it upright. Returns RGB, shape `(H, W, 3)`.

    Raises:
        InputError: the file is missing, is not an image or is truncated, is animated, is not
            8-bit RGB (grayscale, palette, CMYK, 16-bit, transparent), or is absurdly small.
    """
    with _opened(path) as image:
        image.load()
        if image.mode == "RGBA" and np.asarray(image.getchannel("A")).min() < 255:
            raise InputError(
                f"{path} has transparent pixels; save it without alpha and give the alpha as a mask"
            )
        upright = ImageOps.exif_transpose(image)
        return np.array(upright.convert("RGB"))


def turn_upright(pixels: NDArray[Any], exif_orientation: int) -> NDArray[Any]:
    """Turn stored pixels `(H, W, ...)` as a photograph with this EXIF orientation is turned."""
    turned = pixels.swapaxes(0, 1) if exif_orientation >= 5 else pixels
    flip_rows = exif_orientation in (3, 4, 7, 8)
    flip_columns = exif_orientation in (2, 3, 6, 7)
    turned = turned[::-1] if flip_rows else turned
    return np.ascontiguousarray(turned[:, ::-1] if flip_columns else turned)


@contextmanager
def _opened(path: str | Path) -> Iterator[ImageFile.ImageFile]:
    """A photograph's open file, checked to be 8-bit RGB; Pillow's errors become an InputError."""
    try:
        with PillowImage.open(path) as image:
            fault = _fault(image)
            if fault:
                raise InputError(f"{path} {fault}")
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the subject's photographs") from None
    except _DECODER_ERRORS as error:
        reason = str(error).replace("\n", " ") or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "not an image of a known format"
        raise InputError(
            f"{path} cannot be decoded ({reason}); replace it with an intact photograph or"
            " remove it"
        ) from None


def _fault(image: ImageFile.ImageFile) -> str | None:
    """What keeps an opened image from being used as a photograph, with the next move."""
    convert = "convert it to 8-bit RGB"
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format not in _FORMATS_WITH_PREVIEWS:
        return f"is animated or has several pages ({frames}); save one frame as a photograph"
    if _bits_per_channel(image) > 8:
        return f"has more than 8 bits per channel; {convert}"
    if image.mode not in ("RGB", "RGBA"):
        names = {"1": "black-and-white", "L": "grayscale", "LA": "grayscale", "P": "palette-based"}
        return f"is {names.get(image.mode, image.mode)}, not RGB; {convert}"
    if min(image.size) < MIN_SIDE_PX:
        width, height = image.size
        return f"is only {width}x{height} px; use photographs of at least {MIN_SIDE_PX} px a side"
    return None


def _bits_per_channel(image: ImageFile.ImageFile) -> int:
    """Bits per channel in the file: Pillow opens 16-bit RGB as if it were 8-bit."""
    if image.mode.startswith(("I", "F")):
        return 16
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(258, (8,))))
    # The raw mode of a tile tells the depth of PNG's pixels ("RGB;16B").
    return 16 if any(";16" in str(tile[3]) for tile in image.tile) else 8


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
