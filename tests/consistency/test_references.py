"""What scores are held against: floor and ceiling, the strength of the edit, its sharpness."""

import numpy as np
import pandas as pd
import pytest
from analytic import cameras_around, photograph
from headstyle.consistency.edit_strength import COLUMNS, edit_strength, gradient_energy
from headstyle.consistency.metrics.ssim import masked_ssim
from headstyle.consistency.scoring import score, with_references
from headstyle.consistency.shuffling import derangement, shuffled_images
from headstyle.consistency.statistics import EDIT_COLUMNS
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torch import from_numpy


@pytest.fixture(scope="module")
def head():
    cameras = cameras_around([-10, 0, 12], [(72, 96), (72, 96), (96, 72)])
    return cameras, *photograph(cameras)


def masks(images):
    return [image[..., 3] > 0.5 for image in images]


@pytest.mark.parametrize("count", [2, 3, 37])
def test_nobody_keeps_their_place_in_a_derangement(count):
    order = derangement(count, seed=3)
    assert sorted(order) == list(range(count))
    assert (order != np.arange(count)).all()
    assert (order == derangement(count, seed=3)).all()


def test_shuffled_views_keep_their_silhouettes_and_show_no_background(head):
    _, images, _ = head
    loud = [np.where(image[..., 3:] > 0, image, (1, 0, 1, 0)) for image in images]
    for quiet, noisy, image in zip(
        shuffled_images(images, masks(images), 0),
        shuffled_images(loud, masks(images), 0),
        images,
        strict=True,
    ):
        inside = image[..., 3] > 0
        assert (quiet[..., 3] == image[..., 3]).all()
        assert (quiet[inside] == noisy[inside]).all()
        assert np.abs(quiet[inside] - image[inside]).mean() > 0.05
        assert quiet[inside].min() > 0.05


def test_an_empty_view_keeps_its_image(head):
    _, images, _ = head
    empty = [np.zeros_like(images[0]), *images[1:]]
    assert (shuffled_images(empty, masks(empty), 0)[0] == 0).all()


def test_shuffled_views_score_far_worse_than_consistent_ones(head):
    cameras, images, depths = head
    settings = {"names": ["rmse", "rmse_corrected", "ssim"]}
    floor = score(images, depths, cameras, settings=settings)
    ceiling = score(shuffled_images(images, masks(images), 0), depths, cameras, settings=settings)
    for metric in ("rmse", "rmse_corrected"):
        assert (ceiling[metric] > 2 * floor[metric]).all()
    assert (ceiling["ssim"] < floor["ssim"]).all()
    assert ceiling["ssim"].mean() < floor["ssim"].mean() - 0.1
    assert ceiling["overlap"].equals(floor["overlap"])


def test_excess_is_over_the_same_pair_of_the_floor():
    pairs = pd.DataFrame({"target": ["a", "b"], "source": ["b", "a"], "rmse": [0.3, 0.5]})
    floor = pd.DataFrame({"target": ["b", "a"], "source": ["a", "b"], "rmse": [0.1, np.nan]})
    ceiling = pairs.assign(rmse=[0.8, 0.9])
    table = with_references(pairs, ["rmse"], floor, ceiling)
    assert np.isnan(table["rmse_excess"][0])
    assert table["rmse_excess"][1] == pytest.approx(0.4)
    assert list(table["rmse_ceiling"]) == [0.8, 0.9]


def test_views_that_were_not_edited_have_no_edit_strength_and_full_sharpness(head):
    cameras, images, _ = head
    table = edit_strength(images, images, cameras, 0.5)
    assert list(table.columns) == ["view", *EDIT_COLUMNS]
    assert tuple(EDIT_COLUMNS) == COLUMNS
    assert (table["edit_strength"] == 0).all()
    np.testing.assert_allclose(table["edit_strength_ssim"], 0, atol=1e-6)
    assert (table["sharpness"] == 1).all()


def test_smoother_views_are_less_sharp_and_backgrounds_do_not_count(head):
    cameras, images, _ = head
    draw = np.random.default_rng(0)
    rough = [image + np.float32([0.1, 0.1, 0.1, 0]) * draw.random(image.shape) for image in images]
    table = edit_strength(images, rough, cameras, 0.5)
    assert (table["sharpness"] < 0.5).all()
    assert (table["edit_strength"] > 1).all()
    loud = [np.where(image[..., 3:] > 0, image, (1, 0, 1, 0)) for image in rough]
    pd.testing.assert_frame_equal(edit_strength(images, loud, cameras, 0.5), table)


def test_the_gradient_energy_of_a_ramp_is_half_its_slope_squared():
    ramp = np.repeat(np.arange(20)[:, None] * 0.01, 20, axis=1)[..., None].repeat(3, axis=2)
    energy = gradient_energy(from_numpy(ramp), from_numpy(np.ones((20, 20), bool)))
    assert float(energy) == pytest.approx(0.5e-4)


def test_ssim_equals_that_of_scikit_image_where_windows_lie_inside():
    draw = np.random.default_rng(0)
    first = gaussian_filter(draw.random((40, 50, 3)), (1, 1, 0)).astype(np.float32)
    second = np.clip(first + 0.05 * draw.normal(size=first.shape), 0, 1).astype(np.float32)
    mean, expected = structural_similarity(
        first, second, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    inner = np.zeros((40, 50), bool)
    inner[5:-5, 5:-5] = True
    images = (from_numpy(image)[None] for image in (first, second))
    similarity, counts = masked_ssim(*images, from_numpy(np.ones((1, 40, 50), bool)))
    found = similarity[0].numpy()[inner]
    np.testing.assert_allclose(found, expected.mean(axis=2)[inner], atol=1e-5)
    assert found.mean() == pytest.approx(mean, abs=1e-5)
    assert counts[0].numpy()[inner].all()


def test_ssim_sees_nothing_outside_the_mask():
    draw = np.random.default_rng(1)
    images = [from_numpy(draw.random((1, 40, 40, 3))) for _ in range(2)]
    mask = from_numpy(draw.random((1, 40, 40)) > 0.3)
    expected = [values[mask] for values in masked_ssim(*images, mask)]
    hidden = [image.where(mask[..., None], image.new_tensor(0.7)) for image in images]
    found = [values[mask] for values in masked_ssim(*hidden, mask)]
    assert all((a == b).all() for a, b in zip(expected, found, strict=True))
