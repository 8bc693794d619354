"""Frames of films: a scene above, and below it what changed since the frame before."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from headstyle.base.images import read_rgba
from headstyle.report.contact_sheets import PAPER, font, shorten
from headstyle.report.labels import INK
from headstyle.report.maps.heat import heat_picture

TOP_OF_SCALE = 0.1
"""Residual that has the brightest color, in root mean squares of colors in [0, 1]."""
_HEAD_PX, _TEXT_PX = 24, 14


def residual_picture(image: Path, residual: NDArray[np.floating]) -> Image.Image:
    """The warp residual over the gray frame; see `headstyle.consistency.flicker`.

    Args:
        image: The frame's PNG.
        residual: In [0, 1], NaN where nothing is compared. Shape `(H, W)`.
    """
    return heat_picture(read_rgba(image), residual.astype(np.float32), TOP_OF_SCALE)


def film_frame(
    columns: Sequence[tuple[Path, Path]], labels: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """One frame of a film: a column per scene, its image above its residual.

    Args:
        columns: The PNG of each scene's frame (RGBA) and of its residual, all of one size.
        labels: Names above the columns; none leaves no room for them.

    Returns:
        8-bit RGB of even sides.
    """
    pictures = [[_on_white(image), Image.open(residual)] for image, residual in columns]
    width, height = pictures[0][0].size
    head = _HEAD_PX if labels else 0
    across, down = width * len(columns), head + 2 * height
    page = Image.new("RGB", (across + across % 2, down + down % 2), PAPER)
    for i, column in enumerate(pictures):
        for j, picture in enumerate(column):
            page.paste(picture, (i * width, head + j * height))
    draw = ImageDraw.Draw(page)
    for i, label in enumerate(labels):
        text = shorten(label, width - 8, _TEXT_PX)
        draw.text((i * width + 4, 3), text, fill=INK, font=font(_TEXT_PX))
    return np.asarray(page)


def _on_white(path: Path) -> Image.Image:
    with Image.open(path) as image:
        rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, PAPER), rgba).convert("RGB")
