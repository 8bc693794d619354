"""The one reader of the users' images: photographs, renders and masks, as upright 8-bit sRGB.

Pillow decodes; HEIC and HEIF come through pillow-heif. EXIF's orientation is applied, an embedded
color profile is converted to sRGB, 16 bits become 8, and gray, palette and CMYK become RGB.
"""

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, ImageCms, UnidentifiedImageError
from PIL import Image as PillowImage
from PIL.TiffImagePlugin import TiffImageFile

from headstyle.base.errors import InputError, first_line
from headstyle.base.images import RgbaImage

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".webp", ".bmp"),
    *(".heic", ".heif", ".hif", ".avif"),
)
"""File suffixes of images that are read, in lower case."""
SAME_COLOR = 2
"""A profile that moves no color by more than this, of 255, is taken for sRGB."""

# These files hold previews or other shots behind the first image, which is the photograph.
_MANY_IMAGES_ALLOWED = {"MPO", "HEIF"}
_REDUCED_RESOLUTION = 1
_TIFF_SUBFILE_TYPE, _TIFF_BITS = 254, 258
# What Pillow's decoders raise on broken files.
_DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError),
    *(TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError),
)
_CONVERTED_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Use:
    """What an image is read for, as errors say it."""

    failure: str
    """Follows the path of a file that cannot be decoded."""
    move: str
    """What to do about it."""
    may_be_float: bool = False
    """Whether floating-point numbers are read."""


IMAGE = Use("cannot be read as an image", "replace it")


@dataclass(frozen=True)
class Picture:
    """An upright image."""

    rgb: NDArray[np.uint8]
    """sRGB. Shape `(H, W, 3)`."""
    alpha: NDArray[np.uint8] | None
    """Straight alpha `(H, W)`; None where the file has none."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [px]."""
        return self.rgb.shape[1], self.rgb.shape[0]

    @property
    def shown_alpha(self) -> NDArray[np.uint8] | None:
        """The alpha, but None where it is opaque everywhere: then it tells nothing."""
        return None if self.alpha is None or self.alpha.min() == 255 else self.alpha

    def rgba(self) -> RgbaImage:
        """The image with alpha, in [0, 1]; alpha is 1 where the file has none."""
        alpha = np.full(self.rgb.shape[:2], 255, np.uint8) if self.alpha is None else self.alpha
        return np.dstack([self.rgb, alpha]).astype(np.float32) / np.float32(255)


def read_picture(path: str | Path, use: Use = IMAGE) -> Picture:
    """Decode an image, turn it upright and bring it to 8-bit sRGB.

    Args:
        path: A file with one of `SUFFIXES`; what it holds decides, not its name.
        use: What errors say.

    Raises:
        InputError: the file is missing, is not an image, is truncated, is too large for Pillow, is
            animated or has several pages, or holds floating-point numbers.
    """
    with opened_image(path, use) as image:
        image.load()
        orientation = exif_orientation(image)
        rgb, alpha = _to_srgb(image, str(path))
    return Picture(
        turn_upright(rgb, orientation),
        None if alpha is None else turn_upright(alpha, orientation),
    )


@contextmanager
def opened_image(path: str | Path, use: Use = IMAGE) -> Iterator[PillowImage.Image]:
    """An image's open file, not yet decoded. Pillow's errors become an InputError.

    Raises:
        InputError: as `read_picture`.
    """
    _prepare_pillow()
    try:
        with PillowImage.open(path) as image:
            fault = _fault(image, use)
            if fault:
                raise InputError(f"{path} {fault}")
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; correct the path") from None
    except PillowImage.DecompressionBombError as error:
        raise InputError(_too_large(path, error)) from None
    except _DECODER_ERRORS as error:
        reason = first_line(error)
        if isinstance(error, UnidentifiedImageError):
            reason = "not an image of a known format"
        raise InputError(f"{path} {use.failure} ({reason}); {use.move}") from None


