"""Figures of the calibration. Each function takes its tables and returns a Matplotlib figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headstyle.calibration.ladders import LADDERS
from headstyle.report.figures import COLORS, note
from headstyle.report.labels import metric_label

LADDER_NAMES: Mapping[str, str] = {
    "color_shift": "color shift",
    "displacement": "texture moved",
    "texture": "own texture",
    "local_blur": "local blur",
    "misplaced_features": "features misplaced",
    "style_strength": "style strength",
    "geometry": "geometry jitter",
    "left_unedited": "views left unedited",
    "all": "mean of all",
}
HALF_NAMES: Mapping[str, str] = {"held_out": "held-out heads and captures", "fit": "fit half"}


def seen(table: pd.DataFrame, half: str) -> Figure:
    """Heat map: rank correlation of each metric with the level, across heads and prompts.

    Args:
        table: `calibration.csv`.
        half: Which half is shown.
    """
    own = table[table["half"] == half]
    kinds = [name for name in LADDER_NAMES if name in set(own["ladder"])]
    grid = own.pivot(index="metric", columns="ladder", values="spearman_across")
    grid = grid.loc[list(dict.fromkeys(own["metric"])), kinds]
    figure, axes = plt.subplots(figsize=(2.6 + 1.05 * len(kinds), 1.7 + 0.42 * len(grid)))
    _heatmap(axes, grid.rename(columns=LADDER_NAMES), vmin=0, vmax=1, cmap="BuGn", fmt=".2f")
    axes.set_title("Which metric sees which inconsistency")
    note(figure, f"Spearman correlation with the known level, {HALF_NAMES[half]} ranked as one")
    return figure


def climbs(scores: pd.DataFrame, metrics: Sequence[str], largest: Mapping[str, float]) -> Figure:
    """Every ladder's scores against its level: one row per metric, one line per head and prompt.

    Args:
        scores: `calibration_scores.csv`.
        metrics: Rows.
        largest: Amount of each ladder at its highest level.
    """
    kinds = [name for name in LADDER_NAMES if name in set(scores["ladder"])]
    prompts = list(dict.fromkeys(scores["prompt"]))
    colors = dict(
        zip(prompts, sns.color_palette([*COLORS, "#882255", "#999933"], len(prompts)), strict=True)
    )
    figure, grid = plt.subplots(
        len(metrics),
        len(kinds),
        figsize=(1.2 + 2.1 * len(kinds), 0.9 + 1.7 * len(metrics)),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    for row, metric in zip(grid, metrics, strict=True):
        for axes, kind in zip(row, kinds, strict=True):
            own = scores[scores["ladder"] == kind]
            for (_, prompt, _), one in own.groupby(["subject", "prompt", "seed"], sort=False):
                axes.plot(one["level"], one[metric], color=colors[prompt], lw=0.8, alpha=0.7)
            if axes in grid[0]:
                axes.set_title(
                    f"{LADDER_NAMES[kind]}\nto {largest[kind]:g} {LADDERS[kind].units}", fontsize=9
                )
        row[0].set_ylabel(metric_label(metric).name)
    for axes in grid[-1]:
        axes.set_xlabel("level")
    handles = [Line2D([], [], color=colors[prompt], label=prompt) for prompt in prompts]
    figure.legend(handles=handles, loc="outside right center", title="edit", alignment="left")
    note(figure, "each line: one head or capture, edit and draw · level 0: consistent views")
    return figure


def moved_by_traps(table: pd.DataFrame, half: str) -> Figure:
    """Heat map: how far each trap moves each metric, in steps of a ladder.

    Args:
        table: `calibration_traps.csv`.
        half: Which half is shown.
    """
    own = table[table["half"] == half]
    # Show the worst case: the scene that moved farthest.
    low, high = own["low_steps"], own["high_steps"]
    own = own.assign(moved=np.where(low.abs() > high.abs(), low, high))
    keys = ["metric", "trap"]
    farthest = own.loc[
        own.groupby(keys)["moved"].transform(lambda x: x.abs().max()) == own["moved"].abs()
    ]
    grid = farthest.drop_duplicates(keys).pivot(index="metric", columns="trap", values="moved")
    grid = grid.loc[list(dict.fromkeys(own["metric"])), list(dict.fromkeys(own["trap"]))]
    figure, axes = plt.subplots(figsize=(2.6 + 0.95 * grid.shape[1], 1.9 + 0.42 * len(grid)))
    named = grid.rename(columns=lambda name: name.replace("_", " "))
    _heatmap(axes, named, vmin=-3, vmax=3, cmap="RdBu_r", fmt="+.1f")
    for number in axes.texts:
        number.set_text(number.get_text().replace("-", "−"))
    axes.set_title("What must not move a score")
    note(
        figure,
        f"largest change over {HALF_NAMES[half]}, in ladder steps · red: worse, blue: better",
    )
    return figure


def _heatmap(axes: Axes, grid: pd.DataFrame, **scale: Any) -> None:
    """Numbers on colors, one row per metric; `scale` says how numbers become text and colors."""
    sns.heatmap(
        grid.rename(index=lambda name: metric_label(name).name),
        annot=True,
        linewidths=1.5,
        linecolor="white",
        cbar=False,
        ax=axes,
        **scale,
    )
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    axes.set_xticks(axes.get_xticks(), labels, rotation=30, ha="right")
    axes.tick_params(axis="y", rotation=0)
