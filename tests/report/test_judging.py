"""What makes a view and its render differ, each cause by itself."""

import numpy as np
import pytest
from headstyle.report.judging.baseline import REASONS, baseline_note, measure_view, rise_db

SIDE = 96


def picture(shift=(0, 0), gain=1.0, with_plinth=False):
    """A disc with a smooth pattern; or shifted, or brighter, or on a plinth."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    x, y = x - shift[0], y - shift[1]
    disc = np.hypot(x - 48, y - 40) < 30
    plinth = (np.abs(x - 48) < 40) & (y > 72) if with_plinth else np.zeros_like(disc)
    pattern = 0.4 + 0.15 * np.sin(x / 4) + 0.15 * np.cos(y / 5)
    color = np.where(plinth & ~disc, 0.8, pattern)
    alpha = (disc | plinth).astype(np.float64)
    return np.dstack([np.repeat(color[..., None] * gain, 3, 2).clip(0, 1), alpha]).astype(
        np.float32
    )


CASES = {
    "mask": (picture(with_plinth=True), picture()),
    "exposure": (picture(), picture(gain=0.7)),
    "pose": (picture(), picture(shift=(2, 1))),
}


@pytest.mark.parametrize("reason", CASES)
def test_each_cause_explains_most_of_its_own_error(reason):
    found = measure_view(*CASES[reason])
    assert max(REASONS, key=lambda r: found[r]) == reason
    assert found[reason] > 0.5


def test_the_measures_have_their_true_values():
    assert measure_view(*CASES["exposure"])["gain"] == pytest.approx(1 / 0.7, rel=1e-3)
    assert measure_view(*CASES["pose"])["shift_px"] == pytest.approx(np.hypot(2, 1), abs=0.01)
    plinth = measure_view(*CASES["mask"])
    assert plinth["region"].startswith("bottom")
    assert measure_view(picture(), picture()) == {}


def scores(psnr, iterations):
    views = {name: {"psnr": psnr + i, "heldout": False} for i, name in enumerate("abc")}
    heldout = {"d": {"psnr": 3.0, "heldout": True}}
    return {"psnr": psnr + 1, "iterations": iterations, "views": views | heldout}


def note(reason, psnr=18.0, rise=0.1, iterations=300):
    judgement = {"views": {n: measure_view(*CASES[reason]) for n in "abcd"}, "rise_db": rise}
    return baseline_note(
        scores(psnr, iterations), judgement, {"mean_reprojection_error_px": 2.5}, 24
    )


def test_a_training_that_is_still_rising_is_told_before_other_reasons():
    assert rise_db([10, 10, 12, 12, 14, 14, 17, 17]) == pytest.approx(5)
    assert "still rising by 3.0 dB" in note("mask", rise=3.0)


def test_a_short_training_is_blamed_on_nothing_else():
    # Of few iterations on three views, the PSNR is too noisy to rise.
    young = note("mask", rise=-1.0, iterations=60)
    assert "short, with 20.0 iterations a view" in young
    assert "raise baseline.iterations" in young
    assert "masks contradict" not in young
    # Known splats that were never trained are judged.
    assert "masks contradict" in note("mask", iterations=0)


def test_a_good_baseline_is_not_told():
    assert note("mask", psnr=23.5) == ""


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("mask", "masks contradict each other"),
        ("exposure", "a gain of 1.43 explains"),
        ("pose", "reprojection error of all points is 2.50 px"),
    ],
)
def test_a_poor_baseline_is_told_with_its_views_and_the_reason(reason, said):
    text = note(reason)
    assert "only 19.0 dB (expected: 24 dB or more)" in text
    assert "a (18.0 dB;" in text
    # Held-out views do not tell whether the training fits.
    assert "d (" not in text
    assert said in text
