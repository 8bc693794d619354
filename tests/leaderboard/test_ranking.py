"""Ranks of methods whose order is known."""

import numpy as np
import pandas as pd
import pytest
from headstyle.leaderboard.ranking import Resampling, rank

QUICK = Resampling(resamples=200)


def made_up(qualities: dict[str, float], own_noise: float = 0.05, pairs: int = 30) -> pd.DataFrame:
    """Values of methods on the same units, whose difficulty all methods share."""
    random = np.random.default_rng(0)
    units = [(s, p, f"{s}{p}{u}") for s in "AB" for p in ("P1", "P2") for u in range(pairs)]
    difficulty = random.normal(0, 0.5, len(units))
    return pd.DataFrame(
        [
            (method, *unit, quality + hard + random.normal(0, own_noise))
            for method, quality in qualities.items()
            for unit, hard in zip(units, difficulty, strict=True)
        ],
        columns=["method", "subject", "prompt", "unit", "score"],
    )


def ranks(ranking) -> dict[str, float]:
    return dict(zip(ranking.table["method"], ranking.table["rank"], strict=True))


def test_methods_take_ranks_in_their_true_order_and_equal_ones_share_one():
    values = made_up({"best": 0.9, "twin-1": 0.5, "twin-2": 0.5, "worst": 0.1})
    found = rank(values, "score", higher_is_better=True, resampling=QUICK)
    assert ranks(found) == {"best": 1, "twin-1": 2, "twin-2": 2, "worst": 4}
    tied = found.table.set_index("method")["tied_with"]
    assert tied["twin-1"] == "twin-2"
    assert tied["best"] == ""
    assert ranks(rank(values, "score", higher_is_better=False, resampling=QUICK))["worst"] == 1


def test_the_pairing_tells_methods_apart_whose_own_intervals_overlap():
    values = made_up({"a": 0.60, "b": 0.55}, own_noise=0.02)
    found = rank(values, "score", higher_is_better=True, resampling=QUICK)
    a, b = (found.table.set_index("method").loc[name] for name in "ab")
    assert a["ci_low"] < b["ci_high"]
    assert ranks(found) == {"a": 1, "b": 2}


def test_wins_ties_and_losses_are_counted_over_the_pairs_of_views():
    values = pd.DataFrame(
        [
            (method, "A", "P1", str(unit), value)
            for method, scores in {"a": [3, 2, 1, 1], "b": [1, 2, 0, 0]}.items()
            for unit, value in enumerate(scores)
        ],
        columns=["method", "subject", "prompt", "unit", "score"],
    )
    duels = rank(values, "score", higher_is_better=True, resampling=QUICK).duels
    duels = duels.set_index(["method", "other"])
    assert list(duels.loc[("a", "b"), ["units", "wins", "ties", "losses"]]) == [4, 3, 1, 0]
    assert list(duels.loc[("b", "a"), ["units", "wins", "ties", "losses"]]) == [4, 0, 1, 3]
    assert duels.loc[("a", "b"), "difference"] == pytest.approx(1.0)


def test_references_and_methods_that_lack_scenes_take_no_rank_and_push_nobody_down():
    values = made_up({"reference": 1.0, "partial": 0.8, "a": 0.5, "b": 0.3})
    values = values[~((values["method"] == "partial") & (values["prompt"] == "P2"))]
    found = rank(values, "score", higher_is_better=True, unranked=["reference"], resampling=QUICK)
    places = ranks(found)
    assert np.isnan(places["reference"])
    assert np.isnan(places["partial"])
    assert (places["a"], places["b"]) == (1, 2)
    # On the scenes that both have, the partial method is compared all the same.
    duel = found.duels.set_index(["method", "other"]).loc[("partial", "a")]
    assert duel["units"] == 60
    assert duel["verdict"] == "better"


def test_an_interval_covers_the_difference_as_often_as_it_says():
    """Of 40 comparisons of equal methods about 5 % may be told apart, and 8 at the very most."""
    told = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        values = made_up({"a": 0.5, "b": 0.5})
        values["score"] += random.normal(0, 0.2, len(values))
        found = rank(values, "score", higher_is_better=True, resampling=Resampling(100))
        told += found.duels["verdict"].iloc[0] != "tied"
    assert told <= 8
