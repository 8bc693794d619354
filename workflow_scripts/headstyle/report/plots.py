"""The study's figures. Each function takes tables (pandas) and returns a Matplotlib figure.

Two scenes have no prompt: the prompt `none` marks a subject's baseline, `photographs` its floor.
"""

import textwrap
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headstyle.base.study import BASELINE, FLOOR, NOT_AVATARS
from headstyle.report.figures import COLORS, message, note
from headstyle.report.labels import INK, SOFT_INK, metric_label


def by_prompt(views: pd.DataFrame, metric: str, names: dict[str, str] | None = None) -> Figure:
    """Box plots of a metric over all views of all subjects, per prompt and strength.

    Args:
        views: The table `views.csv`.
        metric: Name of a metric's column.
        names: Name of each prompt, shown below its identifier.
    """
    shown = _stylized(views, metric)
    if shown.empty:
        return message(f"No avatar has a value of {metric_label(metric).name}.")
    prompts, strengths = _order(shown["prompt"]), _order(shown["strength"])
    figure, axes = plt.subplots(figsize=(max(6.5, 2.4 + 1.25 * len(prompts)), 4.6))
    sns.boxplot(
        shown,
        x="prompt",
        y=metric,
        hue="strength",
        order=prompts,
        hue_order=strengths,
        palette=COLORS[: len(strengths)],
        width=0.65,
        gap=0.12,
        linewidth=1,
        flierprops={"marker": "o", "markersize": 2.5, "alpha": 0.5},
        ax=axes,
    )
    _reference_lines(axes, views, metric)
    axes.set_xticks(range(len(prompts)), [_prompt_tick(p, names) for p in prompts])
    axes.set(xlabel="", ylabel=_axis_label(metric))
    if not metric_label(metric).higher_is_better:
        axes.set_ylim(bottom=0)
    axes.set_title(f"{metric_label(metric).name} of every view, by prompt")
    _legend(axes, "strength")
    note(figure, f"{_views_counted(shown)} · boxes: quartiles · {_which_way(metric)}")
    return figure


