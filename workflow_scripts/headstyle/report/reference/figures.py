"""The published study's figures: a row per study, a panel per metric, in the report's style.

A *score table* has subject, prompt, strength and one column per metric, and `quality` where avatars
are rated. The published one has means of avatars, so all boxes and points are of avatars.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headstyle.base.study import BASELINE, FLOOR, NOT_AVATARS
from headstyle.report.figures import COLORS, note
from headstyle.report.labels import INK, SOFT_INK, metric_label

METRICS = ("lpips", "rmse", "ciede2000")
"""The metrics of the published study."""
Scores = Mapping[str, pd.DataFrame]
"""Score tables by the names of their rows, such as `published`."""


def boxes(scores: Scores, prompts: Sequence[str]) -> Figure:
    """Box plots over the subjects, per prompt and strength; dashed: mean of the baselines."""

    def draw(axes: Axes, table: pd.DataFrame, metric: str) -> None:
        shown = table[~table["prompt"].isin(NOT_AVATARS)]
        strengths = list(dict.fromkeys(shown["strength"]))
        style = {"x": "prompt", "y": metric, "hue": "strength", "hue_order": strengths}
        colors = COLORS[: len(strengths)]
        sns.boxplot(
            shown, **style, palette=colors, width=0.7, gap=0.15, linewidth=1, fliersize=0, ax=axes
        )
        sns.stripplot(
            shown, **style, palette=["black"] * len(strengths), dodge=True, size=2.5, alpha=0.6,
            jitter=False, legend=False, ax=axes,
        )  # fmt: skip
        baseline = table.loc[table["prompt"] == BASELINE, metric].mean()
        if pd.notna(baseline):
            axes.axhline(baseline, color=INK, lw=1.2, ls="--", label="baseline", zorder=4)
        axes.legend(loc="best", fontsize=8)
        axes.set_xlabel("")

    text = "boxes: quartiles over the subjects · points: avatars · dashed: mean of the baselines"
    return _panels(scores, "Scores by prompt and strength", text, draw)


def qualities(scores: Scores, prompts: Sequence[str]) -> Figure:
    """The distribution of each metric over the avatars of one quality rating."""

    def draw(axes: Axes, table: pd.DataFrame, metric: str) -> None:
        rated = _rated(table)
        levels = sorted(rated["quality"].unique())
        style = {"x": "quality", "y": metric, "order": levels, "ax": axes}
        sns.boxplot(
            rated, **style, color="#dfe6ec", width=0.6, linewidth=1, fliersize=0, linecolor=SOFT_INK
        )
        is_baseline = rated["prompt"] == BASELINE
        for rows, color, name in (
            (rated[~is_baseline], COLORS[0], "avatars"),
            (rated[is_baseline], COLORS[5], "baselines"),
        ):
            if len(rows):
                sns.stripplot(
                    rows, **style, color=color, alpha=0.7, size=5, jitter=0.2, label=name,
                    legend=False,
                )  # fmt: skip
        counts = rated.groupby("quality").size()
        axes.set_xticks(range(len(levels)), [f"{q:g}\nn = {counts[q]}" for q in levels])
        handles, names = axes.get_legend_handles_labels()
        unique = dict(zip(names, handles, strict=True))
        axes.legend(unique.values(), unique.keys(), loc="best", fontsize=8)
        axes.set_xlabel("quality rating, 4 best")

    text = "points: avatars and rated baselines · boxes: quartiles"
    return _panels(scores, "Scores by quality", text, draw, rated=True)


def slopes(scores: Scores, prompts: Sequence[str]) -> Figure:
    """A line per subject and prompt from its low to its high strength."""

    def draw(axes: Axes, table: pd.DataFrame, metric: str) -> None:
        chosen = table[table["prompt"].isin(list(prompts))]
        wide = chosen.pivot(index=["prompt", "subject"], columns="strength", values=metric)
        wide = wide.reindex(columns=["low", "high"]).dropna()
        if wide.empty:
            _say(axes, "no prompt at both strengths, low and high")
            return
        measured = set(wide.index.get_level_values("prompt"))
        for color, prompt in zip(sns.color_palette(COLORS, len(prompts)), prompts, strict=True):
            if prompt not in measured:
                continue
            for i, (_, row) in enumerate(wide.loc[[prompt]].iterrows()):
                label = prompt if i == 0 else None
                axes.plot([0, 1], row, color=color, marker="o", ms=4, lw=1.4, label=label)
        axes.set_xticks([0, 1], ["low", "high"])
        axes.set_xlim(-0.2, 1.6)
        lower = int((wide["low"] < wide["high"]).sum())
        axes.text(
            0.5, 1.0, f"lower at low: {lower} of {len(wide)}", transform=axes.transAxes,
            ha="center", va="bottom", fontsize=9, color=SOFT_INK,
        )  # fmt: skip
        axes.legend(loc="center right", fontsize=8)
        axes.set_xlabel("strength")

    text = f"each line: one subject and prompt ({', '.join(prompts)})"
    return _panels(scores, "Low against high strength", text, draw)


def thresholds(scores: Scores, prompts: Sequence[str]) -> Figure:
    """Mean of each metric per quality rating, with the value."""

    def draw(axes: Axes, table: pd.DataFrame, metric: str) -> None:
        means = _rated(table).groupby("quality")[metric].mean().sort_index(ascending=False)
        bars = axes.bar(range(len(means)), means, color=COLORS[0], width=0.65)
        digits = 3 if means.max() >= 1 else 4
        axes.bar_label(bars, [f"{value:.{digits}f}" for value in means], fontsize=8.5, padding=2)
        axes.set_xticks(range(len(means)), [f"{quality:g}" for quality in means.index])
        axes.margins(y=0.12)
        axes.set_xlabel("quality rating, best first")

    text = "bars: mean over the scenes of one rating, rated baselines included"
    return _panels(scores, "Thresholds: mean score of each quality", text, draw, rated=True)


FIGURES: Mapping[str, Callable[[Scores, Sequence[str]], Figure]] = MappingProxyType(
    {"boxes": boxes, "qualities": qualities, "slopes": slopes, "thresholds": thresholds}
)
"""All figures by the names of their files. Each takes the scores and the prompts of `slopes`."""


def _panels(
    scores: Scores,
    title: str,
    text: str,
    draw: Callable[[Axes, pd.DataFrame, str], None],
    *,
    rated: bool = False,
) -> Figure:
    """A row per study, a column per metric of one scale; what is not known is said."""
    figure, grid = plt.subplots(
        len(scores), len(METRICS), figsize=(13, 0.8 + 3.4 * len(scores)), squeeze=False,
        sharey="col",
    )  # fmt: skip
    for row, (name, table) in zip(grid, scores.items(), strict=True):
        for axes, metric in zip(row, METRICS, strict=True):
            known = table[table["prompt"] != FLOOR]
            known = known.dropna(subset=[metric]) if metric in known else known.iloc[:0]
            if known.empty:
                _say(axes, f"{metric_label(metric).name} was not measured")
            elif rated and _rated(known).empty:
                _say(axes, "no ratings (config key summary.ratings)")
            else:
                draw(axes, known, metric)
            axes.set_title(f"{metric_label(metric).name}, {name}", pad=16)
            axes.set_ylabel(str(metric_label(metric)))
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=13)
    note(figure, f"{text} · lower: neighboring views differ less")
    return figure


def _rated(table: pd.DataFrame) -> pd.DataFrame:
    return table.dropna(subset=["quality"]) if "quality" in table else table.iloc[:0]


def _say(axes: Axes, text: str) -> None:
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=SOFT_INK,
        fontsize=9,
    )  # fmt: skip
    axes.set_xticks([])
    axes.grid(False)
