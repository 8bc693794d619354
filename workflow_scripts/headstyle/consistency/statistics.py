"""The study's statistics: from scores of views to tables of avatars, thresholds and comparisons.

A *score table* has subject, prompt, strength and one column per metric. Rows with prompt `none` are
unstylized baselines, rows with prompt `photographs` the floor measured on the photographs.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy  # Its parts are loaded when they are asked for.
from numpy.typing import NDArray

from headstyle.base.errors import InputError, Origin, given_by, result_of
from headstyle.base.study import BASELINE, FLOOR, NOT_AVATARS, SCENE_KEYS
from headstyle.base.tables.frames import read_table

KEYS = list(SCENE_KEYS)
COUNTS = ("pairs_used", "pairs_left_out")
"""Columns of views that an avatar adds up."""
EDIT_COLUMNS = ("edit_strength", "edit_strength_ssim", "sharpness")
"""Columns of views that say what the edit did; an avatar has their mean."""
STUDY_STRENGTH_PROMPTS = ("P2", "P3", "P4", "P6", "P7")
"""Prompts on which the published study compared the strengths."""
_MEASURED = result_of("measure_consistency")
_PUBLISHED = Origin(*["get it again from headstyle's repository"] * 2)


def read_scores(path: str | Path, origin: Origin = _MEASURED) -> pd.DataFrame:
    """Read a score table. Names stay text, however they look; empty cells are NaN.

    Args:
        path: A CSV file.
        origin: Whose file it is.

    Raises:
        InputError: the file is missing or is not a table with the columns that name an avatar.
    """
    return read_table(path, origin, KEYS)


def read_ratings(path: str | Path) -> pd.DataFrame:
    """Read people's ratings: subject, prompt, strength, quality (a number, higher is better).

    Raises:
        InputError: a column is missing, a quality is not a number, or an avatar is rated twice.
    """
    table = read_scores(path, given_by("the config key summary.ratings"))
    if "quality" not in table:
        raise InputError(f"{path} lacks the column quality; add it")
    if not pd.api.types.is_numeric_dtype(table["quality"]):
        raise InputError(f"{path} has a quality that is not a number; correct it")
    if table.duplicated(KEYS).any():
        twice = table.loc[table.duplicated(KEYS), KEYS].iloc[0]
        raise InputError(
            f"{path} rates {' '.join(map(str, twice))} twice; keep one rating per avatar"
        )
    return table[[*KEYS, "quality"]]


def published_scores(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """The study's own scores as a score table with quality, and the names of its metrics.

    Raises:
        InputError: the file is missing or no table of scores.
    """
    table = read_scores(path, _PUBLISHED)
    ending = "_mean"
    columns = {name: name.removesuffix(ending) for name in map(str, table) if name.endswith(ending)}
    return table.rename(columns=columns), list(columns.values())


def bootstrap_interval(
    values: NDArray[np.float64], level: float, resamples: int, seed: int
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over views.

    Args:
        values: One value per view, without NaN. Shape `(V,)`.
        level: Coverage, in (0, 1).
        resamples: Number of resamples.
        seed: Seed of the draws. For the same seed and number of views they are the same views, so
            all metrics are resampled alike.

    Returns:
        Lower and upper end; NaN when there is no value.
    """
    if len(values) == 0:
        return np.nan, np.nan
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    tail = (1 - level) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


