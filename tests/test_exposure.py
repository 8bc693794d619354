"""Truths about the color correction of training views."""

from dataclasses import replace

import numpy as np
import torch
from ball import VIEWS, make_ball, settings
from headstyle.exposure import Exposures
from headstyle.splats import splats_from_points
from headstyle.training import SplatTrainer


def test_without_training_the_views_stay_as_they_are():
    exposures = Exposures(3, 0.1, torch.device("cpu"))
    colors, alphas = torch.rand(2, 5, 4, 3), torch.rand(2, 5, 4)
    found = exposures.apply(colors, alphas, torch.rand(3), torch.tensor([2, 0]))
    torch.testing.assert_close(found, colors)


def test_the_correction_is_affine_in_the_straight_colors_and_spares_the_background():
    exposures = Exposures(2, 0.1, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        exposures.deviations.copy_(torch.randn(2, 3, 4, generator=generator))
    straight = torch.rand(1, 6, 5, 3, generator=generator)
    alphas, background = torch.rand(1, 6, 5, generator=generator), torch.tensor([0.1, 0.9, 0.4])

    def composite(colors):
        return colors * alphas[..., None] + background * (1 - alphas[..., None])

    found = exposures.apply(composite(straight), alphas, background, torch.tensor([1]))
    matrix = torch.eye(3, 4) + exposures.deviations[1]
    expected = straight @ matrix[:, :3].T + matrix[:, 3]
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
    deviations = trainer.exposures.deviations.detach()
    torch.testing.assert_close(deviations.mean(dim=0), torch.zeros(3, 4), atol=1e-6, rtol=0)
    found = 1 + deviations[:, [0, 1, 2], [0, 1, 2]].mean(dim=1).numpy()
    assert found[0] < found[1] - 0.1
    assert found[3] > found[2] + 0.1
