"""Truths about the exposures of training views, and those predicted for others."""

from dataclasses import replace

import numpy as np
import torch
from ball import VIEWS, make_ball, settings
from headstyle.base.cameras import Cameras
from headstyle.rendering.splats import splats_from_points
from headstyle.training.baseline import score_views
from headstyle.training.exposure import Exposures, exposed
from headstyle.training.selection import Selection
from headstyle.training.trainer import SplatTrainer

CPU = torch.device("cpu")


def cameras_at(places):
    """Cameras named by their place on a line."""
    count = len(places)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = [-place for place in places]
    names = tuple(f"at{place:g}" for place in places)
    return Cameras(names, np.full((count, 2), 8), np.tile(np.eye(3), (count, 1, 1)), poses)


def test_without_training_the_views_stay_as_they_are():
    exposures = Exposures(cameras_at(range(3)), 0.1, CPU)
    colors, alphas = torch.rand(2, 5, 4, 3), torch.rand(2, 5, 4)
    found = exposures.apply(colors, alphas, torch.rand(3), torch.tensor([2, 0]))
    torch.testing.assert_close(found, colors)


def test_gains_multiply_the_straight_colors_and_spare_the_background():
    exposures = Exposures(cameras_at(range(2)), 0.1, CPU)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        exposures.logarithms.copy_(torch.randn(2, 3, generator=generator))
    straight = torch.rand(1, 6, 5, 3, generator=generator)
    alphas, background = torch.rand(1, 6, 5, generator=generator), torch.tensor([0.1, 0.9, 0.4])

    def composite(colors):
        return colors * alphas[..., None] + background * (1 - alphas[..., None])

    found = exposures.apply(composite(straight), alphas, background, torch.tensor([1]))
    expected = straight * torch.exp(exposures.logarithms[1])
    torch.testing.assert_close(found, composite(expected), atol=1e-5, rtol=1e-5)


def test_views_photographed_brighter_or_darker_are_told_apart_and_the_mean_stays():
    cameras, targets, points, colors = make_ball()
    gains = np.array([0.6, 1.0, 1.0, 1.4])
    changed = {}
    for gain, (name, image) in zip(gains, targets.items(), strict=True):
        changed[name] = image.copy()
        changed[name][..., :3] *= gain * 0.7
    plain = settings(iterations=250).without_refinement()
    errors = {}
    for rate in (0.0, 0.02):
        splats = splats_from_points(points, colors * 0.7, 1, 0)
        trainer = SplatTrainer(splats, cameras, changed, replace(plain, exposure_rate=rate), 0)
        for _ in range(250):
            loss = trainer.step(range(VIEWS))
        errors[rate] = float(loss)
    assert errors[0.02] < 0.7 * errors[0.0]
    logarithms = trainer.exposures.logarithms.detach()
    torch.testing.assert_close(logarithms.mean(dim=0), torch.zeros(3), atol=1e-6, rtol=0)
    found = trainer.exposures.gains(cameras).mean(axis=1)
    assert found[0] < found[1] - 0.1
    assert found[3] > found[2] + 0.1


def test_a_view_is_predicted_from_its_neighbors_and_its_own_pixels_never_matter():
    trained = cameras_at([0, 1, 2, 10, 11, 12])
    exposures = Exposures(trained, 0.1, CPU)
    with torch.no_grad():
        exposures.logarithms[:, 0] = torch.tensor([0.0, 0.1, 0.2, -0.3, 0.4, 0.5])
    found = np.log(exposures.gains(cameras_at([0, 1.5, 12])))
    # What was trained on has what was learned.
    np.testing.assert_allclose(found[[0, 2], 0], [0, 0.5], atol=1e-6)
    weights = 1 / np.array([1.5, 0.5, 0.5, 8.5, 9.5, 10.5]) ** 3
    expected = weights @ [0.0, 0.1, 0.2, -0.3, 0.4, 0.5] / weights.sum()
    np.testing.assert_allclose(found[1], [expected, 0, 0], atol=1e-6)
    # One training view is all there is to predict from.
    alone = Exposures(cameras_at([3]), 0.1, CPU)
    with torch.no_grad():
        alone.logarithms[:] = 0.7
    np.testing.assert_allclose(alone.gains(cameras_at([5])), np.exp(0.7), rtol=1e-6)


def test_views_are_scored_without_and_with_their_exposure():
    cameras, targets, _, _ = make_ball()
    names = cameras.names
    gains = np.array([[0.5] * 3, [0.5] * 3, [0.9, 1.0, 1.1], [0.5] * 3], np.float32)
    # The photographs are the renders as these exposures show them.
    photographs = [exposed(targets[name], gain) for name, gain in zip(names, gains, strict=True)]
    exposures = Exposures(cameras.select(names[1:]), 0.1, CPU)
    with torch.no_grad():
        exposures.logarithms.copy_(torch.from_numpy(np.log(gains[1:])))
    without = score_views(cameras, photographs, targets, 4)
    scores = score_views(cameras, photographs, targets, 4, exposures)
    assert "psnr_exposed" not in without
    assert scores["psnr"] == without["psnr"] < 20
    assert scores["psnr_exposed"] > 90
    assert scores["heldout"] == [names[0]]
    assert scores["heldout_psnr"] < scores["heldout_psnr_exposed"] < 90
    assert scores["ssim"] < scores["ssim_exposed"]
    np.testing.assert_allclose(scores["views"][names[2]]["exposure"], gains[2], rtol=1e-6)


def test_what_chooses_the_iteration_sees_predicted_exposures():
    cameras, targets, points, colors = make_ball()
    names = cameras.names
    splats = splats_from_points(points, colors, 0, 0)
    dark = exposed(targets[names[0]], np.full(3, 0.3, np.float32))
    selection = Selection(cameras.select(names[:1]), [dark], 30)
    exposures = Exposures(cameras.select(names[1:]), 0.1, CPU)
    selection.look(splats, 1, last=False, exposures=exposures)
    before = selection.psnr
    with torch.no_grad():
        exposures.logarithms[:] = float(np.log(0.3))
    selection.look(splats, 2, last=False, exposures=exposures)
    assert selection.psnr > before + 1
    assert selection.iteration == 2