def exif_orientation(image: PillowImage.Image) -> int:
    """EXIF orientation of the stored pixels, 1 to 8; 1, upright, where EXIF does not tell."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored pixels `(H, W, ...)` as an image with this EXIF orientation is turned."""
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    turned = turned[::-1] if flip_rows else turned
    return np.ascontiguousarray(turned[:, ::-1] if flip_columns else turned)


def has_alpha(image: PillowImage.Image) -> bool:
    """Whether an opened image has transparency of any kind."""
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


@cache
def _prepare_pillow() -> None:
    """Teach Pillow, once, to open HEIC and HEIF and to open large photographs in silence."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    # It warns from 89 megapixels on, which phones have, and stops at twice as many.
    warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)


def _fault(image: PillowImage.Image, use: Use) -> str | None:
    """What keeps an opened image from being used, with the next move."""
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format not in _MANY_IMAGES_ALLOWED and not _only_previews_follow(image):
        return f"is animated or has several pages ({pages}); save one frame as an image of its own"
    if image.mode == "F" and use.may_be_float:
        return None
    if image.mode not in (*_CONVERTED_MODES, *_DEEP_MODES):
        held = "floating-point numbers" if image.mode == "F" else f"colors as {image.mode}"
        return f"holds {held}, not an image in RGB; save it as 8-bit RGB"
    return None


def _only_previews_follow(image: PillowImage.Image) -> bool:
    """Whether all pages of a TIFF after the first are smaller copies of it."""
    if not isinstance(image, TiffImageFile):
        return False
    kinds = []
    for page in range(1, image.n_frames):
        image.seek(page)
        kinds.append(int(image.tag_v2.get(_TIFF_SUBFILE_TYPE, 0)) & _REDUCED_RESOLUTION)
    image.seek(0)
    return all(kinds)


def _too_large(path: str | Path, error: PillowImage.DecompressionBombError) -> str:
    found = re.search(r"\((\d+) pixels\)", str(error))
    size = f"has {int(found[1]) / 1e6:.0f} megapixels" if found else "has too many pixels"
    most = 2 * (PillowImage.MAX_IMAGE_PIXELS or 0) / 1e6
    return f"{path} {size}, more than the {most:.0f} that are read; save a smaller copy of it"


def _to_srgb(
    image: PillowImage.Image, path: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Stored pixels of a decoded image: RGB `(H, W, 3)` and alpha `(H, W)` or None."""
    profile = image.info.get("icc_profile")
    alpha = None
    if image.mode in _DEEP_MODES:
        image = PillowImage.fromarray(_to_8_bits(np.asarray(image), path))
    elif has_alpha(image):
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.convert("RGB")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if profile:
        image = _converted(image, profile)
    return np.array(image.convert("RGB")), alpha


def _to_8_bits(values: NDArray[Any], path: str) -> NDArray[np.uint8]:
    """16-bit gray as 8-bit gray."""
    if values.min() < 0 or values.max() > 65535:
        raise InputError(f"{path} has more than 16 bits per channel; save it with 8 or 16")
    return np.rint(values.astype(np.float64) / 257).astype(np.uint8)


def _converted(image: PillowImage.Image, profile: bytes) -> PillowImage.Image:
    """An RGB, gray or CMYK image in sRGB. A profile that cannot be used changes nothing."""
    for candidate in dict.fromkeys((image.mode, "RGB")):
        try:
            transform = _transform(profile, candidate)
        except (ImageCms.PyCMSError, OSError, ValueError):
            continue  # A profile for RGB in a gray image, say.
        source = image if image.mode == candidate else image.convert(candidate)
        return source if transform is None else transform.apply(source)
    return image


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion from a profile to sRGB; None where it would change nothing to speak of."""
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        # Without a cache, threads can share the transform.
        flags=ImageCms.Flags.NOCACHE | ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "CMYK":
        return transform
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    sample = PillowImage.fromarray(colors if mode == "RGB" else colors[..., 0])
    moved = np.asarray(transform.apply(sample), np.int16) - np.asarray(sample.convert("RGB"))
    return None if np.abs(moved).max() <= SAME_COLOR else transform
