"""Truths about the ladders, the traps and what the calibration says of a metric."""

import numpy as np
import pandas as pd
import pytest
from headstyle.calibration.cases import Case, Settings
from headstyle.calibration.ladders import LADDERS, climbed
from headstyle.calibration.page import calibration_page, headline_verdict
from headstyle.calibration.runs import keep_only
from headstyle.calibration.scenes import RigSettings, procedural_views
from headstyle.calibration.scoring import NO_TRAP, mean_scores
from headstyle.calibration.summary import calibrate, half_of
from headstyle.calibration.tables import calibration_table, ladder_steps, oriented, trap_table
from headstyle.calibration.traps import TRAPS, cropped, relit
from headstyle.consistency.scoring import SETTINGS
from skimage.color import rgb2lab

RIG = RigSettings(96, 1, 3, 6.0, 1)
LARGEST = {"color_shift": 12.0, "displacement": 3.0}


def small(**changes) -> Settings:
    settings = {
        "heads": (21, 23),
        "prompts": ("red_hair_blue_shirt",),
        "capture_prompts": (),
        "seeds": (0,),
        "levels": 2,
        "largest": LARGEST,
        "traps": ("background", "fewer_neighbors"),
        "trap_ladders": ("color_shift",),
        "capture_views": 3,
        "neighbors": 2,
        "rig": RIG,
        "metrics": {**SETTINGS, "names": ["rmse", "headline"]},
    }
    return Settings(**settings | changes)


@pytest.fixture(scope="module")
def views():
    return procedural_views(21, "red_hair_blue_shirt", RIG)


def mean_change(views, ladder, amount, seed=0):
    """How far the colors of the head are moved, one number per view [ΔE]."""
    moved = climbed(views, ladder, amount, np.random.default_rng(seed))
    return [
        np.linalg.norm(rgb2lab(a[..., :3]) - rgb2lab(b[..., :3]), axis=2)[a[..., 3] > 0.9].mean()
        for a, b in zip(moved.edited, views.edited, strict=True)
    ]


@pytest.mark.parametrize("ladder", LADDERS)
def test_the_bottom_of_a_ladder_is_the_consistent_scene_and_each_level_moves_it_farther(
    views, ladder
):
    top = 1.0 if LADDERS[ladder].units == "fraction" else 4.0
    assert mean_change(views, ladder, 0) == [0, 0, 0]
    sums = [sum(mean_change(views, ladder, top * share)) for share in (0.25, 0.5, 1)]
    assert 0 < sums[0] < sums[1] < sums[2]


@pytest.mark.parametrize("ladder", LADDERS)
def test_a_ladder_is_the_same_for_the_same_seed_and_another_for_another(views, ladder):
    first, same, other = (mean_change(views, ladder, 0.8, seed) for seed in (3, 3, 4))
    assert first == same
    assert first != other


def test_a_color_shift_has_the_length_it_says(views):
    lengths = mean_change(views, "color_shift", 3.0)
    np.testing.assert_allclose(lengths, 3, rtol=0.1)


def test_style_strength_keeps_all_of_the_edit_in_one_view_and_none_in_another(views):
    weaker = climbed(views, "style_strength", 1.0, np.random.default_rng(0))
    full, none = (
        [np.allclose(a, b, atol=1e-5) for a, b in zip(weaker.edited, other, strict=True)]
        for other in (views.edited, views.unedited)
    )
    assert sum(full) == 1
    # Outside the head color has no meaning.
    shown = [
        np.allclose(a * a[..., 3:], b * b[..., 3:], atol=1e-5)
        for a, b in zip(weaker.edited, views.unedited, strict=True)
    ]
    assert sum(none) <= 1 == sum(shown)


def test_a_relit_head_has_other_light_and_the_same_geometry(views):
    again = procedural_views(21, "red_hair_blue_shirt", RIG, relight=relit)
    for name in ("depths", "unedited", "unedited_depths"):
        for before, after in zip(getattr(views, name), getattr(again, name), strict=True):
            np.testing.assert_array_equal(before, after)
    assert not np.allclose(views.edited[0], again.edited[0], atol=0.05)


def test_a_crop_keeps_where_every_point_is_seen(views):
    cut = cropped(views)
    point = views.features[0]
    for view in range(3):
        before, after = (
            c.intrinsics[view]
            @ (c.world_to_camera[view, :3, :3] @ point + c.world_to_camera[view, :3, 3])
            for c in (views.cameras, cut.cameras)
        )
        column = int(after[0] / after[2])
        row = int(after[1] / after[2])
        original = views.edited[view][int(before[1] / before[2]), int(before[0] / before[2])]
        np.testing.assert_array_equal(cut.edited[view][row, column], original)


