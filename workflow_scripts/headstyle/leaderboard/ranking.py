"""Ranks of methods, with intervals by the bootstrap.

All methods are scored on the same scenes (subject and prompt), and in each scene on the same units:
pairs of views, or views. A resample draws subjects, prompts, and in each scene units, all with
replacement, and is the same for all methods. So what is hard for all of them is in no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

UNITS = ["subject", "prompt", "unit"]
"""Columns that name what methods are compared on."""
# Pairs that differ by less are equal: what is left of it is rounding.
_EQUAL = 1e-9

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn."""

    resamples: int = 1000
    """Number of resamples."""
    level: float = 0.95
    """Coverage of the intervals, in (0, 1)."""
    seed: int = 0
    """Seed of the draws."""


@dataclass(frozen=True)
class Ranking:
    """How methods stand by one metric."""

    table: pd.DataFrame
    """One row per method, best first: method, score, ci_low, ci_high, scenes, rank (NaN where it
    takes none), rank_ci_low, rank_ci_high, tied_with (names, separated by spaces)."""
    duels: pd.DataFrame
    """One row per ordered pair of methods: method, other, units, wins, ties, losses, difference
    (above 0 is better for `method`), ci_low, ci_high, verdict (better, worse or tied)."""


def rank(
    values: pd.DataFrame,
    metric: str,
    *,
    higher_is_better: bool,
    unranked: Sequence[str] = (),
    resampling: Resampling | None = None,
) -> Ranking:
    """Rank methods by the mean of a metric over scenes; a scene has the mean over its units.

    A method's rank is 1 plus the number of ranked methods that are better: whose difference has an
    interval on one side of 0. So methods that cannot be told apart share ranks. Methods that lack
    scenes are compared where both have one, and take no rank.

    Args:
        values: The columns method, subject, prompt, unit and the metric; NaN where it has no value.
        metric: The column.
        higher_is_better: Its direction.
        unranked: Methods that take no rank.
        resampling: How intervals are drawn; by default `Resampling()`.
    """
    resampling = resampling or Resampling()
    names = list(dict.fromkeys(values["method"]))
    wide = values.pivot_table(index=UNITS, columns="method", values=metric, aggfunc="mean")
    wide = wide.reindex(columns=names)
    plain, drawn = _scene_means(wide, resampling)
    scores, draws = _means(plain[None])[0], _means(drawn)
    lacking = [bool(np.isnan(scenes).any()) for scenes in plain]
    ranked = [i for i, n in enumerate(names) if n not in unranked and not lacking[i]]
    sign = 1.0 if higher_is_better else -1.0
    duels = [
        _duel(names, wide, (i, j), sign, (plain, drawn), resampling.level)
        for i in range(len(names))
        for j in range(len(names))
        if i != j
    ]
    verdicts = {(duel["method"], duel["other"]): duel["verdict"] for duel in duels}
    places = _places(sign * draws, ranked, resampling.level)
    rows = []
    for i in np.argsort(np.where(np.isnan(scores), np.inf, -sign * scores), kind="stable"):
        low, high = _interval(draws[:, i], resampling.level)
        others = [names[j] for j in ranked if j != i]
        is_ranked = i in ranked
        worse = sum(verdicts[names[i], other] == "worse" for other in others)
        tied = [other for other in others if verdicts[names[i], other] == "tied"]
        rows.append(
            {
                "method": names[i],
                "score": scores[i],
                "ci_low": low,
                "ci_high": high,
                "scenes": int((~np.isnan(plain[i])).sum()),
                "rank": 1 + worse if is_ranked else np.nan,
                "rank_ci_low": places[i][0] if is_ranked else np.nan,
                "rank_ci_high": places[i][1] if is_ranked else np.nan,
                "tied_with": " ".join(tied) if is_ranked else "",
            }
        )
    return Ranking(pd.DataFrame(rows), pd.DataFrame(duels))


