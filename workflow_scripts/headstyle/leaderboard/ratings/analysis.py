"""What the answers mean: strengths of methods, agreement of people, and of metrics with them.

Intervals come from a bootstrap that draws people and items, both with replacement.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import choix
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from headstyle.leaderboard.ranking import Resampling
from headstyle.leaderboard.ratings.alpha import krippendorff_alpha
from headstyle.leaderboard.ratings.answers import CHOICES, Answer
from headstyle.leaderboard.ratings.page import Item

# Keeps the strength of a method that won or lost everything finite.
_REGULARIZATION = 0.05

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """All answers as arrays, one entry per answer."""

    methods: tuple[str, ...]
    raters: tuple[str, ...]
    items: tuple[Item, ...]
    rater: NDArray[np.int64]
    item: NDArray[np.int64]
    left: NDArray[np.int64]
    """Method on the left."""
    right: NDArray[np.int64]
    won: Array
    """What the answer counts for the left side: 1, 0.5 or 0."""
    ratings: Array
    """Ratings of the left and the right side. Shape `(N, 2)`."""

    @classmethod
    def of(cls, answers: Sequence[Answer], key: Mapping[str, Item]) -> "Answers":
        """The answers, at least one, with what the key says of their items."""
        items = [key[number] for number in dict.fromkeys(a.item for a in answers)]
        methods = sorted({name for item in items for name in (item.left, item.right)})
        raters = sorted({answer.rater for answer in answers})
        places = {item.item: place for place, item in enumerate(items)}
        return cls(
            tuple(methods),
            tuple(raters),
            tuple(items),
            np.array([raters.index(a.rater) for a in answers]),
            np.array([places[a.item] for a in answers]),
            np.array([methods.index(key[a.item].left) for a in answers]),
            np.array([methods.index(key[a.item].right) for a in answers]),
            np.array([CHOICES[a.choice] for a in answers]),
            np.array([(a.left, a.right) for a in answers], np.float64),
        )

    def resamples(self, resampling: Resampling) -> Iterator[Array]:
        """How often each answer counts, in each resample. Shape `(N,)` each."""
        random = np.random.default_rng(resampling.seed)
        for _ in range(resampling.resamples):
            times = [
                random.multinomial(count, np.full(count, 1 / count)).astype(np.float64)
                for count in (len(self.raters), len(self.items))
            ]
            yield times[0][self.rater] * times[1][self.item]


def method_strengths(answers: Answers, resampling: Resampling) -> pd.DataFrame:
    """Strengths of the methods by the model of Bradley and Terry, best first.

    The odds that people prefer one method over another are the exponential of the difference of
    their strengths. The strengths have mean 0. An answer "no difference" is half a win for each.

    Returns:
        method, strength, ci_low, ci_high, wins, ties, losses, rating (the mean), rating_ci_low,
        rating_ci_high.
    """
    strengths, ratings = _with_intervals(
        answers,
        resampling,
        lambda times: np.stack([_strengths(answers, times), _means(answers, times)]),
    )
    sides = ((answers.left, answers.won), (answers.right, 1 - answers.won))
    rows = []
    for m, name in enumerate(answers.methods):
        won = np.concatenate([result[which == m] for which, result in sides])
        rows.append(
            {
                "method": name,
                **dict(zip(("strength", "ci_low", "ci_high"), strengths[:, m], strict=True)),
                **{"wins": int((won == 1).sum()), "ties": int((won == 0.5).sum())},
                "losses": int((won == 0).sum()),
                **dict(
                    zip(("rating", "rating_ci_low", "rating_ci_high"), ratings[:, m], strict=True)
                ),
            }
        )
    table = pd.DataFrame(rows)
    return table.sort_values("strength", ascending=False, kind="stable", ignore_index=True)


def people_agreement(answers: Answers, resampling: Resampling) -> pd.DataFrame:
    """Krippendorff's alpha of the choices and of the ratings, both as ordinal values.

    The intervals draw items; people are those who answered.

    Returns:
        answer (choice or rating), raters, things, alpha, ci_low, ci_high.
    """
    shape = (len(answers.raters), len(answers.items))
    choices, ratings = np.full(shape, np.nan), np.full((*shape, 2), np.nan)
    choices[answers.rater, answers.item] = answers.won
    ratings[answers.rater, answers.item] = answers.ratings
    random = np.random.default_rng(resampling.seed)
    drawn = random.integers(shape[1], size=(resampling.resamples, shape[1]))
    rows = []
    for name, table in (("choice", choices[..., None]), ("rating", ratings)):
        draws = [
            krippendorff_alpha(table[:, places].reshape(shape[0], -1))
            for places in (np.arange(shape[1]), *drawn)
        ]
        low, high = _ends(np.array(draws[1:])[:, None], resampling.level)
        things = int((~np.isnan(table)).any(axis=0).sum())
        labels = {"answer": name, "raters": shape[0], "things": things}
        rows.append({**labels, "alpha": draws[0], "ci_low": low[0], "ci_high": high[0]})
    return pd.DataFrame(rows)


def metric_agreement(
    answers: Answers,
    scenes: pd.DataFrame,
    metrics: Mapping[str, bool],
    resampling: Resampling,
) -> pd.DataFrame:
    """How well each metric agrees with the people.

    Args:
        answers: The answers.
        scenes: Means of the metrics by method, subject and prompt.
        metrics: For each metric whether higher is better.
        resampling: How intervals are drawn.

    Returns:
        One row per metric, best first, and the row `people`: metric; preferred, the part of the
        answers other than "no difference" that prefer the side which the metric prefers (people:
        which the majority of the others prefers), with ci_low and ci_high; spearman, the rank
        correlation of metric and mean rating over the judged scenes of methods, oriented so that 1
        is best, with spearman_ci_low and spearman_ci_high.
    """
    values = scenes.set_index(["method", "subject", "prompt"])
    rows = []
    for metric, higher in metrics.items():
        sides = [
            np.array([_value(values, metric, getattr(i, side), i) for i in answers.items])
            for side in ("left", "right")
        ]
        goodness = np.stack(sides, axis=1) * (1 if higher else -1)
        rows.append({"metric": metric} | _agreement_of(answers, goodness, resampling))
    table = pd.DataFrame(rows).sort_values("preferred", ascending=False, kind="stable")
    people = {"metric": "people"} | _people_row(answers, resampling)
    return pd.concat([table, pd.DataFrame([people])], ignore_index=True)


def _agreement_of(answers: Answers, goodness: Array, resampling: Resampling) -> dict[str, float]:
    """Agreement of one metric, given how good it finds both sides of each item, `(I, 2)`."""
    difference = (goodness[:, 0] - goodness[:, 1])[answers.item]
    decided = (answers.won != 0.5) & ~np.isnan(difference)
    # A metric that prefers neither side is right by half.
    right = np.where(difference == 0, 0.5, (difference > 0) == (answers.won == 1))
    clips, places = _clips(answers)
    by_clip = np.full(len(clips), np.nan)
    by_clip[places.ravel()] = goodness[answers.item].ravel()

    def both(times: Array) -> Array:
        weights = np.where(decided, times, 0)
        share = (weights * right).sum() / weights.sum() if weights.sum() else np.nan
        return np.array([share, _rank_correlation(by_clip, _clip_means(answers, places, times))])

    found = _with_intervals(answers, resampling, lambda times: both(times)[:, None])[:, :, 0]
    names = ("preferred", "ci_low", "ci_high")
    return dict(zip(names, found[0], strict=True)) | {
        f"spearman{name}": value
        for name, value in zip(("", "_ci_low", "_ci_high"), found[1], strict=True)
    }


def _people_row(answers: Answers, resampling: Resampling) -> dict[str, float]:
    """How often a person prefers what the majority of the others prefers."""
    lean = answers.won - 0.5
    sums = np.bincount(answers.item, lean, minlength=len(answers.items))
    others = sums[answers.item] - lean
    decided = (lean != 0) & (np.bincount(answers.item)[answers.item] > 1)
    right = np.where(others == 0, 0.5, (others > 0) == (lean > 0))

    def share(times: Array) -> Array:
        weights = np.where(decided, times, 0)
        total = weights.sum()
        return np.array([[(weights * right).sum() / total if total else np.nan]])

    found = _with_intervals(answers, resampling, share)[0, :, 0]
    return dict(zip(("preferred", "ci_low", "ci_high"), found, strict=True))


def _with_intervals(
    answers: Answers, resampling: Resampling, measure: Callable[[Array], Array]
) -> Array:
    """A measure of weighted answers, `(K, M)`, with both ends of its intervals. `(K, 3, M)`."""
    plain = measure(np.ones(len(answers.won)))
    draws = np.stack([measure(times) for times in answers.resamples(resampling)])
    low, high = _ends(draws, resampling.level)
    return np.stack([plain, low, high], axis=1)


def _ends(draws: Array, level: float) -> tuple[Array, Array]:
    """Ends of the intervals over the first axis, without what is NaN."""
    tail = (1 - level) / 2
    known = ~np.isnan(draws).all(axis=0)
    filled = np.where(known, draws, 0.0)
    low, high = np.nanquantile(filled, [tail, 1 - tail], axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _strengths(answers: Answers, times: Array) -> Array:
    count = len(answers.methods)
    wins = np.zeros((count, count))
    np.add.at(wins, (answers.left, answers.right), times * answers.won)
    np.add.at(wins, (answers.right, answers.left), times * (1 - answers.won))
    found = choix.ilsr_pairwise_dense(wins, alpha=_REGULARIZATION, max_iter=500)
    return np.asarray(found - found.mean())


def _means(answers: Answers, times: Array) -> Array:
    """Mean rating of each method."""
    which = np.concatenate([answers.left, answers.right])
    weights, ratings = np.tile(times, 2), answers.ratings.T.ravel()
    totals = np.bincount(which, weights, minlength=len(answers.methods))
    sums = np.bincount(which, weights * ratings, minlength=len(answers.methods))
    return np.asarray(np.where(totals > 0, sums / np.maximum(totals, 1e-12), np.nan))


def _clips(answers: Answers) -> tuple[list[tuple[str, str, str]], NDArray[np.int64]]:
    """All judged scenes of methods, and which of them stand on both sides of each answer."""
    sides = [
        [(method, item.subject, item.prompt) for method in (item.left, item.right)]
        for item in answers.items
    ]
    clips = list(dict.fromkeys(clip for pair in sides for clip in pair))
    numbers = {clip: place for place, clip in enumerate(clips)}
    of_items = np.array([[numbers[clip] for clip in pair] for pair in sides])
    return clips, of_items[answers.item]


def _clip_means(answers: Answers, places: NDArray[np.int64], times: Array) -> Array:
    """Mean rating of each judged scene of a method; NaN where nothing was drawn."""
    count = int(places.max()) + 1
    weights = np.repeat(times, 2)
    totals = np.bincount(places.ravel(), weights, minlength=count)
    sums = np.bincount(places.ravel(), weights * answers.ratings.ravel(), minlength=count)
    return np.asarray(np.where(totals > 0, sums / np.maximum(totals, 1e-12), np.nan))


def _rank_correlation(first: Array, second: Array) -> float:
    known = ~np.isnan(first) & ~np.isnan(second)
    if len(np.unique(first[known])) < 2 or len(np.unique(second[known])) < 2:
        return float("nan")
    return float(stats.spearmanr(first[known], second[known]).statistic)


def _value(values: pd.DataFrame, metric: str, method: str, item: Item) -> float:
    place = (method, item.subject, item.prompt)
    return float(values.loc[place, metric]) if place in values.index else float("nan")
