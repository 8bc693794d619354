"""What is measured of one scene, and the references that its scores are read against."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from analytic import cameras_around, photograph
from headstyle.consistency.measuring import (
    Comparison,
    ceiling,
    measure,
    measure_with_kinds,
    remarks,
    with_labels,
)
from headstyle.consistency.metrics import metric_class
from headstyle.consistency.metrics.headline import headline
from headstyle.consistency.parts.kinds import read_kinds, write_kinds
from headstyle.consistency.scoring import SETTINGS, score
from headstyle.consistency.statistics import EDIT_COLUMNS

NAMES = ["rmse", "ciede2000"]
EXCESS = ["rmse_excess", "ciede2000_excess"]
METRICS = dict(SETTINGS) | {"names": NAMES}
PAIRS = [("v0", "v1"), ("v0", "v2"), ("v1", "v0"), ("v2", "v0")]


@pytest.fixture(scope="module")
def scene() -> Comparison:
    """Three photographs of one head; what is compared is what it was before."""
    cameras = cameras_around([-10, 0, 12], [(72, 96), (72, 96), (96, 72)])
    images, depths = photograph(cameras)
    return Comparison(images, depths, cameras, PAIRS, unedited=images)


def darkened(scene: Comparison, factor: float) -> Comparison:
    """The scene with all colors of its views multiplied by `factor`."""
    return replace(scene, images=[image * np.float32([factor] * 3 + [1]) for image in scene.images])


def test_without_a_floor_the_excess_is_empty(scene):
    pairs, views = measure(scene, METRICS, seed=1)
    for table in (pairs, views):
        assert table[EXCESS].isna().all(axis=None)
        assert table[NAMES].notna().all(axis=None)


def test_the_unedited_scene_is_its_own_floor(scene):
    pairs, views = measure(scene, METRICS, seed=1, is_baseline=True)
    for table in (pairs, views):
        assert (table[EXCESS] == 0).all(axis=None)


def test_half_the_colors_are_half_the_rmse_so_the_excess_is_minus_half_the_floor(scene):
    floor, _ = measure(scene, METRICS, seed=1, is_baseline=True)
    pairs, _ = measure(darkened(scene, 0.5), METRICS, seed=1, floor=floor)
    assert pairs["rmse_excess"].to_numpy() == pytest.approx(-floor["rmse"].to_numpy() / 2)


def test_a_pair_that_the_floor_lacks_has_no_excess(scene):
    floor, _ = measure(scene, METRICS, seed=1, is_baseline=True)
    pairs, _ = measure(scene, METRICS, seed=1, floor=floor.iloc[1:])
    assert list(pairs["rmse_excess"].isna()) == [True, False, False, False]


def test_the_ceiling_scores_worse_than_the_scene_in_every_pair(scene):
    pairs, views = measure(scene, METRICS, seed=1)
    for name in NAMES:
        assert (pairs[f"{name}_ceiling"] > 2 * pairs[name]).all()
        assert (views[f"{name}_ceiling"] > 2 * views[name]).all()


def test_a_metric_without_a_ceiling_is_left_out_of_it(scene, monkeypatch):
    monkeypatch.setattr(metric_class("ciede2000"), "has_ceiling", False)
    assert list(ceiling(scene, METRICS, seed=1).columns[3:]) == ["rmse"]
    pairs, views = measure(scene, METRICS, seed=1)
    for table in (pairs, views):
        assert "ciede2000" in table
        assert "rmse_ceiling" in table
        assert "ciede2000_ceiling" not in table


def test_the_scores_are_those_of_score(scene):
    pairs, _ = measure(scene, METRICS, seed=1)
    alone = score(scene.images, scene.depths, scene.cameras, PAIRS, settings=METRICS)
    assert pairs[list(alone.columns)].equals(alone)


def test_the_strength_of_the_edit_stands_before_the_metrics_where_unedited_views_are_known(scene):
    _, views = measure(darkened(scene, 0.5), METRICS, seed=1)
    assert list(views.columns[:6]) == ["view", "neighbours", *EDIT_COLUMNS, "rmse"]
    assert (views["edit_strength"] > 20).all()
    _, views = measure(replace(scene, unedited=None), METRICS, seed=1)
    assert list(views.columns[:3]) == ["view", "neighbours", "rmse"]


def test_nothing_is_remarked_where_all_pairs_are_compared(scene):
    assert remarks(*measure(scene, METRICS, seed=1), min_overlap=0.1) == []


def test_pairs_without_a_shared_pixel_and_views_alone_are_remarked(scene):
    hidden = [*scene.depths[:2], np.zeros_like(scene.depths[2])]
    assert remarks(*measure(replace(scene, depths=hidden), METRICS, seed=1), min_overlap=0.1) == [
        "2 pairs share no pixel and are left out of the means",
        "1 views have nothing to be compared with: ['v2']",
    ]


def test_pairs_below_the_least_overlap_are_remarked_where_a_metric_leaves_them_out(scene):
    settings = METRICS | {"names": ["rmse", "rmse_corrected"], "min_overlap": 0.999}
    assert remarks(*measure(scene, settings, seed=1), min_overlap=0.999) == [
        "4 pairs share less than 0.999 of a head: not compared by all"
    ]


def test_labels_come_first():
    table = with_labels(pd.DataFrame({"view": ["a", "b"]}), "A", "P4", "low")
    assert list(table.columns) == ["subject", "prompt", "strength", "view"]
    assert table.to_numpy().tolist() == [["A", "P4", "low", "a"], ["A", "P4", "low", "b"]]


def test_the_kinds_of_a_pair_give_its_headline_score_and_survive_their_file(scene, tmp_path):
    settings = METRICS | {"names": ("rmse", "headline")}
    images = [image * np.float32([0.9**i] * 3 + [1]) for i, image in enumerate(scene.images)]
    pairs, _, kinds = measure_with_kinds(replace(scene, images=images), settings, seed=1)
    write_kinds(tmp_path / "kinds.npz", kinds)
    found, index = read_kinds(tmp_path / "kinds.npz"), scene.cameras.index
    places = [sorted(map(index, names)) for names in zip(pairs.target, pairs.source, strict=True)]
    values = headline(torch.tensor(np.array([found[first, last].kinds for first, last in places])))
    known = pairs["headline"].notna()
    assert known.any()
    assert values.numpy()[known] == pytest.approx(pairs["headline"][known], abs=1e-5)
    assert {pair: found[pair].arrows.tolist() for pair in found} == {
        pair: kinds[pair].arrows.tolist() for pair in kinds
    }


def test_without_the_headline_score_there_are_no_kinds(scene, tmp_path):
    *_, kinds = measure_with_kinds(scene, METRICS, seed=1)
    write_kinds(tmp_path / "kinds.npz", kinds)
    assert read_kinds(tmp_path / "kinds.npz") == {}
