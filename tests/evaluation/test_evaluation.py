"""Scores, speed and sizes of baselines, and their table."""

import numpy as np
import pandas as pd
import pytest
import torch
from analytic import cameras_around
from ball import make_ball
from headstyle.base.embedded import embedded_file
from headstyle.base.files import write_json
from headstyle.base.images import last_edits, write_image
from headstyle.evaluation.scores import (
    REGIONS,
    SCORES,
    Networks,
    background_color,
    score_view,
)
from headstyle.evaluation.speed import file_sizes, frames_per_second
from headstyle.evaluation.tables import summarize_evaluations
from headstyle.evaluation.true_edits import score_against_truth
from headstyle.losses.lpips_networks import load_mini
from headstyle.rendering.splats import splats_from_points, write_ply

SIZE = 64
BLACK, WHITE = np.zeros(3, np.float32), np.ones(3, np.float32)


@pytest.fixture(scope="module")
def networks():
    return Networks(load_mini(embedded_file("perceptual/model.safetensors")), None)


def square(value: float) -> np.ndarray:
    """A gray square in the middle of an empty image, a quarter of it."""
    image = np.zeros((SIZE, SIZE, 4), np.float32)
    image[16:48, 16:48] = (value, value, value, 1)
    return image


def test_scores_over_mask_and_frame_are_those_that_one_can_work_out(networks):
    scores = dict(score_view(square(0.5), square(0.6), BLACK, networks))
    assert list(scores) == list(REGIONS)
    assert scores["masked"]["l1"] == pytest.approx(0.1, abs=1e-6)
    assert scores["masked"]["psnr"] == pytest.approx(20, abs=1e-3)
    # A quarter of the frame differs.
    assert scores["frame"]["l1"] == pytest.approx(0.025, abs=1e-6)
    assert scores["frame"]["psnr"] == pytest.approx(20 + 10 * np.log10(4), abs=1e-3)
    assert scores["frame"]["ssim"] > scores["masked"]["ssim"]
    assert 0 < scores["masked"]["lpips_mini"] < 1
    assert np.isnan(scores["masked"]["lpips"])


def test_the_background_tells_what_spills_out_of_the_head(networks):
    spilled = square(0.5)
    spilled[:8] = (0, 0, 0, 1)
    on_black = dict(score_view(square(0.5), spilled, BLACK, networks))
    on_white = dict(score_view(square(0.5), spilled, WHITE, networks))
    assert on_black["frame"]["l1"] == 0
    assert on_white["frame"]["l1"] == pytest.approx(1 / 8)
    assert on_white["frame"]["lpips_mini"] > 0
    # The mask leaves it out.
    assert on_white["masked"]["l1"] == 0
    assert on_white["masked"]["lpips_mini"] == pytest.approx(0, abs=1e-6)


def test_a_random_background_is_one_color_of_the_view_and_the_seed():
    assert background_color("white", "a", 0).tolist() == [1, 1, 1]
    assert background_color("black", "a", 0).tolist() == [0, 0, 0]
    first = background_color("random", "a", 0)
    np.testing.assert_array_equal(first, background_color("random", "a", 0))
    assert np.abs(first - background_color("random", "b", 0)).max() > 0.01
    assert np.abs(first - background_color("random", "a", 1)).max() > 0.01


def test_lpips_without_its_weights_is_left_out_and_told(monkeypatch, caplog, tmp_path):
    caplog.set_level("INFO", "headstyle")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    loaded = Networks.load({"lpips_net": "squeeze", "lpips_weights": None}, "cpu")
    assert loaded.lpips is None
    assert "LPIPS is left out" in caplog.text


def test_speed_and_sizes_are_of_the_scene(tmp_path):
    cameras, _, points, colors = make_ball()
    splats = splats_from_points(points, colors, 1, 0)
    write_ply(tmp_path / "splats.ply", splats)
    assert frames_per_second(splats, cameras, rounds=1) > 1
    sizes = file_sizes(splats, tmp_path / "splats.ply")
    assert sizes["ply_bytes"] == (tmp_path / "splats.ply").stat().st_size
    assert 150 * 10 < sizes["spz_bytes"] < sizes["ply_bytes"] / 3


def write_evaluation(folder, subject: str, psnr: list[float], splats: int):
    folder.mkdir()
    rows = [
        [subject, f"v{i}", "heldout" if i == 0 else "train", "masked", "black", value]
        for i, value in enumerate(psnr)
    ]
    table = pd.DataFrame(rows, columns=["subject", "view", "split", "region", "background", "psnr"])
    for score in SCORES[1:]:
        table[score] = 0.5 if score != "lpips" else np.nan
    table.to_csv(folder / "evaluation.csv", index=False)
    facts = {"splats": splats, "fps": 10.0, "ply_bytes": 100, "spz_bytes": 10, "device": "cpu"}
    write_json(folder / "evaluation.json", facts)
    return folder


def test_the_table_has_means_of_views_then_of_subjects(tmp_path):
    folders = [
        write_evaluation(tmp_path / "A", "A", [20.0, 30.0, 32.0], 100),
        write_evaluation(tmp_path / "B", "B", [24.0, 40.0], 300),
    ]
    table = summarize_evaluations(folders).set_index(["subject", "split"])
    assert table.loc[("A", "train"), "psnr"] == 31
    assert table.loc[("A", "train"), "views"] == 2
    assert table.loc[("all", "train"), "psnr"] == 35.5
    assert table.loc[("all", "heldout"), "psnr"] == 22
    assert table.loc[("all", "heldout"), "splats"] == 200
    assert table["lpips"].isna().all()


def test_scores_against_the_true_edit_are_those_that_one_can_work_out(networks):
    truth = square(0.5)
    lacking = truth.copy()
    lacking[16:32] = 0
    too_much = truth.copy()
    too_much[:8] = (0.6, 0.6, 0.6, 1)
    views = ["same", "brighter", "lacking", "too_much", "empty"]
    images = [truth, square(0.6), lacking, too_much, np.zeros_like(truth)]
    truths = [truth, truth, square(0.6), truth, np.zeros_like(truth)]
    table = score_against_truth(views, images, truths, networks).set_index("view")
    assert table.loc["same", "truth_psnr"] == pytest.approx(100)
    assert table.loc["same", "truth_ssim"] == pytest.approx(1)
    assert table.loc["same", "truth_lpips_mini"] == pytest.approx(0, abs=1e-6)
    assert table.loc["brighter", "truth_psnr"] == pytest.approx(20, abs=1e-3)
    # Half of the head is missing: gray stands there, 0.1 from the truth; the rest is 0.1 off, too.
    assert table.loc["lacking", "truth_psnr"] == pytest.approx(20, abs=1e-3)
    # 512 pixels too many beside the 1,024 of the head.
    expected = 20 + 10 * np.log10(3)
    assert table.loc["too_much", "truth_psnr"] == pytest.approx(expected, abs=1e-3)
    assert table.loc["empty"].isna().all()


def test_each_view_has_its_last_edit_also_where_a_cycle_edits_a_single_view(tmp_path):
    cameras = cameras_around([0, 10], [(SIZE, SIZE)] * 2)
    for cycle, view, value in ((0, "v0", 0.1), (0, "v1", 0.2), (2, "v1", 0.4), (10, "v1", 0.6)):
        (tmp_path / f"cycle{cycle}").mkdir(exist_ok=True)
        write_image(tmp_path / f"cycle{cycle}" / f"{view}.png", square(value))
    found = last_edits(tmp_path, cameras)
    assert [image[32, 32, 0] for image in found] == pytest.approx([0.1, 0.6], abs=1 / 255)
