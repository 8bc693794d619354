"""RAW files developed to JPEG by LibRaw, with the camera's white balance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import ExifTags
from PIL import Image as PillowImage

from headstyle.base.errors import InputError, first_line
from headstyle.base.progress import progress
from headstyle.importers.images import SUFFIXES
from headstyle.importers.listing import RAW_SUFFIXES, place_of, safe_name

JPEG_QUALITY = 97


def write_developed(paths: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write each RAW file as JPEG, upright, with the EXIF that tells its focal length.

    All are brightened alike: each by the exposure that its camera chose, none by its content.

    Args:
        paths: The files.
        out: An existing folder.

    Returns:
        The RAW file of each view.

    Raises:
        InputError: a file cannot be decoded.
    """
    views: dict[str, Any] = {}
    for path in progress(list(paths), "RAW files"):
        name = safe_name(place_of(path.name, (*RAW_SUFFIXES, *SUFFIXES)))
        if name in views:
            name = f"{name}-{len(views)}"
        picture = PillowImage.fromarray(_developed(path))
        picture.save(
            out / f"{name}.jpg", quality=JPEG_QUALITY, subsampling=0, exif=_exif(path).tobytes()
        )
        views[name] = {"raw": str(path)}
    return {"views": views}


def _developed(path: Path) -> Any:
    """8-bit sRGB `(H, W, 3)`, turned upright."""
    import rawpy

    try:
        with rawpy.imread(str(path)) as raw:
            return raw.postprocess(
                use_camera_wb=True,
                no_auto_bright=True,
                output_color=rawpy.ColorSpace.sRGB,
                output_bps=8,
            )
    except (rawpy.LibRawError, OSError) as error:
        raise InputError(
            f"{path} cannot be developed ({_reason(error)}); develop it to JPEG with the camera's"
            " program"
        ) from None


def _reason(error: BaseException) -> str:
    text = error.args[0] if error.args else first_line(error)
    return text.decode() if isinstance(text, bytes) else str(text)


def _exif(path: Path) -> PillowImage.Exif:
    """The EXIF of a RAW file as far as Pillow reads it: most of them are TIFF inside."""
    kept = PillowImage.Exif()
    try:
        with PillowImage.open(path) as image:
            found = image.getexif()
            details = found.get_ifd(ExifTags.IFD.Exif)
    except (OSError, SyntaxError, ValueError):
        return kept
    for tag in (ExifTags.Base.Make, ExifTags.Base.Model):
        if tag in found:
            kept[tag] = found[tag]
    wanted = (
        *(ExifTags.Base.FocalLength, ExifTags.Base.FocalLengthIn35mmFilm),
        *(ExifTags.Base.ExposureTime, ExifTags.Base.FNumber, ExifTags.Base.ISOSpeedRatings),
    )
    kept_details = kept.get_ifd(ExifTags.IFD.Exif)
    kept_details.update({tag: details[tag] for tag in wanted if tag in details})
    return kept
