"""The style and the writing of figures, and the curves of a training.

The colors are those of Okabe and Ito, which color-blind readers can tell apart.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from headstyle.base.errors import RESULT
from headstyle.base.files import whole_file
from headstyle.base.tables.rows import read_rows
from headstyle.report.labels import INK, SOFT_INK

COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666"]
_LINES = ["-", "--", ":", "-."]
DPI = 150
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.edgecolor": "#b6c0ca",
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e3e8ed",
    "text.color": INK,
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "headstyle",
}
plt.rcParams.update(_STYLE)


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure (PNG or SVG by suffix) in one atomic step, and close it."""
    with whole_file(path) as partial:
        if partial.suffix == ".png":
            save_png(partial, figure, DPI)
        else:
            # Without the date, so that a figure is the same bytes every time.
            figure.savefig(partial, metadata={"Date": None})
    plt.close(figure)


def save_png(path: Path, figure: Figure, dpi: float) -> None:
    """Save a figure with a palette of 256 colors: a third of the size, no visible difference."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    with Image.open(drawn) as picture:
        colors = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    colors.save(path, optimize=True)


def message(text: str) -> Figure:
    """A figure with a text, such as the reason why there is nothing to plot."""
    figure = plt.figure(figsize=(7, 2))
    figure.text(0.5, 0.5, text, ha="center", va="center", color=SOFT_INK, fontsize=12, wrap=True)
    return figure


def note(figure: Figure, text: str) -> None:
    """Write a line below a figure that tells how to read it."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=SOFT_INK)


History = Mapping[str, NDArray[np.float64]]
"""Columns of a history.tsv. An empty cell is NaN."""


def read_history(path: str | Path) -> History:
    """The columns of a `history.tsv`."""
    rows = read_rows(path, RESULT)
    columns = list(rows[0]) if rows else []
    return {c: np.array([float(row[c] or math.nan) for row in rows]) for c in columns}


def training_curves(
    title: str,
    histories: Mapping[str, History],
    columns: Sequence[str],
    marks: Sequence[int] = (),
) -> Figure:
    """Curves over the iterations, one panel per column and one line per history.

    Values of single iterations are pale; their running mean is bold.

    Args:
        title: Title of the figure.
        histories: Columns of each history, by the name of its line.
        columns: Columns to plot (loss, psnr, splats); absent or empty ones are left out.
        marks: Iterations to mark by a line.
    """
    names = {"psnr": "PSNR [dB]"}
    given = [c for c in columns if any(_has_values(h, c) for h in histories.values())]
    if not given:
        return message(f"{title}: nothing was trained.")
    many = len(histories) > 1
    width = 1.0 + 3.6 * len(given) + (1.4 if many else 0)
    figure, grid = plt.subplots(1, len(given), figsize=(max(6, width), 3.5), squeeze=False)
    for axes, column in zip(grid.flat, given, strict=True):
        for i, (name, history) in enumerate(histories.items()):
            if not _has_values(history, column):
                continue
            kept = np.isfinite(history[column])
            # Use each color solid first, then dashed, then dotted.
            style = {"color": COLORS[i % len(COLORS)], "ls": _LINES[i // len(COLORS) % 4]}
            iterations, values = history["iteration"][kept], history[column][kept]
            if column != "splats":
                axes.plot(iterations, values, lw=0.8, alpha=0.25, **style)
                values = _running_mean(values)
            axes.plot(iterations, values, lw=1.6, label=name, **style)
        for mark in marks:
            axes.axvline(mark, color="#b6c0ca", lw=1, zorder=0)
        axes.set(xlabel="iteration", ylabel=names.get(column, column))
        if column == "splats":
            axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.margins(x=0.01)
    if many:
        grid.flat[-1].legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
    return figure


def _running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running mean over about a twelfth of the values; the window is smaller near the ends."""
    half = min(50, len(values) // 24)
    window = np.ones(2 * half + 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones_like(values), window, "same")


def _has_values(history: History, column: str) -> bool:
    return column in history and bool(np.isfinite(history[column]).any())
