"""Truths about renders of radiance fields."""

import math

import numpy as np
import pytest
import torch
from headstyle.radiance.field import Box, direction_count, direction_features
from headstyle.radiance.sampling import (
    Histogram,
    distortion_loss,
    drawn_edges,
    proposal_loss,
    weights_of,
)
from headstyle.rendering.renderer import render_views
from small_field import camera_before, constant_field, joined

CUBE = Box((-1.0, -1.0, -1.0), 2.0)


@pytest.mark.parametrize("density", [0.3, 3.0])
def test_a_field_of_one_density_renders_as_its_closed_form(density):
    [(_, image, median, expected)] = render_views(constant_field(density, CUBE), camera_before(5.0))
    # The middle ray crosses the whole cube, from depth 4 to 6: one side of it.
    alpha = 1 - math.exp(-density)
    assert image[4, 4, 3] == pytest.approx(alpha, abs=1e-5)
    assert image[4, 4, :3] == pytest.approx([0.5] * 3, abs=1e-5)
    half = 4 + 2 * math.log(2) / density
    assert median[4, 4] == pytest.approx(half if alpha > 0.5 else 0, abs=1e-4)
    mean = 4 + 2 * (1 / density - math.exp(-density) / alpha)
    # 16 samples see the mean depth of each part only by its middle.
    assert expected[4, 4] == pytest.approx(mean, abs=0.01)


def test_a_slanted_ray_crosses_more_of_the_field_and_depth_stays_z():
    cameras = camera_before(5.0, size_px=41)
    [(_, image, median, _)] = render_views(constant_field(3.0, CUBE), cameras)
    slant = math.sqrt(1 + (15 / 100) ** 2)
    # At pixel 35 the ray is 15 px off the axis; it enters and leaves by the same two faces.
    assert image[20, 35, 3] == pytest.approx(1 - math.exp(-3 * slant), abs=1e-5)
    assert median[20, 35] == pytest.approx(4 + 2 * math.log(2) / (3 * slant), abs=1e-4)


def test_a_ray_beside_the_box_sees_nothing():
    [(_, image, median, expected)] = render_views(
        constant_field(50.0, CUBE), camera_before(5.0, size_px=101)
    )
    assert image[50, 50, 3] > 0.99
    for array in (image[0, 0], median[0, 0], expected[0, 0]):
        assert not np.any(array)


def test_the_box_lies_around_the_points_without_the_outliers():
    points = np.random.default_rng(0).uniform(-1, 1, (1000, 3))
    points[0] = 100
    box = Box.around(points, 0.25)
    assert box.side == pytest.approx(3, rel=0.03)
    assert np.allclose(np.array(box.corner) + box.side / 2, 0, atol=0.05)


def test_what_only_one_view_sees_stays_empty():
    field = constant_field(50.0, CUBE)
    # Two narrow views along z and one that sees everything from afar.
    narrow, wide = camera_before(5.0), camera_before(50.0, size_px=41)
    [(_, before, *_)] = render_views(field, wide)
    field.keep_where_seen(joined(narrow, narrow, wide))
    [(_, after, *_)] = render_views(field, wide)
    assert (before[..., 3] > 0.9).sum() > 9
    assert after[20, 20, 3] > 0.9
    assert 0 < (after[..., 3] > 0.9).sum() < (before[..., 3] > 0.9).sum()


def test_directions_features_are_orthogonal_on_the_sphere():
    directions = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0))
    found = direction_features(directions / directions.norm(dim=1, keepdim=True), 3)
    assert found.shape[1] == direction_count(3) == 15
    found = found / found.square().mean(dim=0).sqrt()
    assert torch.allclose(found.T @ found / len(found), torch.eye(15), atol=0.02)
    assert torch.allclose(found.mean(dim=0), torch.zeros(15), atol=0.02)


def test_samples_are_drawn_where_the_histogram_is_large():
    edges = torch.linspace(0, 1, 11)[None]
    weights = torch.zeros(1, 10)
    weights[0, 3] = 1
    drawn = drawn_edges(Histogram(edges, weights), 32, None)
    inside = ((drawn >= 0.3) & (drawn <= 0.4)).float().mean()
    assert inside > 0.85
    assert (drawn[:, 1:] >= drawn[:, :-1]).all()


def test_a_proposal_is_punished_only_for_what_it_misses():
    edges = torch.tensor([[0.0, 0.5, 1.0]])
    shown = Histogram(edges, torch.tensor([[0.2, 0.6]]))
    for enough in ([[0.2, 0.6]], [[0.3, 0.7]]):
        assert float(proposal_loss([Histogram(edges, torch.tensor(enough))], shown)) < 1e-6
    short = Histogram(edges, torch.tensor([[0.2, 0.3]]))
    assert float(proposal_loss([short], shown)) == pytest.approx(0.3**2 / 0.6, rel=1e-4)


def test_distortion_is_the_mean_distance_of_what_is_seen():
    edges = torch.tensor([[2.0, 3.0, 4.0]])
    shown = Histogram(edges, torch.tensor([[0.5, 0.25]]))
    # Twice the product of the weights times the distance 1 of the middles, and the widths.
    expected = 2 * 0.5 * 0.25 * 1 + (0.5**2 + 0.25**2) / 3
    assert float(distortion_loss(shown, torch.ones(1))) == pytest.approx(expected)
    assert float(distortion_loss(shown, torch.full((1,), 0.5))) == pytest.approx(expected / 2)


def test_what_is_seen_and_what_is_left_are_the_whole_pixel():
    densities = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)) * 4
    edges = torch.linspace(0, 2, 8).expand(5, -1)
    seen = weights_of(densities, edges, torch.ones(5)).sum(dim=1)
    left = torch.exp(-(densities * 2 / 7).sum(dim=1))
    torch.testing.assert_close(seen + left, torch.ones(5))
