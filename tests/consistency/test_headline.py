"""Truths about the headline score and what it is made of."""

import numpy as np
import pytest
import torch
from analytic import cameras_around, photograph, spots
from headstyle.consistency.metrics.headline import HALF_STEPS, STEPS, headline
from headstyle.consistency.pair_batches import make_scene
from headstyle.consistency.parts.disagreement import TERMS, disagreement_maps, disagreements
from headstyle.consistency.parts.headline_views import (
    HeadViews,
    area_resized,
    head_pairs,
    head_views,
)
from headstyle.consistency.parts.registration import displacement
from headstyle.consistency.parts.smoothing import masked_smooth, smooth
from headstyle.consistency.scoring import score
from headstyle.consistency.shuffling import shuffled_images
from skimage.color import lab2rgb, rgb2lab

CPU = torch.device("cpu")
SETTINGS = {"names": ["headline"]}


@pytest.fixture(scope="module")
def head():
    cameras = cameras_around([-12, 0, 17], [(160, 200)] * 3)
    return cameras, *photograph(cameras, colors=spots)


def terms(head, images, unedited=None) -> dict[str, float]:
    """Each kind of disagreement between the first two views."""
    cameras, _, depths = head
    scene = make_scene(images, depths, cameras, 0.5, CPU, unedited=unedited)
    found = disagreements(head_pairs(head_views(scene, 96, 0.03, 0.5), [0], [1], 0.01, 2.0))
    return dict(zip(TERMS, found[0].tolist(), strict=True))


def shifted(image, change):
    """The image with a change of its CIELAB colors."""
    colors = lab2rgb(rgb2lab(image[..., :3]) + np.float32(change)).astype(np.float32)
    return np.concatenate([colors, image[..., 3:]], axis=2)


def smoothed(image, sigma):
    weights = smooth(torch.from_numpy(image).permute(2, 0, 1)[None].float(), sigma)[0]
    colors = (weights / weights[3:].clamp(min=1e-3)).permute(1, 2, 0).numpy()
    return np.concatenate([colors[..., :3], image[..., 3:]], axis=2)


def smoothed_alpha(image):
    alpha = torch.from_numpy(image[..., 3].copy())[None, None].float()
    return smooth(alpha, 6)[0, 0].numpy()


def test_the_unedited_scene_scores_exactly_one(head):
    cameras, images, depths = head
    # Even where its own views disagree.
    unlike = [images[0], shifted(images[1], [9, 0, 0]), images[2]]
    table = score(unlike, depths, cameras, unedited=unlike, settings=SETTINGS, device="cpu")
    assert (table["headline"] == 1).all()


def test_it_scores_exactly_one_with_the_soft_silhouettes_of_splats_too():
    cameras = cameras_around([-12, 0], [(480, 600)] * 2)
    images, depths = photograph(cameras, colors=spots)
    unlike = [images[0], shifted(images[1], [9, 0, 0])]
    # Their surface goes on a little beyond where they are opaque.
    alphas = [(2 * smoothed_alpha(image) - 1).clip(0, 1) for image in unlike]
    soft = [np.dstack([i[..., :3], alpha]) for i, alpha in zip(unlike, alphas, strict=True)]
    table = score(soft, depths, cameras, unedited=soft, settings=SETTINGS, device="cpu")
    assert (table["headline"] == 1).all()


def test_shuffled_views_score_about_zero(head):
    cameras, images, depths = head
    shuffled = shuffled_images(images, [image[..., 3] > 0.5 for image in images], 0)
    known = {"unedited": images, "settings": SETTINGS, "device": "cpu"}
    assert score(shuffled, depths, cameras, **known)["headline"].mean() < 0.2


def test_a_pair_has_one_value_whichever_view_is_warped(head):
    cameras, images, depths = head
    edited = [images[0], shifted(images[1], [5, 0, 0]), images[2]]
    known = {"unedited": images, "settings": SETTINGS, "device": "cpu"}
    table = score(edited, depths, cameras, **known).set_index(["target", "source"])["headline"]
    assert table["v0", "v1"] == table["v1", "v0"] < table["v0", "v2"]


def test_a_shift_of_color_is_measured_in_its_size_and_moves_nothing(head):
    _, images, _ = head
    edited = [shifted(image, [-8, 0, 12]) for image in images]
    found = terms(head, [edited[0], shifted(edited[1], [0, 6, 0]), edited[2]], images)
    assert found["color"] == pytest.approx(6, rel=0.05)
    assert found["place"] < 0.5
    assert found["sharpness"] < 0.05


def test_texture_is_found_where_it_was_moved_to(head):
    _, images, _ = head
    moved = np.roll(images[1], 3, axis=1)
    moved[..., 3] = images[1][..., 3]
    found = terms(head, [images[0], moved, images[2]], images)
    size = np.sqrt(np.mean([(image[..., 3] > 0.5).sum() for image in images]))
    assert found["place"] == pytest.approx(100 * 3 / size, rel=0.25)


