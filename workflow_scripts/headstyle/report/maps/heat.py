"""A value per pixel as a heat map over a gray picture, and the sheet of an avatar's maps."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.report.contact_sheets import PAPER, TableSheet, color_scale, table_sheet
from headstyle.report.pictures import BACKDROP, varied_views

COLORS = "inferno"
"""Dark to bright, in an order that color-blind readers see, too."""
COVER = 0.8
"""How far the colors cover the gray picture below."""
_VIEWS = 5
_MARGIN_PX = 28


@dataclass(frozen=True)
class ViewMaps:
    """One view and where it disagrees with its neighbors [ΔE00]."""

    image: RgbaImage
    """The view. Shape `(H, W, 4)`."""
    pixels: NDArray[np.float32]
    """Mean difference per pixel, NaN where nothing is compared. Shape `(H, W)`."""
    splats: NDArray[np.float32]
    """The splats' values as the view shows them, NaN beside the head. Shape `(H, W)`."""
    excess: NDArray[np.float32]
    """The same beyond the disagreement of the unedited views. Shape `(H, W)`."""


def heat_picture(image: RgbaImage, values: NDArray[np.float32], scale: float) -> Image.Image:
    """The image in gray with values from 0 to `scale` over it; NaN leaves the gray alone."""
    gray = np.repeat(image[..., :3].mean(axis=2, keepdims=True), 3, axis=2)
    colors = _covered(np.nan_to_num(values) / scale, gray)
    shown = np.where(np.isfinite(values)[..., None], colors, gray)
    return _on_backdrop(shown, image[..., 3:])


def heat_scale() -> list[tuple[int, int, int]]:
    """The colors of `heat_picture` over a middle gray, from 0 to the top. 64 RGB triples."""
    steps = np.rint(255 * _covered(np.linspace(0, 1, 64), np.full((64, 3), 0.5)))
    reds, greens, blues = (channel.astype(int).tolist() for channel in steps.T)
    return list(zip(reds, greens, blues, strict=True))


def inconsistency_sheet(
    title: str, cameras: Cameras, maps: Mapping[str, ViewMaps], summary: Mapping[str, float]
) -> Image.Image:
    """Views of an avatar, where their pixels disagree with the neighbors', and where on the head.

    Args:
        title: Title of the page.
        cameras: Cameras of the views.
        maps: The maps of each view by its name.
        summary: The summary of the head's map, with `scale`, `median`, `p95` and `share`.
    """
    views, scale = varied_views(cameras, _VIEWS), summary["scale"]
    pictures = [
        [_on_backdrop(maps[v].image[..., :3], maps[v].image[..., 3:]) for v in views],
        [heat_picture(maps[v].image, maps[v].pixels, scale) for v in views],
        [heat_picture(maps[v].image, maps[v].splats, scale) for v in views],
        [heat_picture(maps[v].image, maps[v].excess, scale) for v in views],
    ]
    sheet = table_sheet(
        TableSheet(
            title,
            f"Half of the head is above {summary['median']:.1f} ΔE, 5 % above {summary['p95']:.1f};"
            f" the worst tenth of the head holds {100 * summary['share']:.0f} % of all",
            columns=views,
            column_notes=[_mean_note(maps[view].pixels) for view in views],
            rows=["Avatar", "Per pixel", "On the head", "Beyond the unedited"],
            row_notes=[
                "",
                "mean difference from the warped neighbors",
                "the same, by splat",
                "by splat, without what the unedited views disagree in",
            ],
            cells=pictures,
        ),
        max_cell_height_px=300,
    )
    return _above(sheet, color_scale(heat_scale(), "0", f"{scale:g} ΔE00 and more"))


def _covered(shares: NDArray[np.floating], below: NDArray[np.floating]) -> NDArray[np.floating]:
    colors = colormaps[COLORS](np.clip(shares, 0, 1))[..., :3]
    mixed: NDArray[np.floating] = COVER * colors + (1 - COVER) * below
    return mixed


def _on_backdrop(colors: NDArray[np.floating], alpha: NDArray[np.floating]) -> Image.Image:
    flat = colors * alpha + np.array(BACKDROP, np.float32) / 255 * (1 - alpha)
    return Image.fromarray(np.rint(255 * flat.clip(0, 1)).astype(np.uint8))


def _mean_note(pixels: NDArray[np.float32]) -> str:
    known = pixels[np.isfinite(pixels)]
    return f"mean {known.mean():.1f} ΔE" if known.size else "nothing compared"


def _above(sheet: Image.Image, footer: Image.Image) -> Image.Image:
    page = Image.new("RGB", (sheet.width, sheet.height + footer.height + _MARGIN_PX), PAPER)
    page.paste(sheet, (0, 0))
    page.paste(footer, (_MARGIN_PX, sheet.height))
    return page
