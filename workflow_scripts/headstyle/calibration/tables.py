"""The tables of the calibration: how each metric responds to the ladders and traps.

A score is *oriented* so that higher means less consistent. Correlations are computed in two ways.
`across` ranks all ladders of one kind together, over all heads, captures, prompts and seeds.
`within` ranks each ladder alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from headstyle.calibration.scoring import NO_TRAP

ONE = ["subject", "prompt", "ladder", "seed"]
"""Columns that identify one ladder."""
CONFIDENCE = 0.95


def oriented(table: pd.DataFrame, directions: Mapping[str, str]) -> pd.DataFrame:
    """The table with every metric of direction `higher` negated."""
    higher = [name for name, direction in directions.items() if direction == "higher"]
    return table.assign(**{name: -table[name] for name in higher})


def calibration_table(
    ladders: pd.DataFrame, metrics: Sequence[str], largest: Mapping[str, float]
) -> pd.DataFrame:
    """How well each metric detects each kind of inconsistency.

    Args:
        ladders: Oriented scores: subject, prompt, ladder, seed, level and the metrics.
        metrics: Columns of the metrics.
        largest: Amount of each ladder at its highest level.

    Returns:
        One row per metric and kind of ladder. The ladder `all` has the mean over the kinds; its
        smallest_level is their largest. Columns:

        - metric, ladder, and ladders (their number)
        - spearman_within (mean over ladders) and spearman_within_min
        - spearman_across
        - auc: probability that an inconsistent scene scores worse than a consistent one of any head
          and prompt
        - smallest_level, smallest_amount: from there on, 95 % of the scenes score worse than 95 %
        of
          the consistent ones; NaN if this holds on no level
    """
    rows: list[dict[str, Any]] = []
    for metric in metrics:
        own: list[dict[str, Any]] = [
            {"metric": metric, "ladder": name} | _judged(group, metric, largest[str(name)])
            for name, group in ladders.groupby("ladder", sort=False)
        ]
        rows += own
        rows.append({"metric": metric, "ladder": "all"} | _overall(pd.DataFrame(own)))
    return pd.DataFrame(rows)


def trap_table(
    traps: pd.DataFrame, steps: Mapping[str, float], metrics: Sequence[str]
) -> pd.DataFrame:
    """How far each trap moves each metric, in steps of a ladder.

    Args:
        traps: Oriented scores: subject, prompt, trap, ladder and the metrics.
        steps: The step of each metric; see `ladder_steps`.
        metrics: Columns of the metrics.

    Returns:
        Columns trap, ladder (that it was applied to), metric, scenes, mean_steps, low_steps,
        high_steps and beyond_step. The steps are the mean and the extremes of the change over the
        scenes; positive means worse than without the trap. beyond_step is the number of scenes that
        the trap moves by more than one step.
    """
    keys = ["subject", "prompt", "ladder"]
    plain = traps[traps["trap"] == NO_TRAP].set_index(keys)
    rows = []
    for (trap, ladder), group in traps[traps["trap"] != NO_TRAP].groupby(
        ["trap", "ladder"], sort=False
    ):
        group = group.set_index(keys)
        for metric in metrics:
            change = (group[metric] - plain[metric].reindex(group.index)) / steps[metric]
            rows.append(
                {"trap": trap, "ladder": ladder, "metric": metric, "scenes": change.count()}
                | {"mean_steps": change.mean(), "low_steps": change.min()}
                | {"high_steps": change.max(), "beyond_step": (change.abs() > 1).sum()}
            )
    return pd.DataFrame(rows)


def ladder_steps(ladders: pd.DataFrame, metrics: Sequence[str]) -> dict[str, float]:
    """The step of each metric: its mean increase per level, over all ladders of all kinds."""
    rise = _rises(ladders, metrics)
    return {metric: float(rise[metric].groupby("ladder").mean().mean()) for metric in metrics}


def spearman(first: pd.Series, second: pd.Series) -> float:
    """Rank correlation of two columns where both have values; 0 where one does not vary."""
    both = first.notna() & second.notna()
    first, second = first[both], second[both]
    if first.nunique() < 2 or second.nunique() < 2:
        return 0.0
    return float(stats.spearmanr(first, second).statistic)


def _rises(ladders: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Increase per level from the lowest to the highest level of every ladder."""
    top = ladders["level"].max()
    ends = [ladders[ladders["level"] == level].set_index(ONE)[list(metrics)] for level in (0, top)]
    return (ends[1] - ends[0]) / top


def _judged(group: pd.DataFrame, metric: str, largest: float) -> dict[str, float]:
    group = group[["level", *ONE, metric]].dropna()
    within = [spearman(one["level"], one[metric]) for _, one in group.groupby(ONE, sort=False)]
    # Ladders with different seeds start with the same consistent scene.
    scenes = group[(group["level"] > 0) | ~group.duplicated(["subject", "prompt", "level"])]
    floor = scenes.loc[scenes["level"] == 0, metric]
    above = scenes[scenes["level"] > 0]
    level = _smallest_level(above, metric, floor)
    top = group["level"].max()
    return {
        "ladders": len(within),
        "spearman_within": float(np.mean(within)),
        "spearman_within_min": float(np.min(within)),
        "spearman_across": spearman(scenes["level"], scenes[metric]),
        "auc": _area_under_curve(floor, above[metric]),
        "smallest_level": level,
        "smallest_amount": level / top * largest,
    }


def _overall(kinds: pd.DataFrame) -> dict[str, float]:
    means = ["spearman_within", "spearman_across", "auc"]
    return (
        {"ladders": kinds["ladders"].sum()}
        | {name: kinds[name].mean() for name in means}
        | {"spearman_within_min": kinds["spearman_within_min"].min()}
        | {"smallest_level": kinds["smallest_level"].max(skipna=False)}
    )


def _smallest_level(above: pd.DataFrame, metric: str, floor: pd.Series) -> float:
    limit = floor.quantile(CONFIDENCE)
    told = (above[metric] > limit).groupby(above["level"]).mean() >= CONFIDENCE
    unseen = told.index[~told]
    if len(unseen) == 0:
        return float(told.index.min())
    later = told.index[told.index > unseen.max()]
    return float(later.min()) if len(later) else np.nan


def _area_under_curve(low: pd.Series, high: pd.Series) -> float:
    """Probability that a value of `high` is above a value of `low`; a tie counts one half."""
    statistic = stats.mannwhitneyu(high, low).statistic
    return float(statistic / (len(low) * len(high)))
