"""The calibration's page: what was found, in a sentence, in figures and in tables."""

from collections.abc import Mapping
from html import escape

import pandas as pd
from PIL import Image

from headstyle.calibration.figures import LADDER_NAMES
from headstyle.calibration.traps import TRAPS
from headstyle.report.labels import metric_label
from headstyle.report.pages import data_uri, meanings, page, table

TITLE = "Calibration of the metrics"
PUBLISHED = ("rmse", "ciede2000", "lpips")
_LEAD = (
    "Procedural heads are edited in three dimensions and photographed, so that their views agree by"
    " construction; then the views are made to disagree by known amounts, and changed in ways that"
    " must not matter. Every number below is of heads, prompts and captures on which nothing was"
    " chosen, unless it says fit."
)
_CAPTIONS = {
    "ladders": "What was done to the views.",
    "seen": "Rank correlation with the known level. 1: all scenes in the right order, whatever"
    " their head and edit.",
    "traps": "Change of a score where nothing became less consistent.",
    "climbs": "Every score that was measured.",
}


def calibration_page(
    metrics: pd.DataFrame, traps: pd.DataFrame, pictures: Mapping[str, Image.Image]
) -> str:
    """The page.

    Args:
        metrics: `calibration.csv`.
        traps: `calibration_traps.csv`.
        pictures: By the names `ladders`, `seen`, `traps`, `climbs`; those that exist are shown.
    """
    parts = [f"<h1>{TITLE}</h1>", f'<p class="lead">{escape(_LEAD)}</p>']
    if "headline" in set(metrics["metric"]):
        parts.append(f'<p class="callout">{escape(headline_verdict(metrics, traps))}</p>')
    for name, picture in pictures.items():
        parts.append(
            f'<figure><img alt="{escape(_CAPTIONS[name])}" src="{data_uri(picture)}">'
            f"<figcaption>{escape(_CAPTIONS[name])}</figcaption></figure>"
        )
    shown = {"Ladders": _named(metrics), "Traps": _named(traps)}
    for heading, content in shown.items():
        parts += [f"<h2>{heading}</h2>", table(content.to_dict("records"), heading.lower())]
    parts.append(meanings([*metrics, *traps]))
    return page(TITLE, "\n".join(parts), ["tables.js"])


def headline_verdict(metrics: pd.DataFrame, traps: pd.DataFrame) -> str:
    """What the held-out half says of the headline score, beside the published metrics."""
    held = metrics[(metrics["half"] == "held_out") & (metrics["ladder"] == "all")]
    held = held.set_index("metric")
    moved = traps[(traps["half"] == "held_out") & (traps["metric"] == "headline")]
    sentences = [
        f"The headline score's rank correlation with the known level is"
        f" {held.at['headline', 'spearman_within']:.2f} within a head and edit and"
        f" {held.at['headline', 'spearman_across']:.2f} across them"
    ]
    others = [
        f"{metric_label(name).name} {held.at[name, 'spearman_across']:.2f}"
        for name in PUBLISHED
        if name in held.index
    ]
    if others:
        sentences[0] += f" (across them {', '.join(others)})"
    # Blurring or undoing an edit is no trap: that must cost something, or be seen beside the score.
    moved = moved[[not TRAPS[trap].may_lower for trap in moved["trap"]]]
    if len(moved):
        means = moved.set_index(["trap", "ladder"])["mean_steps"]
        trap, _ = means.abs().idxmax()
        sentences.append(
            f"The trap that moves it most on average is {trap.replace('_', ' ')}, by"
            f" {means.abs().max():.1f} steps of a ladder; {moved['beyond_step'].sum()} of"
            f" {moved['scenes'].sum()} times a trap moved a scene by more than one step"
        )
    return ". ".join(sentences) + "."


def _named(content: pd.DataFrame) -> pd.DataFrame:
    """The table with the names of metrics and ladders that readers know."""
    named = content.assign(metric=[metric_label(name).name for name in content["metric"]])
    return named.assign(ladder=[LADDER_NAMES.get(name, name) for name in named["ladder"]])