def test_the_headline_score_falls_along_a_ladder_and_ignores_other_backgrounds():
    settings = small()
    case = Case(23, "red_hair_blue_shirt", settings)
    scores = [
        mean_scores(case.rung("color_shift", level, 0, case.views), settings)["headline"]
        for level in (0, 1, 2)
    ]
    assert 1 >= scores[0] > scores[1] > scores[2] > 0
    behind = mean_scores(TRAPS["background"].views(case.views), settings)["headline"]
    assert behind == pytest.approx(scores[0], abs=0.02)


def ladders_table(noise: float, offset: float) -> pd.DataFrame:
    """A metric `sure` that is the level, and one that each head shifts by `offset`."""
    draw = np.random.default_rng(0)
    rows = [
        {"subject": f"head{head}", "prompt": "none", "ladder": "color_shift", "seed": 0}
        | {"level": level, "sure": level + noise * draw.normal(), "own": level + offset * head}
        for head in range(8)
        for level in range(9)
    ]
    return pd.DataFrame(rows)


def test_a_metric_that_is_the_level_is_perfect_and_one_that_heads_shift_is_so_only_within():
    table = calibration_table(ladders_table(0, 20), ["sure", "own"], {"color_shift": 16.0})
    judged = table[table["ladder"] == "color_shift"].set_index("metric")
    assert judged.loc["sure", ["spearman_within", "spearman_across", "auc"]].tolist() == [1, 1, 1]
    assert judged.at["sure", "smallest_level"] == 1
    assert judged.at["sure", "smallest_amount"] == 2
    assert judged.at["own", "spearman_within"] == 1
    assert judged.at["own", "spearman_across"] < 0.3
    assert np.isnan(judged.at["own", "smallest_level"])


def test_a_metric_of_noise_is_told_apart():
    noise = calibration_table(ladders_table(1000, 0), ["sure"], {"color_shift": 16.0})
    assert abs(noise["spearman_across"][0]) < 0.3


def test_a_metric_that_is_better_when_higher_is_turned_around():
    table = ladders_table(0, 0)
    turned = oriented(table.assign(sure=-table["sure"]), {"sure": "higher", "own": "lower"})
    pd.testing.assert_frame_equal(turned, table)


def test_a_trap_is_measured_in_ladder_steps():
    table = ladders_table(0, 0).assign(sure=lambda t: 3 * t["level"])
    steps = ladder_steps(table, ["sure"])
    assert steps["sure"] == pytest.approx(3)
    rows = [
        {"subject": "head0", "prompt": "none", "trap": trap, "ladder": "consistent", "sure": value}
        for trap, value in ((NO_TRAP, 1.0), ("light", 7.0))
    ]
    found = trap_table(pd.DataFrame(rows), steps, ["sure"])
    assert found["mean_steps"].tolist() == [2]
    assert found["beyond_step"].tolist() == [1]


def test_the_halves_share_no_head_and_the_held_out_one_has_more_prompts():
    fit = {"heads": [21, 22], "prompts": ["stone"]}
    assert half_of("head21", "stone", fit) == "fit"
    assert half_of("head21", "smile", fit) == ""
    assert half_of("head23", "stone", fit) == "held_out"
    assert half_of("someone", "bronze", fit) == "held_out"


def test_a_calibration_goes_on_where_it_was_stopped_and_starts_anew_with_other_settings(tmp_path):
    settings = small()
    fit = {"heads": [21], "prompts": ["red_hair_blue_shirt"]}
    first = calibrate(settings, [], fit, tmp_path, 1)
    assert set(first.metrics["half"]) == {"fit", "held_out"}
    assert set(first.traps["trap"]) == {"background", "fewer_neighbors"}
    kept = tmp_path / "head23_red_hair_blue_shirt/color_shift_0.csv"
    (tmp_path / "head21_red_hair_blue_shirt/color_shift_0.csv").unlink()
    stamp = kept.stat().st_mtime_ns
    again = calibrate(settings, [], fit, tmp_path, 1)
    assert kept.stat().st_mtime_ns == stamp
    pd.testing.assert_frame_equal(again.scores, first.scores)
    keep_only(tmp_path, "other settings")
    assert not kept.exists()
    page = calibration_page(first.metrics, first.traps, {})
    assert "Headline score" in page
    assert "rank correlation" in headline_verdict(first.metrics, first.traps)
