"""Truths about avatars that are trained on edits of known inconsistency."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import yaml
from headstyle.base.errors import InputError
from headstyle.base.settings import laid_over
from headstyle.calibration.ladders import climbed
from headstyle.calibration.trained.cases import TrainedSettings, trained_settings
from headstyle.calibration.trained.making import make_scene, read_rows
from headstyle.calibration.trained.summary import calibrate_trained, trained_tables
from study import ROOT

SMALL = {
    "heads": [31, 32],
    "prompts": ["stone", "smile"],
    "seeds": [0],
    "levels": 2,
    "largest": {"color_shift": 32},
    "traps": ["larger_frames"],
    "trap_ladders": ["color_shift"],
    "rig": {
        **{"long_side_px": 48, "rows": 1, "columns": 3, "coarseness": 6.0},
        "samples_per_side": 1,
    },
    "baseline": {"iterations": 60, "max_splats": 1500},
    "stylization": {"iterations": 40, "edit_every": 20},
    "metrics": ["headline", "rmse"],
}


@pytest.fixture(scope="module")
def settings() -> TrainedSettings:
    study, demo = (
        yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
        for name in ("config", "demo")
    )
    config = laid_over(study, demo)
    config["calibration"]["trained"] = SMALL
    return trained_settings(config)


def made_up(settings: TrainedSettings) -> pd.DataFrame:
    """Scores as a perfect headline and a blind RMSE would give them."""
    rows = []
    for scene in settings.scenes():
        for rung in scene.rungs():
            row = {"subject": scene.subject, "prompt": scene.prompt, "ladder": rung.ladder}
            row |= {"level": rung.level, "seed": rung.seed, "trap": rung.trap}
            row |= {"headline": 1 - rung.level / 4, "rmse": 0.5, "truth_psnr": 30 - rung.level}
            row |= {"edits_headline": 1 - rung.level / 2, "edits_rmse": rung.level}
            row |= {"truth_ssim": 0.9, "truth_lpips_mini": rung.level, "truth_flip": np.nan}
            rows.append(row)
    return pd.DataFrame(rows)


def test_left_unedited_leaves_a_part_of_the_views_as_they_were(settings):
    views = settings.scenes()[0].views
    left = climbed(views, "left_unedited", 2 / 3, np.random.default_rng(1)).edited
    same = [np.array_equal(a, b) for a, b in zip(left, views.unedited, strict=True)]
    assert sum(same) == 2
    edited = same.index(False)
    assert np.array_equal(left[edited], views.edited[edited])


def test_a_metric_that_follows_the_level_is_told_from_one_that_sees_nothing(settings):
    tables = trained_tables(made_up(settings), settings)
    found = tables.metrics.set_index(["half", "metric", "ladder"])
    for half in ("fit", "held_out"):
        assert found.loc[(half, "headline", "all"), "spearman_across"] == pytest.approx(1)
        assert found.loc[(half, "rmse", "all"), "spearman_across"] == 0
        # Falling quality of a metric that falls: the farther from the truth, the worse.
        assert found.loc[(half, "headline", "all"), "with_truth_psnr"] == pytest.approx(1)
        assert found.loc[(half, "edits_rmse", "all"), "with_truth_lpips_mini"] == pytest.approx(1)
    assert (tables.traps["mean_steps"].loc[tables.traps["metric"] == "headline"] == 0).all()
    assert set(tables.traps["ladder"]) == {"none", "color_shift"}


def test_ladders_and_traps_that_do_not_exist_are_told_before_work(settings, tmp_path):
    wrong = dataclasses.replace(settings, traps=("no_such_trap",))
    with pytest.raises(InputError, match="'no_such_trap', which is no ladder or trap"):
        calibrate_trained(wrong, tmp_path, "cpu", 1)


def test_an_avatar_of_edits_that_disagree_is_farther_from_the_true_edit(settings, tmp_path):
    scene = settings.scenes()[0]
    assert make_scene(scene, tmp_path, "cpu") == 5
    rows = pd.DataFrame(read_rows(tmp_path))
    rows = rows[rows["trap"] == "none"].sort_values("level")
    assert list(rows["level"]) == [0, 1, 2]
    assert rows["truth_psnr"].is_monotonic_decreasing
    assert rows["edits_headline"].is_monotonic_decreasing
    # Splats average what the edits disagree in, so less of it shows.
    top = rows.iloc[-1]
    assert top["headline"] > top["edits_headline"]
    # What is scored already is not made again.
    assert make_scene(scene, tmp_path, "cpu") == 0
