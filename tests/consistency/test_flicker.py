"""Truths about the flicker of films."""

import numpy as np
import pytest
import torch
from analytic import cameras_around, photograph
from headstyle.consistency import flicker as module
from headstyle.consistency.flicker import DISTANCES, flicker, flicker_metrics
from headstyle.consistency.scoring import SETTINGS

FRAMES = 11
NAMES = flicker_metrics(["headline", "rmse"])
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def film():
    """A gray ball before a camera that moves by a degree per frame."""
    cameras = cameras_around(list(range(FRAMES)), [(48, 48)] * FRAMES)
    images, depths = photograph(cameras, colors=lambda points: np.full(points.shape, 0.5))
    return cameras, images, depths


def measured(film, brighter=lambda frame: 0.0, names=NAMES[:1]):
    cameras, images, depths = film
    lit = [image + np.float32([brighter(i)] * 3 + [0]) for i, image in enumerate(images)]
    frames = zip(lit, depths, strict=True)
    return flicker(frames, cameras, {**SETTINGS, "names": names}, CPU)


def test_a_static_scene_does_not_flicker(film):
    found = measured(film, names=NAMES)
    assert found.means().keys() == {f"{r}_{name}" for r in ("short", "long") for name in NAMES}
    assert max(found.means().values()) < 1e-5
    assert all(np.nanmax(residual) < 1e-3 for residual in found.residuals[1:])


def test_what_does_not_move_under_a_camera_that_stands_still_does_not_flicker():
    cameras = cameras_around([0] * 9, [(48, 48)] * 9)
    assert max(measured((cameras, *photograph(cameras)), names=NAMES).means().values()) < 1e-5


def test_flicker_has_the_size_that_it_was_given(film):
    means = measured(film, lambda frame: 0.03 * (-1) ** frame).means()
    # Frames one and seven apart have opposite signs.
    assert means == pytest.approx(dict.fromkeys(means, 0.06), abs=1e-5)
    drift = measured(film, lambda frame: 0.01 * frame).means()
    assert drift["short_rmse_corrected"] == pytest.approx(0.01, abs=1e-5)
    assert drift["long_rmse_corrected"] == pytest.approx(0.07, abs=1e-5)


def test_more_flicker_scores_higher_by_every_metric(film):
    generator = np.random.default_rng(0)
    noise = generator.normal(size=FRAMES)
    films = [
        measured(film, lambda i, size=size: size * noise[i], NAMES).means()
        for size in (0.0, 0.02, 0.08)
    ]
    for name in films[0]:
        assert films[0][name] < films[1][name] < films[2][name]


def test_the_residual_shows_where_and_when_a_film_flickers(film):
    cameras, images, depths = film
    changed = [image.copy() for image in images]
    changed[5][20:28, 20:28, :3] += 0.2
    frames = zip(changed, depths, strict=True)
    found = flicker(frames, cameras, {**SETTINGS, "names": NAMES[:1]}, CPU).residuals
    assert np.isnan(found[0]).all()
    peaks = [np.nanmax(residual) for residual in found[1:]]
    assert [peak > 0.1 for peak in peaks] == [i in (5, 6) for i in range(1, FRAMES)]
    assert found[5][22:26, 22:26].min() == pytest.approx(0.2, abs=1e-3)


def test_a_film_is_the_same_in_parts_of_any_length(film, monkeypatch):
    whole = measured(film, lambda frame: 0.003 * frame**1.5)
    monkeypatch.setattr(module, "_WINDOW", 3)
    parts = measured(film, lambda frame: 0.003 * frame**1.5)
    assert whole.scores == parts.scores
    assert len(whole.scores["long_rmse_corrected"]) == FRAMES - DISTANCES["long"]
    np.testing.assert_array_equal(whole.residuals, parts.residuals)
