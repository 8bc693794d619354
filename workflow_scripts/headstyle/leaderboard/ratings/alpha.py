"""Krippendorff's alpha: how far people agree beyond chance (Krippendorff 2004, chapter 11)."""

import numpy as np
from numpy.typing import NDArray


def krippendorff_alpha(ratings: NDArray[np.float64]) -> float:
    """Alpha for ordinal values: 1 for full agreement, 0 for chance, below 0 for opposition.

    Args:
        ratings: One row per person, one column per thing; NaN where a person said nothing. Shape
            `(R, N)`.

    Returns:
        Alpha; NaN where fewer than two people judged one thing, or all values are equal.
    """
    known = ~np.isnan(ratings)
    values = np.unique(ratings[known])
    counts = np.array([(ratings == value).sum(axis=0) for value in values], np.float64).T
    if not counts.size:
        return float("nan")
    per_thing = counts.sum(axis=1)
    counts, per_thing = counts[per_thing > 1], per_thing[per_thing > 1]
    # How often two people gave the values of row and column to one thing.
    pairs = counts.T @ (counts / (per_thing - 1)[:, None]) - np.diag(
        (counts / (per_thing - 1)[:, None]).sum(axis=0)
    )
    totals = pairs.sum(axis=1)
    if len(totals) < 2 or totals.sum() <= 1:
        return float("nan")
    distances = _ordinal_distances(totals)
    by_chance = np.outer(totals, totals) - np.diag(totals)
    expected = (by_chance * distances).sum() / (totals.sum() - 1)
    if expected == 0:
        return float("nan")
    return float(1 - (pairs * distances).sum() / expected)


def _ordinal_distances(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances of values by the numbers of answers between them. Shape `(V, V)`."""
    middles = np.cumsum(totals) - totals / 2
    return np.asarray((middles[:, None] - middles[None, :]) ** 2)
