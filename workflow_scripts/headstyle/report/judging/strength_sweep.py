"""The contact sheet of a sweep: the edits of each trial, with their scores below."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from headstyle.base.images import RgbaImage, composite
from headstyle.report.contact_sheets import PAPER, TableSheet, font, table_sheet
from headstyle.report.labels import SOFT_INK
from headstyle.report.pictures import beside

LONG_SIDE_PX = 256
_NOTE_PX = 22


def sweep_sheet(
    title: str,
    subtitle: str,
    tried: Sequence[Mapping[str, float]],
    images: Sequence[Sequence[RgbaImage]],
    scores: Sequence[Mapping[str, Any]],
) -> Image.Image:
    """A table: guidances on the image in columns, everything else in rows, the photographs on top.

    Args:
        title: First line of the page.
        subtitle: Line below it.
        tried: Values of the knobs of each trial; empty for the photographs, which come first.
        images: The views of each trial.
        scores: Its `edit_strength` and `ciede2000_corrected_excess`.
    """
    places = [(_row(trial), trial.get("image_guidance")) for trial in tried[1:]]
    rows = list(dict.fromkeys(row for row, _ in places))
    columns = list(dict.fromkeys(column for _, column in places))
    cells: list[list[Image.Image | None]] = [[None] * len(columns) for _ in (None, *rows)]
    pictures = [_with_note(row, score) for row, score in zip(images, scores, strict=True)]
    cells[0] = [pictures[0]] * len(columns)
    for (row, column), picture in zip(places, pictures[1:], strict=True):
        cells[1 + rows.index(row)][columns.index(column)] = picture
    heads = ["" if value is None else f"image {value:.3g}" for value in columns]
    return table_sheet(TableSheet(title, subtitle, heads, ["photographs", *rows], cells), 260)


def _row(trial: Mapping[str, float]) -> str:
    others = {name: value for name, value in trial.items() if name != "image_guidance"}
    return ", ".join(f"{name.split('_')[0]} {value:.3g}" for name, value in others.items())


def _with_note(views: Sequence[RgbaImage], score: Mapping[str, Any]) -> Image.Image:
    strip = beside(*(_picture(view) for view in views))
    framed = Image.new("RGB", (strip.width, strip.height + _NOTE_PX), PAPER)
    framed.paste(strip, (0, 0))
    draw = ImageDraw.Draw(framed)
    draw.text((4, strip.height), _note(score), fill=SOFT_INK, font=font(16))
    return framed


def _picture(image: RgbaImage) -> Image.Image:
    colors = np.rint(np.clip(composite(image, (1, 1, 1)), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(colors)
    picture.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX))
    return picture


def _note(score: Mapping[str, Any]) -> str:
    excess = score["ciede2000_corrected_excess"]
    apart = "" if np.isnan(excess) else f", views apart {excess:+.1f}"
    return f"change {score['edit_strength']:.1f}{apart}"
