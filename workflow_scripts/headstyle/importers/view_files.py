"""Files of other methods: images, masks and depth in a folder, one per view."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage

Depth = NDArray[np.float32]
"""z in the camera in world units, 0 where there is no surface. Shape `(H, W)`."""
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
DEPTH_SUFFIXES = (".npy", ".npz", ".exr", ".png")
DEPTH_KEYS = ("median", "depth", "z")
"""Arrays of an .npz and channels of an .exr that are taken for depth, the first that is there."""
FARTHEST = 65504.0
"""Half precision's largest number; renderers write it, 1e10 or infinity where there is nothing."""

_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error)
_MODES = ("RGB", "RGBA", "P", "L", "LA")


def list_views(folder: str | Path, suffixes: Sequence[str], key: str) -> dict[str, Path]:
    """The folder's files with one of the suffixes, by view (file stem), sorted by name.

    Args:
        folder: Where to look; its own folders and hidden files are skipped.
        suffixes: In lower case; compared without regard to case.
        key: What the folder is called in messages.

    Raises:
        InputError: the folder is missing, has no such file, or two with one stem.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{key}: {folder} is not a folder; correct the path")
    views: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes or path.is_dir():
            continue
        if path.stem in views:
            raise InputError(
                f"{key}: {path} and {views[path.stem].name} have the same stem; remove one of them"
            )
        views[path.stem] = path
    if not views:
        raise InputError(f"{key}: {folder} holds no file {', '.join(suffixes)}; correct the path")
    return views


def pick_views(
    files: Mapping[str, Path], names: Sequence[str], folder: Any, key: str
) -> list[Path]:
    """The files of the given views, in their order.

    Raises:
        InputError: a view has no file.
    """
    missing = [name for name in names if name not in files]
    if missing:
        raise InputError(
            f"{key}: {folder} lacks {len(missing)} of {len(names)} views, first {missing[0]!r}; add"
            " the file or take the view out of the renders"
        )
    return [files[name] for name in names]


def read_image(path: Path) -> tuple[RgbaImage, bool]:
    """An 8-bit image with straight alpha (1 where the file has none), and whether it has alpha.

    Raises:
        InputError: the file cannot be decoded or has other than 8 bits per channel.
    """
    try:
        with PillowImage.open(path) as image:
            if image.mode not in _MODES or any(";16" in str(tile[3]) for tile in image.tile):
                raise InputError(f"{path} is not an 8-bit RGB or RGBA image; convert it to one")
            has_alpha = image.mode in ("RGBA", "LA") or "transparency" in image.info
            pixels = np.asarray(image.convert("RGBA"), dtype=np.float32) / np.float32(255)
            return pixels, has_alpha
    except InputError:
        raise
    except _DECODER_ERRORS as error:
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise InputError(f"{path} cannot be read as an image ({reason}); replace it") from None


def read_mask(path: Path) -> NDArray[np.float32]:
    """A mask's alpha in [0, 1]: the file's alpha if it has one, else its gray. Shape `(H, W)`.

    Raises:
        InputError: as `read_image`.
    """
    image, has_alpha = read_image(path)
    return image[..., 3] if has_alpha else image[..., :3].mean(axis=2)


def read_depth(path: Path, scale: float | None = None, scale_key: str = "depth_scale") -> Depth:
    """Read one depth map: .npy, .npz, .exr or 16-bit .png.

    Args:
        path: The file; .npz and .exr may hold several arrays, of which that named in `DEPTH_KEYS`
            is read, or the only one.
        scale: World units per unit of the file; by default 1, but a PNG needs it.
        scale_key: What the scale is called in messages.

    Returns:
        float32; 0 where the file holds nothing, NaN, infinity or a value that stands for far.

    Raises:
        InputError: the file cannot be read, is no map of numbers, or lacks its scale.
    """
    if path.suffix.lower() == ".png" and scale is None:
        raise InputError(
            f"{path} counts depth in steps of unknown size; set {scale_key} to the world units per"
            " step (0.001 for millimeters in a world of meters)"
        )
    try:
        values = _READERS[path.suffix.lower()](path)
    except InputError:
        raise
    except (*_DECODER_ERRORS, BadZipFile, KeyError, AttributeError, RuntimeError) as error:
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise InputError(f"{path} cannot be read as depth ({reason}); write it again") from None
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path} holds {values.dtype}, not numbers; write depth as float32")
    values = np.squeeze(values)
    if values.ndim != 2:
        raise InputError(f"{path} has shape {values.shape}, not (height, width); write one map")
    depth = values.astype(np.float64)
    depth = np.where(np.isfinite(depth) & (depth > 0) & (depth < FARTHEST), depth, 0)
    return (depth * (scale or 1.0)).astype(np.float32)


def _read_npy(path: Path) -> NDArray[Any]:
    return np.load(path, allow_pickle=False)


def _read_npz(path: Path) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[_depth_name(path, list(arrays))]


def _read_exr(path: Path) -> NDArray[Any]:
    import OpenEXR

    with OpenEXR.File(str(path), separate_channels=True) as file:
        # Layers stand before the channel's own name: `ViewLayer.Depth.Z`.
        channels = {name.rpartition(".")[2].lower(): c for name, c in file.channels().items()}
        if set("rgb") <= set(channels):
            # Depth saved as gray has it in each color.
            channels = {name: c for name, c in channels.items() if name not in "gba"}
        return np.array(channels[_depth_name(path, list(channels))].pixels)


def _read_png(path: Path) -> NDArray[Any]:
    with PillowImage.open(path) as image:
        if not image.mode.startswith("I"):
            raise InputError(
                f"{path} has 8 bits per channel ({image.mode}), too few for depth; write 16-bit"
                " gray, .npy or .exr"
            )
        return np.array(image)


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".exr": _read_exr, ".png": _read_png}


def _depth_name(path: Path, names: list[str]) -> str:
    for name in DEPTH_KEYS:
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    raise InputError(f"{path} holds {', '.join(names) or 'nothing'}; name its depth 'depth'")