def by_subject(avatars: pd.DataFrame, metric: str) -> Figure:
    """Bars of each avatar's mean with its confidence interval, one panel per subject."""
    shown = _stylized(avatars, metric)
    if shown.empty:
        return message(f"No avatar has a value of {metric_label(metric).name}.")
    subjects, prompts = _order(avatars["subject"]), _order(shown["prompt"])
    strengths = _order(shown["strength"])
    width = max(2.2, 0.8 + 0.3 * len(prompts) * len(strengths))
    columns = min(max(1, int(13 // width)), len(subjects))
    rows = -(-len(subjects) // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(max(6.0, columns * width), 0.9 + 2.6 * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axes, subject in zip(grid.flat, subjects, strict=False):
        _subject_bars(axes, avatars, shown, metric, subject, prompts, strengths)
    for axes in grid.flat[len(subjects) :]:
        axes.set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    # Matplotlib lists lines before bars.
    first = len(handles) - len(strengths)
    handles, labels = handles[first:] + handles[:first], labels[first:] + labels[:first]
    figure.legend(handles, labels, loc="outside upper right", ncols=len(handles), frameon=False)
    figure.suptitle(
        f"{metric_label(metric).name} of each avatar",
        x=0.01,
        ha="left",
        fontweight="bold",
        fontsize=12,
    )
    figure.supylabel(_axis_label(metric), color=INK, fontsize=10)
    note(
        figure,
        f"bars: mean over views with its 95 % interval · {_which_way(metric)}",
    )
    return figure


def low_high(avatars: pd.DataFrame, metric: str) -> Figure:
    """Each subject and prompt at the first strength against the last strength."""
    shown = _stylized(avatars, metric)
    strengths = _order(shown["strength"])
    if len(strengths) < 2:
        return message("Comparing strengths needs avatars of at least two strengths.")
    first, last = strengths[0], strengths[-1]
    pairs = shown.pivot_table(index=["subject", "prompt"], columns="strength", values=metric)
    pairs = pairs[[first, last]].dropna().reset_index()
    if pairs.empty:
        return message(f"No subject has a prompt at both strengths, {first} and {last}.")
    # Restore the order of the configuration, which a pivot does not keep.
    prompts = [prompt for prompt in _order(shown["prompt"]) if prompt in set(pairs["prompt"])]
    subjects = [name for name in _order(shown["subject"]) if name in set(pairs["subject"])]
    figure, axes = plt.subplots(figsize=(6.6, 5.2))
    markers = ["o", "s", "D", "^", "v", "P", "X", "*"]
    sns.scatterplot(
        pairs,
        x=first,
        y=last,
        hue="prompt",
        hue_order=prompts,
        style="subject" if len(subjects) <= len(markers) else None,
        style_order=subjects if len(subjects) <= len(markers) else None,
        markers=markers[: len(subjects)] if len(subjects) <= len(markers) else True,
        palette=sns.color_palette(COLORS, len(prompts)),
        s=70,
        edgecolor="white",
        ax=axes,
    )
    low = pairs[[first, last]].to_numpy().min() * 0.94
    high = pairs[[first, last]].to_numpy().max() * 1.06
    axes.plot([low, high], [low, high], color=SOFT_INK, lw=1, ls="--", zorder=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.grid(True, axis="both")
    label = metric_label(metric)
    axes.set(xlabel=f"{label} at strength {first}", ylabel=f"{label} at strength {last}")
    worse = int((pairs[last] > pairs[first]).sum())
    axes.set_title(f"{label.name}: higher at {last} strength in {worse} of {len(pairs)} pairs")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    side = "below" if label.higher_is_better else "above"
    note(
        figure, f"each point: one subject and prompt · {side} the line: views differ more at {last}"
    )
    return figure


def excess(avatars: pd.DataFrame, metric: str) -> Figure:
    """Heat map of each avatar's mean minus the baseline of its subject."""
    column = f"{metric}_excess"
    shown = _stylized(avatars, column) if column in avatars else avatars.iloc[:0]
    if shown.empty:
        return message(f"No avatar has an excess of {metric_label(metric).name} over its baseline.")
    shown = shown.assign(avatar=shown["prompt"] + " " + shown["strength"])
    table = shown.pivot_table(index="subject", columns="avatar", values=column, sort=False)
    limit = float(np.nanmax(np.abs(table.to_numpy()))) or 1.0
    rows, columns = table.shape
    figure, axes = plt.subplots(
        figsize=(max(6.5, 2.6 + 0.62 * columns), max(2.6, 1.8 + 0.36 * rows))
    )
    sns.heatmap(
        table,
        cmap="RdBu" if metric_label(metric).higher_is_better else "RdBu_r",
        vmin=-limit,
        vmax=limit,
        annot=rows * columns <= 200,
        fmt=_number_format(table.to_numpy()),
        annot_kws={"fontsize": 8},
        linewidths=1.5,
        linecolor="white",
        cbar_kws={"label": f"excess of {metric_label(metric)}", "pad": 0.02},
        ax=axes,
    )
    axes.set(xlabel="", ylabel="subject")
    axes.tick_params(length=0)
    axes.tick_params(axis="x", rotation=45 if columns > 6 else 0)
    axes.tick_params(axis="y", rotation=0)
    if columns > 6:
        plt.setp(axes.get_xticklabels(), ha="right", rotation_mode="anchor")
    for number in axes.texts:
        number.set_text(number.get_text().replace("-", "−"))
    axes.set_title(f"{metric_label(metric).name} in excess of the baseline")
    note(
        figure,
        "red: views differ more than before stylization · blue: less, as with blurred views",
    )
    return figure


def by_quality(avatars: pd.DataFrame, metric: str) -> Figure:
    """A metric's mean against the human rating of each avatar."""
    rated = avatars[avatars["prompt"] != FLOOR]
    rated = rated.dropna(subset=[metric, "quality"]) if "quality" in avatars else rated.iloc[:0]
    if rated.empty:
        return message("No avatar has a quality rating (config key summary.ratings).")
    figure, axes = plt.subplots(figsize=(6.5, 4.4))
    levels = sorted(rated["quality"].unique())
    sns.stripplot(
        rated,
        x="quality",
        y=metric,
        order=levels,
        color=COLORS[0],
        alpha=0.65,
        size=6,
        jitter=0.18,
        ax=axes,
    )
    means = rated.groupby("quality")[metric].mean().reindex(levels)
    axes.plot(range(len(levels)), means, color=INK, marker="_", ms=26, mew=2.5, ls="", zorder=5)
    axes.set(xlabel="quality rating (higher is better)", ylabel=str(metric_label(metric)))
    if not metric_label(metric).higher_is_better:
        axes.set_ylim(bottom=0)
    axes.set_title(f"{metric_label(metric).name} by quality rating")
    note(figure, "each point: one avatar · black bars: mean of the group (the study's thresholds)")
    return figure


FIGURES: dict[str, Callable[..., Figure]] = {
    "by_prompt": by_prompt,
    "by_subject": by_subject,
    "low_high": low_high,
    "excess": excess,
    "by_quality": by_quality,
}
"""All figures of one metric, by the suffix of their file names."""


def _subject_bars(
    axes: Axes,
    avatars: pd.DataFrame,
    shown: pd.DataFrame,
    metric: str,
    subject: str,
    prompts: Sequence[str],
    strengths: Sequence[str],
) -> None:
    """One panel of `by_subject`."""
    width = 0.8 / len(strengths)
    for i, strength in enumerate(strengths):
        rows = shown[(shown["subject"] == subject) & (shown["strength"] == strength)]
        rows = rows.drop_duplicates("prompt").set_index("prompt").reindex(list(prompts))
        x = np.arange(len(prompts)) + (i - (len(strengths) - 1) / 2) * width
        axes.bar(x, rows[metric], width * 0.92, color=COLORS[i % len(COLORS)], label=strength)
        low, high = rows.get(f"{metric}_ci_low"), rows.get(f"{metric}_ci_high")
        if low is not None and high is not None:
            ends = np.abs(np.stack([rows[metric] - low, high - rows[metric]]))
            axes.errorbar(x, rows[metric], ends, fmt="none", ecolor=INK, elinewidth=1.1)
    _reference_lines(axes, avatars[avatars["subject"] == subject], metric)
    axes.set_xticks(range(len(prompts)), prompts)
    axes.set_title(subject, fontsize=11)


def _reference_lines(axes: Axes, table: pd.DataFrame, metric: str) -> None:
    """Lines at the scores of the unstylized scenes: the baselines and the warped photographs."""
    for prompt, name, style in ((BASELINE, "baseline", "--"), (FLOOR, "floor: photographs", ":")):
        mean = _mean_of(table, prompt, metric)
        if mean is not None:
            # Draw the lines above the boxes and bars, so that both can be compared.
            axes.axhline(mean, color=INK, lw=1.2, ls=style, label=name, zorder=4)


def _axis_label(metric: str) -> str:
    """Name, unit and direction of better values. The text is vertical: a left arrow points down."""
    label = metric_label(metric)
    return f"{label}\n" + (
        "views differ less →" if label.higher_is_better else "← views differ less"
    )


def _which_way(metric: str) -> str:
    way = "higher" if metric_label(metric).higher_is_better else "lower"
    return f"{way}: neighboring views differ less"


def _mean_of(table: pd.DataFrame, prompt: str, metric: str) -> float | None:
    mean = table.loc[table["prompt"] == prompt, metric].mean()
    return None if np.isnan(mean) else float(mean)


def _stylized(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of avatars that have a value."""
    return table[~table["prompt"].isin(NOT_AVATARS)].dropna(subset=[metric])


def _order(values: pd.Series) -> list[str]:
    """Distinct values in the order of the table, which is the order of the configuration."""
    return list(dict.fromkeys(values))


def _prompt_tick(prompt: str, names: dict[str, str] | None) -> str:
    name = " ".join((names or {}).get(prompt, "").split())
    return "\n".join([prompt, *textwrap.wrap(name, 14)[:2]])


def _legend(axes: Axes, title: str) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        labels,
        title=title,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
    )


def _views_counted(views: pd.DataFrame) -> str:
    avatars = len(views[["subject", "prompt", "strength"]].drop_duplicates())
    return f"{len(views):,} views of {avatars} avatar{'s' if avatars > 1 else ''}"


def _number_format(values: np.ndarray) -> str:
    """Number format with two digits of the largest value."""
    largest = np.nanmax(np.abs(values)) or 1.0
    return f"+.{int(np.clip(1 - np.floor(np.log10(largest)), 0, 6))}f"
