"""Simulated people of known noise: what the analysis finds is what was put in."""

import csv

import krippendorff
import numpy as np
import pandas as pd
import pytest
from headstyle.base.errors import InputError
from headstyle.leaderboard.ranking import Resampling
from headstyle.leaderboard.ratings.alpha import krippendorff_alpha
from headstyle.leaderboard.ratings.analysis import (
    Answers,
    method_strengths,
    metric_agreement,
    people_agreement,
)
from headstyle.leaderboard.ratings.answers import Answer, read_answers, read_key, write_key
from headstyle.leaderboard.ratings.page import Item, choose_items, ratings_page

QUICK = Resampling(resamples=40)
STRENGTHS = {"a": 1.5, "b": 0.5, "c": -0.5, "d": -1.5}
SCENES = {(s, p): list(STRENGTHS) for s in "ABCD" for p in ("P1", "P2")}
ITEMS = choose_items(SCENES, 48, seed=0)
KEY = {item.item: item for item in ITEMS}


def simulated(noise: float, raters: int = 6, seed: int = 0) -> Answers:
    """Answers of people who see each method's strength with logistic noise of the given scale."""
    random = np.random.default_rng(seed)
    answers = []
    for rater in range(raters):
        for item in ITEMS:
            truth = [STRENGTHS[method] for method in (item.left, item.right)]
            difference = truth[0] - truth[1] + random.logistic(0, noise)
            choice = "equal" if abs(difference) < 0.2 else "left" if difference > 0 else "right"
            seen = [np.clip(round(t + 1.5 + random.normal(0, noise)), 0, 3) for t in truth]
            answers.append(Answer(f"r{rater}", item.item, choice, int(seen[0]), int(seen[1])))
    return Answers.of(answers, KEY)


def scores(**metrics) -> pd.DataFrame:
    """Means of made-up metrics, functions of a method's strength."""
    return pd.DataFrame(
        [
            {"method": method, "subject": s, "prompt": p}
            | {name: metric(strength) for name, metric in metrics.items()}
            for (s, p) in SCENES
            for method, strength in STRENGTHS.items()
        ]
    )


def test_bradley_and_terry_find_the_strengths_that_the_people_had():
    table = method_strengths(simulated(noise=1.0, raters=12), QUICK)
    assert list(table["method"]) == list("abcd")
    found = table.set_index("method")["strength"]
    np.testing.assert_allclose([found[m] for m in "abcd"], [*STRENGTHS.values()], atol=0.4)
    assert abs(found.sum()) < 1e-6
    assert (table["ci_low"] < table["strength"]).all()
    assert (table["strength"] < table["ci_high"]).all()
    assert table["rating"].is_monotonic_decreasing
    assert table[["wins", "ties", "losses"]].sum(axis=1).eq(12 * 24).all()


def test_a_method_that_wins_always_has_a_finite_strength():
    answers = [Answer("r", item.item, "left", 3, 0) for item in ITEMS if item.left == "a"]
    table = method_strengths(Answers.of(answers, KEY), QUICK)
    assert np.isfinite(table["strength"]).all()
    assert table["method"][0] == "a"


def test_people_agree_less_the_noisier_they_are():
    alphas = [
        people_agreement(simulated(noise), QUICK).set_index("answer")["alpha"]
        for noise in (0.05, 1.0, 20.0)
    ]
    assert alphas[0]["choice"] > 0.95
    assert alphas[0]["rating"] > 0.95
    assert 0.2 < alphas[1]["choice"] < 0.95
    assert abs(alphas[2]["choice"]) < 0.15


def test_the_metric_that_sees_what_people_see_agrees_and_random_and_reversed_ones_do_not():
    random = np.random.default_rng(0)
    table = scores(good=lambda s: s, error=lambda s: -s, noise=lambda _: random.random())
    table["reversed"] = -table["good"]
    directions = {"good": True, "error": False, "noise": True, "reversed": True}
    found = metric_agreement(simulated(0.5), table, directions, QUICK).set_index("metric")
    people = found.loc["people", "preferred"]
    assert found.loc["good", "preferred"] == found.loc["error", "preferred"] > 0.8
    assert abs(found.loc["good", "preferred"] - people) < 0.1
    assert found.loc["good", "spearman"] > 0.8
    assert found.loc["reversed", "preferred"] < 0.2
    assert 0.3 < found.loc["noise", "preferred"] < 0.7
    assert abs(found.loc["noise", "spearman"]) < 0.5
    low, high = found.loc["noise", ["ci_low", "ci_high"]]
    assert low < 0.5 < high
    assert next(iter(found.index)) in ("good", "error")


@pytest.mark.parametrize("seed", range(4))
def test_our_alpha_is_that_of_the_package(seed):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, 20)
    ratings = np.clip(truth + random.integers(-1, 2, (4, 20)), 0, 3).astype(float)
    ratings[random.random(ratings.shape) < 0.2] = np.nan
    expected = krippendorff.alpha(ratings, level_of_measurement="ordinal")
    assert krippendorff_alpha(ratings) == pytest.approx(expected, abs=1e-9)


def test_alpha_is_one_for_full_agreement_and_unknown_without_any_variety():
    same = np.array([[0.0, 1, 2, 3]] * 3)
    assert krippendorff_alpha(same) == pytest.approx(1)
    assert np.isnan(krippendorff_alpha(np.ones((3, 4))))
    assert np.isnan(krippendorff_alpha(same[:1]))


def test_every_two_methods_are_judged_about_equally_often_and_on_random_sides():
    counts = pd.Series(["".join(sorted((i.left, i.right))) for i in ITEMS]).value_counts()
    assert len(counts) == 6
    assert counts.max() - counts.min() <= 1
    first = sum(item.left < item.right for item in ITEMS)
    assert 12 < first < 36
    assert len({(i.subject, i.prompt, frozenset((i.left, i.right))) for i in ITEMS}) == 48


def test_the_page_does_not_tell_the_methods_and_the_key_does(tmp_path):
    items = [Item("1", "A", "P1", "our-secret", "their-secret")]
    clips = {(m, "A", "P1"): [f"data:,{i}"] for i, m in enumerate(("our-secret", "their-secret"))}
    html = ratings_page(items, clips, {("A", "P1"): "</script><script>alert(1)"})
    assert "secret" not in html
    assert "<script>alert(1)" not in html
    write_key(tmp_path / "key.csv", items)
    assert read_key(tmp_path / "key.csv") == {"1": items[0]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["x", "99", "left", 1, 1], "not in the key"),
        (["x", "1", "both", 1, 1], "choice is 'both'; allowed: left, equal, right"),
        (["x", "1", "left", 4, 1], "rating left is '4'; allowed: 0, 1, 2, 3"),
        (["x", "1", "left", 1, ""], "rating right is ''"),
        (["y", "1", "left", 1, 1], "answered the item 1 twice"),
    ],
)
def test_answers_that_cannot_be_used_are_told(tmp_path, row, message):
    path = tmp_path / "answers.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["rater", "item", "choice", "left", "right", "seconds"])
        writer.writerows([["y", "1", "left", 3, 0, 2.0], [*row, 1.0]])
    with pytest.raises(InputError, match=message):
        read_answers([path], KEY)
