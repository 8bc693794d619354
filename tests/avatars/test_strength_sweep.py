"""Truths about the grid of strengths that is tried in 2D, on the ball."""

import numpy as np
import pytest
from ball_avatars import CONFIG, ball_subject, control_editing
from headstyle.avatars.strength_sweep import check_sweep, described, swept_edits, trials
from headstyle.base.errors import InputError
from headstyle.base.settings import default_values, laid_over
from headstyle.consistency.edit_sweep import sweep_scores, with_floor
from headstyle.editing.base import Instruction, View
from headstyle.editing.editors.control import ControlEditor
from headstyle.editing.registry import editing_settings
from headstyle.report.judging.strength_sweep import sweep_sheet

NONE = {"views": 3, "text_guidance": None, "image_guidance": None, "noise_level": None}
STUDY = [CONFIG["strengths"]["low"], CONFIG["strengths"]["high"]]


def test_without_values_the_studys_are_tried_and_some_around_them():
    tried = trials(NONE, CONFIG["editing"], STUDY)
    assert sorted({trial["text_guidance"] for trial in tried}) == [2.5, 5, 7.5, 11.25]
    assert sorted({trial["image_guidance"] for trial in tried}) == [1, 2, 3]
    assert all(trial["noise_level"] == pytest.approx(0.84) for trial in tried)
    assert len(tried) == 12


def test_every_combination_of_given_values_is_tried():
    sweep = NONE | {"text_guidance": [1, 2], "image_guidance": [1.5], "noise_level": [0.5, 0.9]}
    tried = trials(sweep, CONFIG["editing"], STUDY)
    assert [tuple(trial.values()) for trial in tried] == [
        *((1, 1.5, 0.5), (1, 1.5, 0.9), (2, 1.5, 0.5), (2, 1.5, 0.9))
    ]
    assert described(tried[1]) == "text 1, image 1.5, noise 0.9"


def test_a_knob_that_the_editor_lacks_is_refused_by_key():
    editing = laid_over(default_values(editing_settings()), {"editor": "longcat"})
    check_sweep(NONE, editing)
    assert trials(NONE, editing, [{"text_guidance": 16.0}]) == [
        *({"text_guidance": 8.0}, {"text_guidance": 16.0}, {"text_guidance": 20.0})
    ]
    with pytest.raises(
        InputError, match=r"strength_sweep\.image_guidance is set, and the editor lon"
    ):
        check_sweep(NONE | {"image_guidance": [1]}, editing)


def test_the_change_grows_with_the_guidance_and_photographs_are_the_floor():
    subject = ball_subject()
    cameras = subject.cameras.select(["a", "b"])
    photographs = [subject.photographs[name] for name in cameras.names]
    depths = [subject.depths[name] for name in cameras.names]
    views = [View(n, p, p) for n, p in zip(cameras.names, photographs, strict=True)]
    editor = ControlEditor({"P4": "recolor"}, 0.3)
    assert control_editing()["editor"] == "control"
    start = Instruction("P4", "red hair", 0.0, 0.0, 1.0, 0, 1)
    tried = [{"text_guidance": g, "image_guidance": 1.0, "noise_level": 0.8} for g in (2.5, 7.5)]
    edits = [photographs, *swept_edits(editor, views, start, tried)]
    metrics = CONFIG["metrics"]
    table = with_floor(
        [sweep_scores(row, photographs, depths, cameras, metrics, "cpu") for row in edits]
    )
    assert table["edit_strength"].iloc[0] == pytest.approx(0, abs=1e-6)
    assert table["edit_strength"].is_monotonic_increasing
    assert table["ciede2000_corrected_excess"].iloc[0] == 0
    # Every view gets a color of its own.
    assert table["ciede2000_corrected_excess"].iloc[2] > 0.5
    sheet = sweep_sheet("A, P4", "", [{}, *tried], edits, table.to_dict("records"))
    assert np.asarray(sheet).std() > 10
