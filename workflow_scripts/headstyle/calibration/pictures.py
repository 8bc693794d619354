"""A picture of the ladders."""

import numpy as np
from PIL import Image

from headstyle.base.images import RgbaImage, composite
from headstyle.calibration.cases import Case
from headstyle.calibration.figures import LADDER_NAMES
from headstyle.calibration.ladders import LADDERS
from headstyle.report import pictures
from headstyle.report.contact_sheets import TableSheet, table_sheet


def ladders_sheet(case: Case, levels: int = 5) -> Image.Image:
    """Two neighboring views of one case, one row per ladder and a column per shown level.

    Args:
        case: The head and the edit.
        levels: How many of the levels are shown, evenly spaced from the consistent one.
    """
    settings = case.settings
    shown = pictures.evenly_spaced(range(settings.levels + 1), levels)
    middle = case.views.cameras.index(pictures.frontal_view(case.views.cameras))
    pair = [middle, middle + 1 if middle + 1 < len(case.views.cameras) else middle - 1]
    cells = []
    for ladder in case.ladders():
        row = [case.rung(ladder, level, settings.seeds[0], case.views).edited for level in shown]
        cells.append([pictures.beside(*(_shown(images[view]) for view in pair)) for images in row])
    rows = [LADDER_NAMES[ladder] for ladder in case.ladders()]
    notes = [f"to {settings.largest[name]:g} {LADDERS[name].units}" for name in case.ladders()]
    title = f"Ladders of known inconsistency: {case.subject}, {case.prompt.replace('_', ' ')}"
    columns = [f"level {level}" if level else "consistent" for level in shown]
    subtitle = "two neighboring views with the same edit, made inconsistent by growing amounts"
    return table_sheet(TableSheet(title, subtitle, columns, rows, cells, notes), 260)


def _shown(image: RgbaImage) -> Image.Image:
    """The head without the empty frame around it."""
    inside = image[..., 3] > 0.01
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    cut = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    red, green, blue = (channel / 255 for channel in pictures.BACKDROP)
    return Image.fromarray(np.rint(composite(cut, (red, green, blue)) * 255).astype(np.uint8))
