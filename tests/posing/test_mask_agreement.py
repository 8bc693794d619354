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
    photographs,
    true_masks,
    write_model,
)
from headstyle.base.files import read_json, write_json
from headstyle.posing.agreement.corrections import Agreement, correct_mask
from own_process import in_own_process, run_stage
from PIL import Image

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


def write_scene(folder):
    """Photographs, masks and the model of the ball, as the stages before would write them."""
    pictures, masks = photographs(), masks_that_disagree()
    entries = {}
    for picture, name in zip(pictures, NAMES, strict=True):
        for kind, pixels in (("photographs", picture), ("masks", masks[name])):
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"{name}.png")
        path = str(folder / "photographs" / f"{name}.png")
        size = {"width": SIZE[0], "height": SIZE[1]}
        entries[name] = {"photograph": path, **size, "coverage": 0.5, "flags": []}
    write_json(folder / "masks" / "masks.json", {"steps": ["matting"], "views": entries})
    write_json(folder / "poses" / "poses.json", {})
    in_own_process(write_model, folder / "poses" / "sparse" / "0")


def test_the_stage_says_per_view_what_it_changed(tmp_path):
    write_scene(tmp_path)
    run_stage(
        "agree_masks",
        {
            "masks": tmp_path / "masks" / "masks.json",
            "poses": tmp_path / "poses" / "poses.json",
        },
        {"masks": tmp_path / "agreed" / "masks.json"},
        {"agreement": {"apply": "made", "keep_part": 0.75, "give_back_part": 0.85}},
        tmp_path,
    )
    content = read_json(tmp_path / "agreed" / "masks.json")
    assert content["steps"] == ["matting", "agreement"]
    assert content["agreement"] == {"compared": len(NAMES), "left_alone": {}, "note": ""}
    views = content["views"]
    assert {name for name in NAMES if views[name]["carved"]} == set(WITH_PLINTH)
    assert {name for name in NAMES if views[name]["given_back"]} == {WITH_HOLE}
    for name in set(NAMES) - {*WITH_PLINTH, WITH_HOLE}:
        before, after = (tmp_path / kind / f"{name}.png" for kind in ("masks", "agreed"))
        assert before.read_bytes() == after.read_bytes()
