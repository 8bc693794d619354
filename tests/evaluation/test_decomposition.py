"""Where an avatar's disagreement went: in the edits, left out by the splats, or still shown."""

import numpy as np
import pytest
import torch
from analytic import cameras_around, photograph, spots
from headstyle.evaluation.decomposition import Rig, kinds_between, kinds_left_out, part_of
from scipy.ndimage import gaussian_filter

PAIRS = [(0, 1), (1, 2)]
SETTINGS = {"depth_jump": 0.03, "depth_tolerance": 0.01, "round_trip_px": 2.0}


@pytest.fixture(scope="module")
def head():
    cameras = cameras_around([-12, 0, 12], [(160, 200)] * 3)
    images, depths = photograph(cameras, colors=spots)
    settings = SETTINGS | {"foreground_alpha": 0.5}
    return Rig(cameras, depths, settings, torch.device("cpu")), images


def tinted(image, change):
    colors = np.clip(image[..., :3] + np.float32(change), 0, 1)
    return np.concatenate([colors, image[..., 3:]], axis=2)


def blurred(image):
    colors = gaussian_filter(image[..., :3], (3, 3, 0))
    return np.concatenate([colors, image[..., 3:]], axis=2)


def test_edits_that_agree_and_renders_that_show_them_have_no_steps(head):
    rig, images = head
    edits = [tinted(image, [0.1, 0, 0]) for image in images]
    assert part_of(kinds_between(rig, edits, images, PAIRS)).steps < 0.5
    left = part_of(kinds_left_out(rig, edits, images, edits, images))
    assert (left.steps, left.headline) == pytest.approx((0, 1), abs=1e-4)


def test_colors_that_splats_average_are_in_the_edits_and_left_out_but_not_shown(head):
    rig, images = head
    edits = [
        tinted(image, [change, 0, 0]) for image, change in zip(images, (0, 0.2, 0.1), strict=True)
    ]
    renders = [tinted(image, [0.1, 0, 0]) for image in images]
    found = part_of(kinds_between(rig, edits, images, PAIRS))
    assert found.kind in ("color", "strength")
    assert found.steps > 2
    assert part_of(kinds_left_out(rig, edits, images, renders, images)).steps > 1
    assert part_of(kinds_between(rig, renders, images, PAIRS)).steps < 0.5


def test_blur_is_left_out_sharpness(head):
    rig, images = head
    edits = [tinted(image, [0.2, 0, 0]) for image in images]
    renders = [blurred(image) for image in edits]
    found = part_of(kinds_left_out(rig, edits, images, renders, images))
    assert found.kind == "sharpness"
    assert found.headline < 0.5


def test_pairs_without_anything_in_common_count_for_nothing():
    kinds = np.array([[4, 0, 0, 0, 0], [np.nan] * 5], np.float32)
    assert part_of(kinds).steps == pytest.approx(1)
    assert np.isnan(part_of(kinds[1:]).steps)
