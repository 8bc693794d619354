"""Which masks of a ball on a plinth the other views correct."""

import numpy as np
import pytest
from ball_on_plinth import (
    HOLE,
    NAMES,
    SIZE,
    WITH_HOLE,
    WITH_PLINTH,
    all_cases,
    masks_that_disagree,
    true_masks,
)
from headstyle.posing.mask_agreement import Agreement, correct_mask
from own_process import in_own_process

PHOTOGRAPH = np.full((*SIZE[::-1], 3), 128, np.uint8)


@pytest.fixture(scope="module")
def cases():
    return in_own_process(all_cases)


def corrected(masks, found, name):
    return correct_mask(masks[name], found.views[name], PHOTOGRAPH)


def overlap(mask, truth):
    a, b = mask >= 128, truth >= 128
    return (a & b).sum() / (a | b).sum()


def test_masks_that_agree_stay_the_same_bytes(cases):
    found, masks = cases["true"], true_masks()
    assert set(found.views) == set(NAMES)
    assert all(agreement.is_complete for agreement in found.views.values())
    mask, change = corrected(masks, found, "v00")
    assert mask is masks["v00"]
    assert change == {"carved": 0.0, "given_back": 0.0}


def test_a_plinth_in_a_third_of_the_masks_is_carved(cases):
    found, masks, truth = cases["disagree"], masks_that_disagree(), true_masks()
    for name in WITH_PLINTH:
        mask, change = corrected(masks, found, name)
        before = overlap(masks[name], truth[name])
        assert before < 0.7
        assert overlap(mask, truth[name]) > 0.95
        assert change["carved"] > 0.3
        # Nothing of the ball is lost.
        assert (mask[truth[name] >= 250] >= 200).mean() > 0.99


def test_a_hole_in_one_mask_is_given_back(cases):
    found, masks, truth = cases["disagree"], masks_that_disagree(), true_masks()
    mask, change = corrected(masks, found, WITH_HOLE)
    assert mask[HOLE].min() > 240
    assert overlap(mask, truth[WITH_HOLE]) > 0.99
    assert change["given_back"] > 0.08
    assert change["carved"] == 0


def test_masks_without_plinth_or_hole_stay_among_those_that_have_them(cases):
    others = set(NAMES) - {*WITH_PLINTH, WITH_HOLE}
    assert all(cases["disagree"].views[name].is_complete for name in others)


def test_without_points_of_the_surface_nothing_is_given_back(cases):
    # What the views see together may be a hollow, which only the views from its side see through.
    assert not any(agreement.given_back.any() for agreement in cases["no points"].views.values())


def test_too_few_cameras_leave_the_masks_alone_and_say_so(cases):
    assert not cases["few"].views
    assert cases["few"].note == "7 posed views are too few to correct masks; 8 are needed"


def test_wrong_cameras_leave_the_masks_alone_and_say_so(cases):
    assert not cases["wrong"].views
    assert "contradict each other" in cases["wrong"].note


def test_a_view_whose_camera_is_wrong_is_left_alone_and_named(cases):
    found = cases["one wrong"]
    assert list(found.left_alone) == ["v05"]
    assert "pose may be wrong" in found.left_alone["v05"]
    assert all(agreement.is_complete for agreement in found.views.values())


def test_the_border_of_a_correction_moves_to_the_edge_in_the_photograph():
    photograph = np.zeros((640, 480, 3), np.uint8)
    photograph[:, 243:] = 255
    region = np.zeros((320, 240), bool)
    region[:, 120:] = True  # From column 240 on, three pixels beside the edge.
    mask = np.full((640, 480), 255, np.uint8)
    mask, _ = correct_mask(mask, Agreement(region, np.zeros_like(region)), photograph)
    assert mask[:, :220].min() == 255
    assert mask[:, 260:].max() == 0
    steps = -np.diff(mask[80].astype(int))
    assert steps.argmax() == 242
    assert steps.max() > 60
