"""The one reader of depth maps: .npy, .npz, .npy.gz, .exr, .tiff, .pfm and 16-bit .png."""

import gzip
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from headstyle.base.errors import InputError, first_line

Depth = NDArray[np.float32]
"""z in the camera in world units, 0 where there is no surface. Shape `(H, W)`."""
DEPTH_SUFFIXES = (".npy", ".npz", ".npy.gz", ".exr", ".tif", ".tiff", ".pfm", ".png")
DEPTH_KEYS = ("median", "depth", "z")
"""Arrays of an .npz and channels of an .exr that are taken for depth, the first that is there."""
FARTHEST = 65504.0
"""Half precision's largest number; renderers write it, 1e10 or infinity where there is nothing."""
MOST_PIXELS = 200_000_000

_DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, BadZipFile, KeyError),
    *(AttributeError, RuntimeError, MemoryError, zlib.error, OverflowError, TypeError),
    # NumPy tokenizes the header of a damaged .npy.
    *(PillowImage.DecompressionBombError, TokenError),
)


def read_depths(paths: Sequence[Path], scale: float | None, scale_key: str) -> list[Depth]:
    """Depth maps of several views; the arguments are as in `read_depth`.

    Raises:
        InputError: as `read_depth`, or a map has no depth anywhere.
    """
    depths = []
    for path in paths:
        depth = read_depth(path, scale, scale_key)
        if not depth.any():
            raise InputError(f"{path} has no depth anywhere; write it again")
        depths.append(depth)
    return depths


def read_depth(path: Path, scale: float | None = None, scale_key: str = "depth_scale") -> Depth:
    """Read one depth map.

    Args:
        path: The file; .npz and .exr may hold several arrays, of which that named in `DEPTH_KEYS`
            is read, or the only one.
        scale: World units per unit of the file; by default 1, but whole numbers need it.
        scale_key: What the scale is called in messages.

    Returns:
        float32; 0 where the file holds nothing, NaN, infinity or a value that stands for far.

    Raises:
        InputError: the file cannot be read, is no map of numbers, or lacks its scale.
    """
    try:
        values = _reader(path)(path)
    except InputError:
        raise
    except _DECODER_ERRORS as error:
        raise InputError(
            f"{path} cannot be read as depth ({first_line(error)}); write it again"
        ) from None
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path} holds {values.dtype}, not numbers; write depth as float32")
    values = np.squeeze(values)
    if values.ndim != 2:
        raise InputError(f"{path} has shape {values.shape}, not (height, width); write one map")
    if scale is None and path.suffix.lower() in (".png", ".tif", ".tiff") and _whole(values):
        raise InputError(
            f"{path} counts depth in steps of unknown size; set {scale_key} to the world units per"
            " step (0.001 for millimeters in a world of meters)"
        )
    depth = values.astype(np.float64)
    depth = np.where(np.isfinite(depth) & (depth > 0) & (depth < FARTHEST), depth, 0)
    return (depth * (scale or 1.0)).astype(np.float32)


def _reader(path: Path) -> Callable[[Path], NDArray[Any]]:
    name = path.name.lower()
    return next(read for suffix, read in _READERS.items() if name.endswith(suffix))


def _whole(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "iu"


def _read_npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        return _read_array(file, path)


def _read_npy_gz(path: Path) -> NDArray[Any]:
    with gzip.open(path) as file:
        return _read_array(file, path)


def _read_npz(path: Path) -> NDArray[Any]:
    with ZipFile(path) as arrays:
        names = [name.removesuffix(".npy") for name in arrays.namelist()]
        with arrays.open(f"{_depth_name(path, names)}.npy") as file:
            return _read_array(file, path)


def _read_array(file: IO[bytes] | gzip.GzipFile, path: Path) -> NDArray[Any]:
    """An array in NumPy's format; its size is checked before memory is taken for it."""
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, columns_first, dtype = read_header(file)
    count = int(np.prod(shape, dtype=object))
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if count > MOST_PIXELS:
        raise InputError(
            f"{path} says that it holds {count:,} numbers, too many for one map; write one map of"
            " the render's size"
        )
    content = file.read(count * dtype.itemsize)
    values = np.frombuffer(content, dtype=dtype, count=count)
    return values.reshape(shape, order="F" if columns_first else "C")


def _read_exr(path: Path) -> NDArray[Any]:
    import OpenEXR

    with OpenEXR.File(str(path), separate_channels=True) as file:
        # Layers stand before the channel's own name: `ViewLayer.Depth.Z`.
        channels = {name.rpartition(".")[2].lower(): c for name, c in file.channels().items()}
        if set("rgb") <= set(channels):
            # Depth saved as gray has it in each color.
            channels = {name: c for name, c in channels.items() if name not in "gba"}
        return np.array(channels[_depth_name(path, list(channels))].pixels)


def _read_pfm(path: Path) -> NDArray[Any]:
    """A Portable FloatMap: rows from the bottom, little-endian where the scale is negative."""
    with path.open("rb") as file:
        kind = file.readline().strip()
        width, height = (int(number) for number in file.readline().split())
        endian = "<" if float(file.readline()) < 0 else ">"
        if kind not in (b"Pf", b"PF") or not 0 < width * height <= MOST_PIXELS:
            raise ValueError("not a Portable FloatMap")
        channels = 3 if kind == b"PF" else 1
        count = width * height * channels
        values = np.frombuffer(file.read(4 * count), dtype=f"{endian}f4", count=count)
    return _one_channel(values.reshape(height, width, channels)[::-1], path)


def _read_tiff(path: Path) -> NDArray[Any]:
    # OpenCV's log would add lines to the one sentence of ours.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(first_line(error)) from None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if values is None:
        raise ValueError("not a TIFF of numbers")
    return _one_channel(_deep_enough(values, path), path)


def _read_png(path: Path) -> NDArray[Any]:
    with PillowImage.open(path) as image:
        if not image.mode.startswith("I"):
            raise InputError(_too_few_bits(path, image.mode))
        return np.array(image)


def _deep_enough(values: NDArray[Any], path: Path) -> NDArray[Any]:
    if values.dtype.itemsize == 1:
        raise InputError(_too_few_bits(path, str(values.dtype)))
    return values


def _too_few_bits(path: Path, mode: str) -> str:
    return (
        f"{path} has 8 bits per channel ({mode}), too few for depth; write 16-bit gray, .npy or"
        " .exr"
    )


def _one_channel(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """The map of an image whose channels are all the same."""
    if values.ndim == 2:
        return values
    colors = values[..., :3]
    first = np.repeat(colors[..., :1], colors.shape[2], axis=2)
    if not np.array_equal(colors, first, equal_nan=True):
        raise InputError(f"{path} holds colors, not depth; write one channel of numbers")
    return colors[..., 0]


_READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".npy.gz": _read_npy_gz,
    ".exr": _read_exr,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".pfm": _read_pfm,
    ".png": _read_png,
}


def _depth_name(path: Path, names: list[str]) -> str:
    for name in DEPTH_KEYS:
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    raise InputError(f"{path} holds {', '.join(names) or 'nothing'}; name its depth 'depth'")
