"""Contact sheets: labeled grids of pictures on one white page, as 8-bit RGB Pillow images.

Pictures come ready to show (see `pictures.py`); this module only sizes, places and labels them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from headstyle.base.files import whole_file
from headstyle.report.labels import INK, SOFT_INK

SHEET_WIDTH_PX = 1500
PAPER, WELL = "#ffffff", "#eef1f4"
_MARGIN, _GAP, _LABEL_PX, _LINE_PX = 28, 12, 17, 23
_MAX_UPSCALE = 2.5


@dataclass(frozen=True)
class Tile:
    """One labeled picture of a grid."""

    picture: Image.Image
    """The picture."""
    label: str
    """First line below the picture."""
    note: str = ""
    """Second line below the picture, or empty."""


@dataclass(frozen=True)
class TableSheet:
    """Pictures in rows and columns, with a head for each row and column.

    A row's note has up to three lines, a column's note has one line. Without a title the page
    begins with the heads of its columns.
    """

    title: str
    """Title of the page, or empty."""
    subtitle: str
    """Line below the title, or empty."""
    columns: Sequence[str]
    """Heads of the columns."""
    rows: Sequence[str]
    """Heads of the rows."""
    cells: Sequence[Sequence[Image.Image | None]]
    """Pictures, as `cells[row][column]`. None leaves a gap."""
    row_notes: Sequence[str] = ()
    """Notes below the heads of the rows."""
    column_notes: Sequence[str] = ()
    """Notes below the heads of the columns."""

    @property
    def top_px(self) -> int:
        """Distance of the first row of pictures from the top."""
        lines = 2 if any(self.column_notes) else 1
        return _head_height(self.title, self.subtitle) + lines * _LINE_PX + 6


def grid_sheet(
    title: str, subtitle: str, tiles: Sequence[Tile], footer: Image.Image | None = None
) -> Image.Image:
    """Arrange tiles in reading order on a page about 1.6 times as wide as high.

    Args:
        title, subtitle: Two lines above the tiles; the second may be empty.
        tiles: At least one.
        footer: A picture under the tiles, such as a color scale.

    Returns:
        Pillow image, RGB, at most `SHEET_WIDTH_PX` wide.
    """
    cell_w, cell_h = _common_box([tile.picture for tile in tiles])
    columns = min(len(tiles), max(1, round(math.sqrt(1.6 * len(tiles) * cell_h / cell_w))))
    cell_w, cell_h = _fit_cells(cell_w, cell_h, columns, SHEET_WIDTH_PX - 2 * _MARGIN, 420)
    lines = 2 if any(tile.note for tile in tiles) else 1
    pitch_y = cell_h + lines * _LINE_PX + _GAP + 4
    head = _head_height(title, subtitle)
    width = max(2 * _MARGIN + columns * (cell_w + _GAP) - _GAP, _head_width(title, subtitle))
    rows = math.ceil(len(tiles) / columns)
    height = head + rows * pitch_y + _MARGIN + (footer.height + _GAP if footer else 0)
    sheet, draw = _page(width, height, title, subtitle)
    for i, tile in enumerate(tiles):
        x = _MARGIN + (i % columns) * (cell_w + _GAP)
        y = head + (i // columns) * pitch_y
        _place(sheet, tile.picture, (x, y, cell_w, cell_h))
        _text(draw, (x, y + cell_h + 3), tile.label, INK, _LABEL_PX, cell_w)
        _text(draw, (x, y + cell_h + 3 + _LINE_PX), tile.note, SOFT_INK, _LABEL_PX - 1, cell_w)
    if footer:
        sheet.paste(footer, (_MARGIN, height - _MARGIN - footer.height))
    return sheet


def table_sheet(table: TableSheet, max_cell_height_px: int = 420) -> Image.Image:
    """Draw a table of pictures: column heads on top, row heads on the left, each with its note.

    Returns:
        Pillow image, RGB, at most `SHEET_WIDTH_PX` wide.
    """
    names_w = min(230, 8 + max(_width(text, _LABEL_PX, True) for text in table.rows))
    # A few fixed widths, so that sheets of different subjects line up.
    names_w = max(names_w, 190) if any(table.row_notes) else -(-names_w // 40) * 40
    pictures = [picture for row in table.cells for picture in row if picture is not None]
    cell_w, cell_h = _common_box(pictures) if pictures else (200, 200)
    room = SHEET_WIDTH_PX - 2 * _MARGIN - names_w - _GAP
    cell_w, cell_h = _fit_cells(cell_w, cell_h, len(table.columns), room, max_cell_height_px)
    left = _MARGIN + names_w + _GAP
    width = left + len(table.columns) * (cell_w + _GAP) - _GAP + _MARGIN
    width = max(width, _head_width(table.title, table.subtitle))
    height = table.top_px + len(table.rows) * (cell_h + _GAP) - _GAP + _MARGIN
    sheet, draw = _page(width, height, table.title, table.subtitle)
    head = _head_height(table.title, table.subtitle)
    for j, name in enumerate(table.columns):
        note = table.column_notes[j] if table.column_notes else ""
        x = left + j * (cell_w + _GAP)
        _text(draw, (x, head), name, INK, _LABEL_PX, cell_w, bold=True)
        _text(draw, (x, head + _LINE_PX), note, SOFT_INK, _LABEL_PX - 2, cell_w)
    for i, name in enumerate(table.rows):
        y = table.top_px + i * (cell_h + _GAP)
        _text(draw, (_MARGIN, y + 4), name, INK, _LABEL_PX, names_w, bold=True)
        note = table.row_notes[i] if table.row_notes else ""
        for k, line in enumerate(_wrap(note, names_w, _LABEL_PX - 2)[:3]):
            _text(draw, (_MARGIN, y + 6 + (k + 1) * _LINE_PX), line, SOFT_INK, 15, names_w)
        for j, picture in enumerate(table.cells[i]):
            _place(sheet, picture, (left + j * (cell_w + _GAP), y, cell_w, cell_h))
    return sheet


def color_scale(colors: Sequence[tuple[int, int, int]], low: str, high: str) -> Image.Image:
    """A horizontal color bar with its two ends named. Returns RGB, 26 px high."""
    bar = Image.new("RGB", (len(colors), 1))
    bar.putdata([tuple(color) for color in colors])
    bar = bar.resize((280, 18))
    low_w, high_w = _width(low, _LABEL_PX), _width(high, _LABEL_PX)
    scale = Image.new("RGB", (low_w + high_w + 280 + 2 * _GAP, 26), PAPER)
    draw = ImageDraw.Draw(scale)
    _text(draw, (0, 2), low, SOFT_INK, _LABEL_PX, low_w + 1)
    scale.paste(bar, (low_w + _GAP, 4))
    _text(draw, (low_w + 280 + 2 * _GAP, 2), high, SOFT_INK, _LABEL_PX, high_w + 1)
    return scale


def write_sheet(path: str | Path, sheet: Image.Image) -> None:
    """Write a sheet as JPEG in one atomic step."""
    with whole_file(path) as partial:
        sheet.save(partial, quality=75, optimize=True, progressive=True)


def fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Resize a picture to the largest size that fits into a box."""
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


