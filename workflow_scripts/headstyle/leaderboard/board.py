"""What the leaderboard shows: rankings by all metrics, means of scenes, and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from headstyle.base.cameras import Cameras
from headstyle.consistency.metrics import metric_class
from headstyle.evaluation.true_edits import TRUTH_SCORES
from headstyle.leaderboard.methods import Method
from headstyle.leaderboard.ranking import Ranking, Resampling, rank
from headstyle.report import pictures
from headstyle.report.pages import data_uri

_PICTURE_PX, _PICTURES = 150, 8
_SCENE = ["method", "subject", "prompt"]


def higher_is_better(metric: str) -> bool:
    """The direction of a metric, or of a score against the true edit."""
    if metric in TRUTH_SCORES:
        return metric != "truth_lpips_mini"
    return metric_class(metric).direction == "higher"


def rank_all(
    pairs: pd.DataFrame,
    views: pd.DataFrame,
    metrics: Sequence[str],
    methods: Sequence[Method],
    resampling: Resampling,
) -> dict[str, Ranking]:
    """Rankings by the metrics, over pairs, then by the scores against the true edit, over views.

    Args:
        pairs: `pairs.csv` of all methods.
        views: `views.csv` of all methods.
        metrics: The metrics, the most important first.
        methods: The methods. References take no rank.
        resampling: How intervals are drawn.
    """
    units = pairs.assign(unit=pairs["target"] + " < " + pairs["source"])
    shown = views.rename(columns={"view": "unit"})
    unranked = [method.name for method in methods if method.is_reference]
    tables = dict.fromkeys(metrics, units)
    tables |= {name: shown for name in TRUTH_SCORES if name in shown and shown[name].notna().any()}
    return {
        name: rank(
            table,
            name,
            higher_is_better=higher_is_better(name),
            unranked=unranked,
            resampling=resampling,
        )
        for name, table in tables.items()
        if table[name].notna().any()
    }


def scene_means(pairs: pd.DataFrame, views: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """One row per method, subject and prompt: means of the metrics, and the edit's strength."""
    of_pairs = ["overlap", *(name for name in metrics if name not in TRUTH_SCORES)]
    of_views = ["edit_strength", "sharpness", *TRUTH_SCORES]
    parts = []
    for table, wanted in ((pairs, of_pairs), (views, of_views)):
        columns = [name for name in wanted if name in table]
        parts.append(table.groupby(_SCENE, sort=False)[columns].mean())
    return pd.concat(parts, axis=1).reset_index()


def gallery(
    scenes: Mapping[str, Sequence[Mapping[str, Any]]], cameras: Mapping[str, Cameras]
) -> dict[tuple[str, str], dict[str, str]]:
    """Pictures of one view by each method, for scenes spread over subjects and prompts.

    Args:
        scenes: The scenes of each method: subject, prompt and the folder `renders`.
        cameras: The cameras of each subject's views.

    Returns:
        For each shown (subject, prompt) the data address of each method's picture.
    """
    known: dict[tuple[str, str], dict[str, str]] = {}
    for method, entries in scenes.items():
        for entry in entries:
            known.setdefault((entry["subject"], entry["prompt"]), {})[method] = entry["renders"]
    shown: dict[tuple[str, str], dict[str, str]] = {}
    for subject, prompt in sorted(_spread(list(known))):
        view = pictures.shown_view(cameras[subject])
        shown[subject, prompt] = {
            method: data_uri(pictures.cutout(Path(folder, f"{view}.png"), _PICTURE_PX))
            for method, folder in known[subject, prompt].items()
        }
    return shown


def _spread(scenes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Up to `_PICTURES` scenes: every prompt once, the subjects in turn, then what is left."""
    subjects = list(dict.fromkeys(subject for subject, _ in scenes))
    prompts = list(dict.fromkeys(prompt for _, prompt in scenes))
    diagonal = [(subjects[i % len(subjects)], prompt) for i, prompt in enumerate(prompts)]
    chosen = [scene for scene in diagonal if scene in scenes]
    chosen += [scene for scene in scenes if scene not in chosen]
    return chosen[:_PICTURES]
