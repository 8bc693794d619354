"""Reading, writing, compositing and resizing images, all sRGB; between sRGB and linear light."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError, result_in_folder
from headstyle.base.files import whole_file

Image = NDArray[np.float32]
"""sRGB in [0, 1]. Shape `(H, W, 3)`."""
RgbaImage = NDArray[np.float32]
"""sRGB with straight (not premultiplied) alpha, all in [0, 1]. Shape `(H, W, 4)`."""
UNREADABLE_IMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, struct.error),
    PillowImage.DecompressionBombError,
)
"""What Pillow raises for a file that is no image, is damaged, or claims to be huge."""
FOREGROUND_ALPHA = 0.5
"""A pixel whose alpha exceeds this is foreground."""


def read_rgba(path: str | Path) -> RgbaImage:
    """Read one of the workflow's own 8-bit images; without an alpha channel alpha is 1.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    try:
        with PillowImage.open(path) as image:
            return np.asarray(image.convert("RGBA"), dtype=np.float32) / np.float32(255)
    except UNREADABLE_IMAGE as error:
        raise InputError(
            f"{path} cannot be read as an image ({error}); {result_in_folder(path).if_wrong}"
        ) from None


def write_image(path: str | Path, image: Image | RgbaImage) -> None:
    """Write an image in [0, 1] as 8-bit PNG or JPEG (by suffix), whole or not at all."""
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    with whole_file(path) as partial:
        options: dict[str, Any] = {"quality": 90} if partial.suffix == ".jpg" else {}
        PillowImage.fromarray(pixels).save(partial, **options)


def composite(image: RgbaImage, background: tuple[float, float, float] = (0, 0, 0)) -> Image:
    """Lay a straight-alpha image over one colour. Returns shape `(H, W, 3)`."""
    alpha = image[..., 3:]
    return image[..., :3] * alpha + np.array(background, np.float32) * (1 - alpha)


def resize_rgba(image: RgbaImage, width: int, height: int) -> RgbaImage:
    """Resize with an area filter. Colors are premultiplied, so that hidden ones do not bleed in."""
    # Most who read this module resize nothing, Snakemake at each start among them.
    import cv2

    alpha = image[..., 3:]
    premultiplied = np.concatenate([image[..., :3] * alpha, alpha], axis=2)
    resized = cv2.resize(premultiplied, (width, height), interpolation=cv2.INTER_AREA)
    colors = resized[..., :3] / np.maximum(resized[..., 3:], 1e-6)
    return np.concatenate([np.clip(colors, 0, 1), resized[..., 3:]], axis=2).astype(np.float32)


def read_views(folder: str | Path, cameras: Cameras) -> list[RgbaImage]:
    """Read the views of the given cameras, `{view}.png` with straight alpha, in their order.

    Raises:
        InputError: a view is missing, cannot be decoded, or has another size than its camera.
    """
    views = []
    for name, (width, height) in zip(cameras.names, cameras.sizes.tolist(), strict=True):
        path = Path(folder) / f"{name}.png"
        view = read_rgba(path)
        if view.shape[:2] != (height, width):
            raise InputError(
                f"{path} is {view.shape[1]}x{view.shape[0]} px but its camera says"
                f" {width}x{height} px; {result_in_folder(path).if_wrong}"
            )
        views.append(view)
    return views


def last_edits(folder: str | Path, cameras: Cameras) -> list[RgbaImage]:
    """The last edit of each view, from `cycle{k}/{view}.png`.

    With some schedules a cycle edits a single view.
    """
    cycles = sorted(
        Path(folder).glob("cycle*"), key=lambda path: int(path.name.removeprefix("cycle"))
    )
    found = {
        view: path / f"{view}.png"
        for path in cycles
        for view in cameras.names
        if (path / f"{view}.png").is_file()
    }
    return [read_rgba(found[view]) for view in cameras.names]


def to_linear(srgb: NDArray[Any]) -> NDArray[np.float32]:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def to_srgb(linear: NDArray[Any]) -> NDArray[Any]:
    """The sRGB transfer function (IEC 61966-2-1) of linear light, clipped to [0, 1]."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
