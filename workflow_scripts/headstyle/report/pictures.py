"""Files of the stages as pictures to look at: 8-bit RGB Pillow images, reduced while reading."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from headstyle.base.cameras import Cameras
from headstyle.base.errors import RESULT, InputError

BACKDROP = (236, 239, 242)
"""Color behind renders and views, where they are transparent."""
OUTLINE = (255, 0, 144)
ALL_AROUND = 0.5
"""Below this length of their mean axis, cameras stand all around what they look at."""
_DEPTH_COLORS = "viridis_r"

Item = TypeVar("Item")


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, from the first to the last at even steps."""
    if len(items) <= count:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def photograph(path: str | Path, long_side_px: int) -> Image.Image:
    """A photograph turned upright by its EXIF orientation and reduced to `long_side_px`."""
    try:
        with Image.open(path) as image:
            # A JPEG decodes at 1/2, 1/4 or 1/8 of its size in a fraction of the time.
            image.draft("RGB", (long_side_px, long_side_px))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError) as error:
        raise _unreadable(path, error) from None
    upright.thumbnail((long_side_px, long_side_px), Image.Resampling.LANCZOS)
    return upright


def cutout(path: str | Path, long_side_px: int) -> Image.Image:
    """An RGBA image of the workflow over the backdrop, reduced to `long_side_px`."""
    try:
        with Image.open(path) as image:
            rgba = image.convert("RGBA")
    except (OSError, SyntaxError) as error:
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
    except (OSError, SyntaxError) as error:
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
    """Median depth of a view, thinned (not averaged) to about `long_side_px`; 0 = no surface."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            depth: NDArray[np.floating[Any]] = arrays["median"]
    except (OSError, KeyError, ValueError) as error:
        raise _unreadable(path, error) from None
    step = max(1, max(depth.shape) // long_side_px)
    return depth[::step, ::step].astype(np.float32)


def depth_range(depths: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Depths between which 96 % of all surface pixels lie; (0, 1) where there is no surface."""
    surface = np.concatenate([depth[depth > 0].ravel() for depth in depths])
    if surface.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(surface, [2, 98])
    return float(low), float(max(high, low + 1e-6))


def depth_picture(depth: NDArray[np.float32], low: float, high: float) -> Image.Image:
    """A depth map in colors, near bright and far dark; the backdrop where there is no surface."""
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
    """Pictures in a row at the first one's height."""
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
    """The view nearest to the middle of the rig, which for a frontal rig faces the head."""
    offsets = cameras.centers - cameras.centers.mean(axis=0)
    return cameras.names[int(np.argmin(np.linalg.norm(offsets, axis=1)))]


def shown_view(cameras: Cameras) -> str:
    """The view that stands for all: the frontal one, or the first of cameras all around a head.

    Their middle lies in the head, and what is nearest to it is a close-up; captures begin in front.
    """
    if np.linalg.norm(cameras.axes.mean(axis=0)) < ALL_AROUND:
        return cameras.names[0]
    return frontal_view(cameras)


def varied_views(cameras: Cameras, count: int) -> list[str]:
    """The view that stands for all, and others from places as far apart as can be."""
    centers = cameras.centers
    chosen = [cameras.index(shown_view(cameras))]
    distances = np.full(len(cameras), np.inf)
    for _ in range(min(count, len(cameras)) - 1):
        distances = np.minimum(distances, np.linalg.norm(centers - centers[chosen[-1]], axis=1))
        # Of many cameras in one place, none is taken twice.
        distances[chosen] = -1
        chosen.append(int(np.argmax(distances)))
    return [cameras.names[i] for i in chosen]


def walk_along_rig(cameras: Cameras) -> list[str]:
    """All views in an order in which successive ones look from nearby places.

    Starts at a view on the edge of the rig and always goes on to the nearest one left.
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
    return InputError(f"{path} cannot be read ({error}); {RESULT.if_wrong}")