def _scene_means(wide: pd.DataFrame, resampling: Resampling) -> tuple[Array, Array]:
    """Means of each method's scenes `(M, S)`, and those of each resample `(B, M, S, weight)`.

    The last axis of the second holds the mean, and how often the resample drew the scene.
    """
    random = np.random.default_rng(resampling.seed)
    scenes = list(wide.groupby(level=[0, 1], sort=False))
    subjects = list(dict.fromkeys(key[0] for key, _ in scenes))
    prompts = list(dict.fromkeys(key[1] for key, _ in scenes))
    count, methods = resampling.resamples, wide.shape[1]
    times = [
        random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
        for names in (subjects, prompts)
    ]
    plain = np.full((methods, len(scenes)), np.nan)
    drawn = np.zeros((count, methods, len(scenes), 2))
    for s, ((subject, prompt), scene) in enumerate(scenes):
        cells = scene.to_numpy(np.float64)
        known = ~np.isnan(cells)
        filled = np.where(known, cells, 0.0)
        chances = np.full(len(cells), 1 / len(cells))
        weights = random.multinomial(len(cells), chances, size=count).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            plain[:, s] = filled.sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), 0)
            drawn[:, :, s, 0] = (weights @ filled) / (weights @ known)
        both = times[0][:, subjects.index(subject)] * times[1][:, prompts.index(prompt)]
        drawn[:, :, s, 1] = both[:, None]
    return plain, drawn


def _means(scenes: Array) -> Array:
    """Means over scenes: of plain ones `(1, M, S)`, or of drawn ones `(B, M, S, 2)`. `(B, M)`."""
    values, weights = (
        (scenes, np.ones_like(scenes)) if scenes.ndim == 3 else (scenes[..., 0], scenes[..., 1])
    )
    known = ~np.isnan(values)
    weights = np.where(known, weights, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((np.where(known, values, 0) * weights).sum(-1) / weights.sum(-1))


def _duel(
    names: Sequence[str],
    wide: pd.DataFrame,
    pair: tuple[int, int],
    sign: float,
    scenes: tuple[Array, Array],
    level: float,
) -> dict[str, object]:
    """Two methods where both have values."""
    i, j = pair
    plain, drawn = scenes
    units = sign * (wide[names[i]] - wide[names[j]]).dropna().to_numpy(np.float64)
    difference = sign * _means((plain[[i]] - plain[[j]])[None])[0, 0]
    both = drawn[:, i : i + 1].copy()
    both[..., 0] -= drawn[:, j : j + 1, :, 0]
    low, high = _interval(sign * _means(both)[:, 0], level)
    verdict = "better" if low > _EQUAL else "worse" if high < -_EQUAL else "tied"
    return {
        "method": names[i],
        "other": names[j],
        "units": len(units),
        "wins": int((units > _EQUAL).sum()),
        "ties": int((np.abs(units) <= _EQUAL).sum()),
        "losses": int((units < -_EQUAL).sum()),
        "difference": difference,
        "ci_low": low,
        "ci_high": high,
        "verdict": verdict if len(units) else "no scene in common",
    }


def _places(goodness: Array, ranked: Sequence[int], level: float) -> dict[int, tuple[int, int]]:
    """Interval of each ranked method's place among them over the resamples `(B, M)`."""
    shown = goodness[:, list(ranked)]
    shown = shown[~np.isnan(shown).any(axis=1)]
    if not len(shown):
        return {i: (1, len(ranked)) for i in ranked}
    places = 1 + (shown[:, None, :] > shown[:, :, None] + _EQUAL).sum(axis=2)
    tail = (1 - level) / 2
    low = np.quantile(places, tail, axis=0, method="lower")
    high = np.quantile(places, 1 - tail, axis=0, method="higher")
    return {i: (int(low[k]), int(high[k])) for k, i in enumerate(ranked)}


def _interval(draws: Array, level: float) -> tuple[float, float]:
    known = draws[~np.isnan(draws)]
    if not len(known):
        return np.nan, np.nan
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
