"""The table of other methods' scenes, and the page that shows it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, cast

import pandas as pd

from headstyle.base.study import BASELINE
from headstyle.report.labels import METRICS, column_label
from headstyle.report.pages import meanings, page, table

TITLE = "Renders of other methods"
_LEAD = (
    "How well the views of each scene agree with each other, measured like this study's avatars."
    " Lower means more consistent{}."
)
_EDITED, _UNEDITED = "renders", "before the edit"
_DEPTH_FROM = {"files": "its files", "fit": "splats fitted to the unedited views"}


def scene_table(
    avatars: pd.DataFrame, pairs: pd.DataFrame, notes: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """One row per scene, and one row per scene before the edit if its unedited views were given.

    Args:
        avatars: From `statistics.avatar_scores`; prompt `renders`, or `none` before the edit.
        pairs: All scenes' pairs.csv.
        notes: import.json by scene.

    Returns:
        Columns scene, shown (renders or before the edit), depth (its source), agreement, views,
        view_pairs, empty_pairs, overlap, and those of the metrics.
    """
    keys = ["subject", "prompt"]
    groups = pairs.groupby(keys, sort=False)["overlap"]
    counts = groups.agg(
        view_pairs="size", empty_pairs=lambda overlap: int((overlap == 0).sum()), overlap="mean"
    ).reset_index()
    joined = avatars.merge(counts, on=keys, how="left", validate="one_to_one")
    first = {
        "scene": joined["subject"],
        "shown": [_UNEDITED if prompt == BASELINE else _EDITED for prompt in joined["prompt"]],
        "depth": [_DEPTH_FROM[notes[name]["depth"]] for name in joined["subject"]],
        "agreement": [notes[name]["agreement"] for name in joined["subject"]],
    }
    counted = ["views", "view_pairs", "empty_pairs", "overlap"]
    scores = joined.drop(columns=[*keys, "strength", *counted])
    scores = scores.loc[:, ~_is_empty_excess(scores)]
    return pd.concat([pd.DataFrame(first), joined[counted], scores], axis=1)


def scene_page(scenes: pd.DataFrame, views: pd.DataFrame, warnings: Sequence[str]) -> str:
    """The page: the warnings, the table of scenes, and the table of views.

    Args:
        scenes: From `scene_table`.
        views: All scenes' views.csv.
        warnings: Sentences to show above the numbers.
    """
    shown = views.assign(
        scene=views["subject"],
        shown=[_UNEDITED if prompt == BASELINE else _EDITED for prompt in views["prompt"]],
    ).drop(columns=["subject", "prompt", "strength"])
    order = ["scene", "shown", *(name for name in shown if name not in ("scene", "shown"))]
    tables = {"Scenes": scenes, "Views": shown[order]}
    higher = [m.name for name, m in METRICS.items() if m.higher_is_better and name in scenes]
    lead = _LEAD.format(f", higher for {', '.join(higher)}" if higher else "")
    parts = [f"<h1>{TITLE}</h1>", f'<p class="lead">{escape(lead)}</p>']
    parts += [f'<p class="callout">{escape(warning)}</p>' for warning in warnings]
    for heading, content in tables.items():
        rows = cast("list[dict[str, Any]]", content.to_dict("records"))
        parts += [f"<h2>{heading}</h2>", table(rows, heading.lower())]
    columns = dict.fromkeys([*scenes, *order])
    parts.append(meanings([name for name in columns if column_label(name).meaning]))
    return page(TITLE, "\n".join(parts), ["tables.js"])


def scene_warnings(scenes: pd.DataFrame, low_agreement: float = 0.2) -> list[str]:
    """Sentences that warn of numbers that cannot be trusted."""
    sentences = []
    for row in scenes.to_dict("records"):
        # None and NaN mean that nothing could be tested. Neither is below the limit.
        if row["shown"] == _EDITED and (row["agreement"] or 1) < low_agreement:
            sentences.append(
                f"{row['scene']}: depth and cameras agree in only {row['agreement']:.0%} of the"
                " points, so most pixels are left out; check that they belong to the same scene."
            )
        if row["empty_pairs"]:
            sentences.append(
                f"{row['scene']}, {row['shown']}: {row['empty_pairs']} of {row['view_pairs']} pairs"
                " share no pixel and are left out."
            )
    return sentences


def _is_empty_excess(scores: pd.DataFrame) -> pd.Series:
    """Which columns are excesses without any value, because no scene has unedited views."""
    return scores.isna().all() & scores.columns.str.endswith("_excess")
