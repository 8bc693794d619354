"""The calibration's page: the result as a sentence, as figures and as tables."""

from collections.abc import Mapping
from html import escape
from typing import Any, cast

import pandas as pd
from PIL import Image

from headstyle.calibration.figures import LADDER_NAMES
from headstyle.calibration.traps import TRAPS
from headstyle.report.labels import metric_label
from headstyle.report.pages import data_uri, meanings, page, table

TITLE = "Calibration of the metrics"
PUBLISHED = ("rmse", "ciede2000", "lpips")
_LEAD = (
    "Procedural heads are edited in three dimensions and photographed, so their views agree by"
    " construction. A ladder makes the views disagree by known, growing amounts. A trap changes all"
    " views in the same way, which must not change a score. Numbers marked fit are from the heads"
    " and prompts on which the headline score's constants were chosen. All other numbers are from"
    " heads, prompts and captures that played no part in this choice."
)
_CAPTIONS = {
    "ladders": "The ladders: each row shows one kind of inconsistency in growing amounts.",
    "seen": "Rank correlation of each metric with the known level. 1 means that all scenes are in"
    " the right order, regardless of head and edit.",
    "traps": "Change of each metric by the traps, which make nothing less consistent.",
    "climbs": "Every measured score against the level of its ladder.",
}


def calibration_page(
    metrics: pd.DataFrame, traps: pd.DataFrame, pictures: Mapping[str, Image.Image]
) -> str:
    """The HTML page.

    Args:
        metrics: `calibration.csv`.
        traps: `calibration_traps.csv`.
        pictures: Pictures to show, with the names `ladders`, `seen`, `traps` and `climbs`.
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
        rows = cast("list[dict[str, Any]]", content.to_dict("records"))
        parts += [f"<h2>{heading}</h2>", table(rows, heading.lower())]
    parts.append(meanings([*metrics, *traps]))
    return page(TITLE, "\n".join(parts), ["tables.js"])


def headline_verdict(metrics: pd.DataFrame, traps: pd.DataFrame) -> str:
    """The headline score's result on the held-out half, beside those of the published metrics."""
    held = metrics[(metrics["half"] == "held_out") & (metrics["ladder"] == "all")]
    held = held.set_index("metric")
    within, across = held["spearman_within"], held["spearman_across"]
    moved = traps[(traps["half"] == "held_out") & (traps["metric"] == "headline")]
    sentences = [
        f"The headline score's rank correlation with the known level is"
        f" {within['headline']:.2f} within a head and edit and"
        f" {across['headline']:.2f} across them"
    ]
    others = [
        f"{metric_label(name).name} {across[name]:.2f}" for name in PUBLISHED if name in held.index
    ]
    if others:
        sentences[0] += f" (across them {', '.join(others)})"
    # Leave out blurring and undoing the edit. They may lower a score, as the edit's strength and
    # sharpness reveal them.
    moved = moved[[not TRAPS[trap].may_lower for trap in moved["trap"]]]
    if len(moved):
        means = moved.set_index(["trap", "ladder"])["mean_steps"]
        trap, _ = cast("tuple[str, str]", means.abs().idxmax())
        sentences.append(
            f"On average the trap {trap.replace('_', ' ')} moves it most, by"
            f" {means.abs().max():.1f} steps of a ladder. In {moved['beyond_step'].sum()} of"
            f" {moved['scenes'].sum()} cases a trap moved a scene by more than one step"
        )
    return ". ".join(sentences) + "."


def _named(content: pd.DataFrame) -> pd.DataFrame:
    """The table with readable names of metrics and ladders."""
    named = content.assign(metric=[metric_label(name).name for name in content["metric"]])
    return named.assign(ladder=[LADDER_NAMES.get(name, name) for name in named["ladder"]])