@lru_cache
def font(size_px: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans. It comes with Matplotlib, so sheets look the same on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size_px)


def shorten(text: str, width_px: int, size_px: int = _LABEL_PX, bold: bool = False) -> str:
    """Remove the middle of a text until it fits. Line breaks and tabs become spaces."""
    text = " ".join(text.split())
    if _width(text, size_px, bold) <= width_px:
        return text
    for keep in range(len(text) - 1, 1, -1):
        short = text[: (keep + 1) // 2] + "…" + text[len(text) - keep // 2 :]
        if _width(short, size_px, bold) <= width_px:
            return short
    return "…"


def _common_box(pictures: Sequence[Image.Image]) -> tuple[int, int]:
    """The box for the pictures: their largest width and their largest height."""
    return max(p.width for p in pictures), max(p.height for p in pictures)


def _fit_cells(
    width: int, height: int, columns: int, room: int, max_height: int
) -> tuple[int, int]:
    scale = min((room + _GAP) / columns / (width + _GAP), max_height / height, _MAX_UPSCALE)
    scale = min(scale, ((room + _GAP) / columns - _GAP) / width)
    return max(48, int(width * scale)), max(48, int(height * scale))


def _wrap(text: str, width_px: int, size_px: int) -> list[str]:
    """Break a text at spaces into lines that fit."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer, size_px) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _page(
    width: int, height: int, title: str, subtitle: str
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (int(width), int(height)), PAPER)
    draw = ImageDraw.Draw(sheet)
    _text(draw, (_MARGIN, 20), title, INK, 28, width - 2 * _MARGIN, bold=True)
    _text(draw, (_MARGIN, 60), subtitle, SOFT_INK, 18, width - 2 * _MARGIN)
    return sheet, draw


def _head_height(title: str, subtitle: str) -> int:
    return 98 if subtitle else 72 if title else 14


def _head_width(title: str, subtitle: str) -> int:
    """Width for the two head lines, within limits, so that a page of few tiles fits its title."""
    wanted = max(_width(title, 28, bold=True), _width(subtitle, 18)) + 2 * _MARGIN
    return min(wanted, 1100)


def _place(sheet: Image.Image, picture: Image.Image | None, box: tuple[int, int, int, int]) -> None:
    x, y, width, height = box
    ImageDraw.Draw(sheet).rectangle((x, y, x + width - 1, y + height - 1), fill=WELL)
    if picture is None:
        return
    fitted = fit(picture, width, height)
    sheet.paste(fitted, (x + (width - fitted.width) // 2, y + (height - fitted.height) // 2))


def _text(
    draw: ImageDraw.ImageDraw,
    position: tuple[float, float],
    text: str,
    color: str,
    size_px: int,
    width: int,
    bold: bool = False,
) -> None:
    if text:
        short = shorten(text, width, size_px, bold)
        draw.text(position, short, fill=color, font=font(size_px, bold))


def _width(text: str, size_px: int, bold: bool = False) -> int:
    return math.ceil(font(size_px, bold).getlength(" ".join(text.split())))