def avatar_scores(
    views: pd.DataFrame,
    metrics: Sequence[str],
    ratings: pd.DataFrame | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per scene: mean over its views, spread, interval, excess over the baseline, quality.

    Args:
        views: Scores of views: subject, prompt, strength, view and the metrics.
        metrics: Columns to summarize.
        ratings: Quality per avatar; without it there is no column `quality`.
        level: Coverage of the bootstrap interval.
        resamples: Resamples of the bootstrap.
        seed: Seed of the bootstrap.

    Returns:
        The columns subject, prompt, strength and views. If `views` has them: pairs_used and
        pairs_left_out (sums), edit_strength, edit_strength_ssim and sharpness (means). For each
        metric: `{metric}`, `{metric}_sd` (of a sample), `{metric}_ci_low`, `{metric}_ci_high` and
        `{metric}_excess` over the same subject's baseline. The excess is the mean of the views' own
        excess if they have one, otherwise the difference of the means; it is NaN without a
        baseline. If `views` has it: `{metric}_ceiling` (of shuffled views). At last quality.
    """
    rows = []
    for labels, scene in views.groupby(KEYS, sort=False):
        row = dict(zip(KEYS, labels, strict=True)) | {"views": len(scene)}
        row |= {name: scene[name].sum() for name in COUNTS if name in scene}
        row |= {name: scene[name].mean() for name in EDIT_COLUMNS if name in scene}
        for metric in metrics:
            values = scene[metric].dropna().to_numpy(np.float64)
            interval = bootstrap_interval(values, level, resamples, seed)
            row[metric] = values.mean() if len(values) else np.nan
            row[f"{metric}_sd"] = values.std(ddof=1) if len(values) > 1 else np.nan
            row[f"{metric}_ci_low"], row[f"{metric}_ci_high"] = interval
            for part in ("_excess", "_ceiling"):
                if (column := metric + part) in scene:
                    row[column] = scene[column].mean()
            row.setdefault(f"{metric}_excess", np.nan)
        rows.append(row)
    table = pd.DataFrame(rows)
    baselines = table[table["prompt"] == BASELINE].set_index("subject")
    for metric in metrics:
        if f"{metric}_excess" not in views:
            excess = table[metric] - table["subject"].map(baselines[metric])
            table[f"{metric}_excess"] = excess
    return table if ratings is None else table.merge(ratings, on=KEYS, how="left")


def with_flicker(avatars: pd.DataFrame, films: pd.DataFrame) -> pd.DataFrame:
    """The table of avatars with the flicker of their films, and its excess over the baseline's.

    Args:
        avatars: From `avatar_scores`.
        films: One row per film: subject, prompt, strength, `short_...` and `long_...`.

    Returns:
        `avatars` with these columns and `{column}_excess`; NaN for scenes without a film.
    """
    names = [name for name in films if name.startswith(("short_", "long_"))]
    table = avatars.merge(films[[*KEYS, *names]], on=KEYS, how="left")
    baselines = table[table["prompt"] == BASELINE].set_index("subject")
    floors = {name: table["subject"].map(baselines[name]) for name in names}
    return table.assign(**{f"{name}_excess": table[name] - floors[name] for name in names})


def thresholds(avatars: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean of each metric over the scenes of one quality rating, best quality first.

    A baseline counts if it is rated. A floor never counts.

    Args:
        avatars: Score table, with `quality` where there are ratings.
        metrics: Columns to summarize.

    Returns:
        quality, metric, mean, n; no row without ratings.
    """
    rows = [
        {"quality": quality, "metric": metric, "mean": values.mean(), "n": len(values)}
        for quality, group in _rated(avatars).groupby("quality")
        for metric in metrics
        if len(values := group[metric].dropna())
    ]
    table = pd.DataFrame(rows, columns=["quality", "metric", "mean", "n"])
    return table.sort_values("quality", ascending=False, kind="stable", ignore_index=True)


def compare_strengths(
    avatars: pd.DataFrame, metrics: Sequence[str], prompts: Iterable[str]
) -> pd.DataFrame:
    """Compare each low-strength avatar with the high-strength one of its subject and prompt.

    Args:
        avatars: Score table.
        metrics: Columns to compare.
        prompts: Prompts to compare. A prompt that lacks a strength is left out.

    Returns:
        One row per metric. metric and pairs (their number); lower_at_low, the number of pairs whose
        score is lower at low strength; mean_difference, q1_difference, median_difference and
        q3_difference, high minus low of the mean and of the quartiles; wilcoxon and wilcoxon_p, the
        two-sided Wilcoxon signed-rank test over the pairs; rank_biserial, the matched-pairs
        rank-biserial correlation as effect size. It is 1 if every pair is lower at low strength,
        and -1 if none is.
    """
    chosen = avatars[avatars["prompt"].isin(list(prompts))]
    rows = []
    for metric in metrics:
        wide = chosen.pivot(index=["subject", "prompt"], columns="strength", values=metric)
        wide = wide.reindex(columns=["low", "high"]).dropna()
        rows.append({"metric": metric} | _paired(wide["low"].to_numpy(), wide["high"].to_numpy()))
    return pd.DataFrame(rows)


def agreement(avatars: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Rank correlation of each metric with quality over the stylized avatars.

    A metric that is lower for better avatars correlates negatively.

    Args:
        avatars: Score table, with `quality` where there are ratings.
        metrics: Columns to correlate.

    Returns:
        The columns metric, n, spearman, spearman_p, kendall (tau-b), kendall_p. Without ratings
        there are no rows.
    """
    columns = ["metric", "n", "spearman", "spearman_p", "kendall", "kendall_p"]
    rated = _rated(avatars)
    rated = rated[~rated["prompt"].isin(NOT_AVATARS)]
    rows = []
    for metric in metrics if len(rated) else ():
        both = rated[[metric, "quality"]].dropna()
        # Without two different values on either side there is no ranking to agree with.
        ranked = len(both) > 1 and (both.nunique() > 1).all()
        correlations = [
            value
            for test in (scipy.stats.spearmanr, scipy.stats.kendalltau)
            for value in (test(both[metric], both["quality"]) if ranked else (np.nan, np.nan))
        ]
        rows.append(dict(zip(columns, [metric, len(both), *correlations], strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _rated(avatars: pd.DataFrame) -> pd.DataFrame:
    if "quality" not in avatars:
        return avatars.iloc[:0].assign(quality=np.nan)
    return avatars[avatars["quality"].notna() & (avatars["prompt"] != FLOOR)]


def _paired(low: NDArray[np.float64], high: NDArray[np.float64]) -> dict[str, float]:
    """Statistics of `high - low` over pairs; see `compare_strengths`."""
    count = len(low)
    result = {"pairs": count, "lower_at_low": int((low < high).sum())}
    names = ["mean_difference", "q1_difference", "median_difference", "q3_difference"]
    names += ["wilcoxon", "wilcoxon_p", "rank_biserial"]
    if count == 0:
        return result | dict.fromkeys(names, np.nan)
    quartiles = np.quantile(high, [0.25, 0.5, 0.75]) - np.quantile(low, [0.25, 0.5, 0.75])
    difference = high - low
    nonzero = difference[difference != 0]
    if len(nonzero) == 0:
        test = (0.0, 1.0, 0.0)
    else:
        statistic, p = scipy.stats.wilcoxon(nonzero)
        ranks = scipy.stats.rankdata(np.abs(nonzero))
        test = (statistic, p, float((ranks * np.sign(nonzero)).sum() / ranks.sum()))
    return result | dict(zip(names, [difference.mean(), *quartiles, *test], strict=True))
