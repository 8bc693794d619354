"""The contact sheet of a sweep: the edits of each trial, with their scores below."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from headstyle.base.images import RgbaImage, composite
from headstyle.report.contact_sheets import Tile, grid_sheet
from headstyle.report.pictures import beside

LONG_SIDE_PX = 256


def sweep_sheet(
    title: str,
    subtitle: str,
    labels: Sequence[str],
    images: Sequence[Sequence[RgbaImage]],
    scores: Sequence[Mapping[str, Any]],
) -> Image.Image:
    """One tile for each trial, with its views side by side.

    Args:
        title: First line of the page.
        subtitle: Line below it.
        labels: What was tried.
        images: The views of each trial.
        scores: Its `edit_strength` and `ciede2000_corrected_excess`.
    """
    tiles = [
        Tile(beside(*(_picture(image) for image in row)), label, _note(score))
        for label, row, score in zip(labels, images, scores, strict=True)
    ]
    return grid_sheet(title, subtitle, tiles)


def _picture(image: RgbaImage) -> Image.Image:
    colors = np.rint(np.clip(composite(image, (1, 1, 1)), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(colors)
    picture.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX))
    return picture


def _note(score: Mapping[str, Any]) -> str:
    excess = score["ciede2000_corrected_excess"]
    apart = "" if np.isnan(excess) else f", views apart {excess:+.1f}"
    return f"change {score['edit_strength']:.1f}{apart}"