def test_the_means_of_the_maps_are_the_disagreements_that_of_place_is_quadratic(head):
    cameras, images, depths = head
    edited = [images[0], smoothed(shifted(images[1], [5, 3, 0]), 2), images[2]]
    scene = make_scene(edited, depths, cameras, 0.5, CPU, unedited=images)
    pairs = head_pairs(head_views(scene, 96, 0.03, 0.5), [0], [1], 0.01, 2.0)
    values, known = disagreement_maps(pairs)
    color, place, detail, sharpness = (values[0, i][known[0, i]].double() for i in range(4))
    means = [float(kind.mean()) for kind in (color, place.square(), detail, sharpness)]
    means[1] **= 0.5
    assert means == pytest.approx(disagreements(pairs)[0, :4].tolist(), rel=1e-4)


def test_blur_of_one_view_is_a_disagreement_in_sharpness_and_blur_of_all_is_none(head):
    _, images, _ = head
    blurred = [smoothed(image, 3) for image in images]
    one = terms(head, [images[0], blurred[1], images[2]], images)
    every = terms(head, blurred, images)
    assert one["sharpness"] > 0.5
    assert every["sharpness"] < 0.25 * one["sharpness"]


@pytest.mark.parametrize("kept", [0.25, 0.5, 0.75])
def test_an_edit_that_one_view_keeps_in_part_disagrees_in_strength(head, kept):
    _, images, _ = head
    edited = [shifted(image, [-8, 14, 10]) for image in images]
    weak = edited[1].copy()
    weak[..., :3] = kept * edited[1][..., :3] + (1 - kept) * images[1][..., :3]
    found = terms(head, [edited[0], weak, edited[2]], images)
    assert found["strength"] == pytest.approx((1 - kept) / (1 + kept) * 2, rel=0.15)
    # What the strength explains is no disagreement in color.
    assert found["color"] < 2


def test_what_the_unedited_views_disagree_in_is_forgiven(head):
    _, images, _ = head
    plain = [images[0], shifted(images[1], [7, 0, 0]), images[2]]
    edited = [shifted(image, [0, 10, 0]) for image in plain]
    assert terms(head, edited, plain)["color"] < 0.6
    assert terms(head, edited)["color"] == pytest.approx(7, rel=0.1)


def test_one_step_of_each_kind_counts_the_same():
    steps = torch.tensor([STEPS[kind] for kind in TERMS])
    alone = headline(torch.diag(steps))
    torch.testing.assert_close(alone, alone[:1].expand(5))
    assert headline(torch.zeros(1, 5)) == 1
    assert float(
        headline(torch.tensor([[HALF_STEPS * STEPS["color"], 0, 0, 0, 0]]))
    ) == pytest.approx(0.5)
    # One kind of many steps counts for more than several of few.
    assert headline(torch.tensor([[4.0, 0, 0, 0, 0]]) * steps) < headline(2.0 * steps[None])
    assert headline(100 * steps[None]) < 0.01
    assert headline(torch.full((1, 5), torch.nan)).isnan()


def test_frames_and_resolution_do_not_matter(head):
    cameras, images, _ = head
    big = cameras.scaled(2 * cameras.sizes)
    again = (big, *photograph(big, colors=spots))
    change = [6, 0, 0]
    first = terms(head, [images[0], shifted(images[1], change), images[2]], images)
    second = terms(again, [again[1][0], shifted(again[1][1], change), again[1][2]], again[1])
    assert second["color"] == pytest.approx(first["color"], rel=0.02)
    assert isinstance(head_views(make_scene(*again[1:], big, 0.5, CPU), 96, 0.03, 0.5), HeadViews)


def test_displacement_is_recovered_to_a_tenth_of_a_pixel():
    draw = np.random.default_rng(1)
    image = smooth(torch.from_numpy(draw.normal(0, 40, (1, 3, 80, 80))).float(), 2.5)
    moved = torch.roll(image, (1, 2), dims=(2, 3))
    mask = torch.zeros(1, 1, 80, 80)
    mask[..., 10:70, 10:70] = 1
    found = displacement(image, moved, mask, 60.0)[0, :, 25:55, 25:55]
    torch.testing.assert_close(found.mean(dim=(1, 2)), torch.tensor([2.0, 1.0]), atol=0.1, rtol=0)


def test_smoothing_a_part_sees_nothing_beyond_it():
    image = torch.rand(1, 2, 20, 30)
    mask = torch.zeros(1, 1, 20, 30)
    mask[..., 5:15, 5:20] = 1
    other = torch.where(mask > 0, image, 7.0)
    torch.testing.assert_close(
        masked_smooth(image, mask, 2.0) * mask, masked_smooth(other, mask, 2.0) * mask
    )
    flat = masked_smooth(torch.full_like(image, 3.0), mask, 2.0)
    torch.testing.assert_close(flat * mask, 3 * mask.expand_as(flat))


def test_resizing_by_area_keeps_the_mean():
    image = torch.rand(23, 31, 2)
    small = area_resized(image, (7, 9))
    torch.testing.assert_close(small.mean(dim=(0, 1)), image.mean(dim=(0, 1)))
