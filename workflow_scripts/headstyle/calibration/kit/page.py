"""The card of a metric as a page and as a table."""

from html import escape
from pathlib import Path
from typing import Any, cast

import pandas as pd

from headstyle.base.tables.frames import write_table
from headstyle.calibration.figures import LADDER_NAMES
from headstyle.calibration.kit.card import (
    ACROSS,
    DOES_NOT_ORDER,
    FAMILIES,
    ORDERS,
    ORDERS_SOME,
    ORDERS_WITHIN,
    REWARDS_BLUR,
    WITHIN,
    Card,
)
from headstyle.report.labels import metric_label
from headstyle.report.pages import meanings, page, table, write_page

_WORDS = {
    ORDERS: f"rank correlation with the level of at least {WITHIN:g} within a scene and of at least"
    f" {ACROSS:g} across all scenes, in the mean over the kinds",
    ORDERS_WITHIN: f"at least {WITHIN:g} within a scene, less than {ACROSS:g} across scenes: do not"
    " compare scenes by it",
    ORDERS_SOME: f"less than {WITHIN:g} within a scene in the mean, but at least that for a kind",
    DOES_NOT_ORDER: f"less than {WITHIN:g} within a scene for every kind",
    REWARDS_BLUR: "views that are blurred in part, or all alike, score better",
}
_LEAD = (
    "The kit's scenes are consistent by construction, or inconsistent by known amounts. Trained"
    " avatars are splats that were trained on such edits. A trap changes all views alike, which"
    " must not change a score. All metrics scored the same files."
)


def write_card(card: Card, html: Path, tsv: Path) -> None:
    """Write the card as a page, and its verdicts with all ladders as one table."""
    own = card.ladders.merge(
        card.verdicts[["metric", "family", "verdict", "moved_by", "undefined", "seconds"]],
        on=["metric", "family"],
    )
    write_page(html, card_page(card))
    write_table(tsv, own)


def card_page(card: Card) -> str:
    """The HTML page."""
    title = f"What {card.metric} is worth"
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="lead">{escape(_LEAD)}</p>']
    parts += [f'<p class="callout">{escape(sentence)}</p>' for sentence in sentences(card)]
    tables = {"Verdicts": card.verdicts, "Ladders": card.ladders, "Traps": card.traps}
    for heading, content in tables.items():
        if len(content):
            rows = cast("list[dict[str, Any]]", _named(content).to_dict("records"))
            parts += [f"<h2>{heading}</h2>", table(rows, heading.lower())]
    words = "".join(f"<dt>{escape(word)}</dt><dd>{escape(m)}</dd>" for word, m in _WORDS.items())
    parts.append(f'<h2>What the words mean</h2><dl class="meanings">{words}</dl>')
    parts.append(meanings(list(dict.fromkeys(c for t in tables.values() for c in t))))
    return page(title, "\n".join(parts), ["tables.js"], strict=True)


def sentences(card: Card) -> list[str]:
    """What the card says of the metric, one sentence per family, beside ours."""
    found = []
    for family, rows in card.verdicts.groupby("family", sort=False):
        by_metric = rows.set_index("metric")
        own = by_metric.loc[card.metric]
        others = ", ".join(
            f"{metric_label(str(name)).name} {row['verdict']} ({row['across']:.2f})"
            for name, row in by_metric.drop(index=card.metric).iterrows()
        )
        found.append(
            f"{FAMILIES[str(family)].capitalize()}: {card.metric} {own['verdict']}. Its rank"
            f" correlation with the level is {own['within']:.2f} within a scene and"
            f" {own['across']:.2f} across them. Ours: {others}."
        )
    return found


def _named(content: pd.DataFrame) -> pd.DataFrame:
    """The table with readable names of metrics, ladders and families."""
    changes: dict[str, Any] = {
        "metric": [metric_label(name).name for name in content["metric"]],
        "family": [FAMILIES[name] for name in content["family"]],
    }
    for column in ("ladder", "worst_ladder"):
        if column in content:
            names = content[column].replace("none", "consistent")
            changes[column] = [LADDER_NAMES.get(name, name) for name in names]
    return content.assign(**changes)
