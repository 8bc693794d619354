"""Files of the stages as pictures for the report: 8-bit RGB Pillow images, reduced when read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError, result_in_folder
from headstyle.base.files import read_arrays
from headstyle.base.images import UNREADABLE_IMAGE
from headstyle.importers.images import opened_image, read_picture

BACKDROP = (236, 239, 242)
"""Color behind transparent renders and views."""
OUTLINE = (255, 0, 144)
ALL_AROUND = 0.5
"""If the mean of the cameras' axes is shorter than this, the cameras stand all around the head."""
_DEPTH_COLORS = "viridis_r"

Item = TypeVar("Item")


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, from the first to the last at even steps."""
    if len(items) <= count:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def photograph(path: str | Path, long_side_px: int) -> Image.Image:
    """A photograph in sRGB, upright, reduced to `long_side_px`.

    Raises:
        InputError: the file is missing or is not an image.
    """
    with opened_image(path) as image:
        is_plain = image.format == "JPEG" and image.mode == "RGB"
        if is_plain and not image.info.get("icc_profile"):
            # Decoding a JPEG at 1/2, 1/4 or 1/8 of its size takes a fraction of the time.
            image.draft("RGB", (long_side_px, long_side_px))
            upright = ImageOps.exif_transpose(image).convert("RGB")
        else:
            upright = Image.fromarray(read_picture(path).rgb)
    upright.thumbnail((long_side_px, long_side_px), Image.Resampling.LANCZOS)
    return upright


def cutout(path: str | Path, long_side_px: int) -> Image.Image:
    """An RGBA image on the backdrop, reduced to `long_side_px`."""
    try:
        with Image.open(path) as image:
            rgba = image.convert("RGBA")
    except UNREADABLE_IMAGE as error:
        raise _unreadable(path, error) from None
    backdrop = Image.new("RGBA", rgba.size, (*BACKDROP, 255))
    flat = Image.alpha_composite(backdrop, rgba).convert("RGB")
    flat.thumbnail((long_side_px, long_side_px), Image.Resampling.LANCZOS)
    return flat


def outlined(picture: Image.Image, mask: str | Path, line_px: int = 3) -> Image.Image:
    """The picture with its mask's border drawn and everything outside the mask faded to gray."""
    try:
        with Image.open(mask) as image:
            alpha = image.convert("L").resize(picture.size, Image.Resampling.BOX)
    except UNREADABLE_IMAGE as error:
        raise _unreadable(mask, error) from None
    gray = ImageOps.grayscale(picture).convert("RGB")
    faded = Image.blend(gray, Image.new("RGB", picture.size, (255, 255, 255)), 0.6)
    shown = Image.composite(picture, faded, alpha)
    inside = alpha.point(lambda value: 255 if value >= 128 else 0)
    border = np.asarray(inside.filter(ImageFilter.MaxFilter(line_px))) != np.asarray(
        inside.filter(ImageFilter.MinFilter(line_px))
    )
    pixels = np.array(shown)
    pixels[border] = OUTLINE
    return Image.fromarray(pixels)


def read_depth(path: str | Path, long_side_px: int) -> NDArray[np.float32]:
    """Median depth of a view, subsampled to about `long_side_px`; 0 where there is no surface."""
    (depth,) = read_arrays(path, ("median",), "depth", result_in_folder(path).if_wrong)
    step = max(1, max(depth.shape) // long_side_px)
    return depth[::step, ::step].astype(np.float32)


def depth_range(depths: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Lower and upper depth of the middle 96 % of all surface pixels; (0, 1) without a surface."""
    surface = np.concatenate([depth[depth > 0].ravel() for depth in depths])
    if surface.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(surface, [2, 98])
    return float(low), float(max(high, low + 1e-6))


def depth_picture(depth: NDArray[np.float32], low: float, high: float) -> Image.Image:
    """A depth map in colors: near is bright, far is dark, and the backdrop is no surface."""
    colors = colormaps[_DEPTH_COLORS](np.clip((depth - low) / (high - low), 0, 1))[..., :3]
    pixels = np.rint(colors * 255).astype(np.uint8)
    pixels[depth <= 0] = BACKDROP
    return Image.fromarray(pixels)


def depth_scale() -> list[tuple[int, int, int]]:
    """The colors of `depth_picture` from near to far. 64 RGB triples."""
    colors = colormaps[_DEPTH_COLORS](np.linspace(0, 1, 64))[:, :3]
    reds, greens, blues = ([round(255 * float(c)) for c in channel] for channel in colors.T)
    return list(zip(reds, greens, blues, strict=True))


def beside(*pictures: Image.Image, gap_px: int = 4) -> Image.Image:
    """Pictures in a row, with the height of the first."""
    height = pictures[0].height
    scaled = [p.resize((max(1, round(p.width * height / p.height)), height)) for p in pictures]
    row = Image.new("RGB", (sum(p.width for p in scaled) + gap_px * (len(scaled) - 1), height))
    row.paste((255, 255, 255), (0, 0, *row.size))
    x = 0
    for picture in scaled:
        row.paste(picture, (x, 0))
        x += picture.width + gap_px
    return row


def frontal_view(cameras: Cameras) -> str:
    """The view nearest to the middle of the rig. In a frontal rig it faces the head."""
    offsets = cameras.centers - cameras.centers.mean(axis=0)
    return cameras.names[int(np.argmin(np.linalg.norm(offsets, axis=1)))]


def shown_view(cameras: Cameras) -> str:
    """The view that represents the rig: the frontal one, or the first if cameras stand all around.

    The middle of cameras all around lies in the head, so the nearest view would be a close-up.
    Captures usually begin in front.
    """
    if np.linalg.norm(cameras.axes.mean(axis=0)) < ALL_AROUND:
        return cameras.names[0]
    return frontal_view(cameras)


def varied_views(cameras: Cameras, count: int) -> list[str]:
    """The view that represents the rig, and others whose cameras are as far apart as possible."""
    centers = cameras.centers
    chosen = [cameras.index(shown_view(cameras))]
    distances = np.full(len(cameras), np.inf)
    for _ in range(min(count, len(cameras)) - 1):
        distances = np.minimum(distances, np.linalg.norm(centers - centers[chosen[-1]], axis=1))
        # Do not take a view twice if several cameras are in one place.
        distances[chosen] = -1
        chosen.append(int(np.argmax(distances)))
    return [cameras.names[i] for i in chosen]


def walk_along_rig(cameras: Cameras) -> list[str]:
    """All views, ordered so that successive cameras are near each other.

    The order begins at a view on the edge of the rig. The next view is always the nearest one left.
    """
    centers = cameras.centers
    distances = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    here = int(np.argmax(distances.sum(axis=1)))
    order, left = [here], set(range(len(cameras))) - {here}
    while left:
        here = min(left, key=lambda i: (distances[here, i], i))
        order.append(here)
        left.remove(here)
    return [cameras.names[i] for i in order]


def _unreadable(path: str | Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read ({error}); {result_in_folder(path).if_wrong}")
