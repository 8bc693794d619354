"""Truths about edits that failed: each is found, told, and mended by another seed if that helps."""

import dataclasses
import logging

import numpy as np
import pytest
from ball_avatars import ball_subject, diffusion_editing, order
from headstyle.avatars.job import Job
from headstyle.base.errors import InputError
from headstyle.editing.editors.control import ControlEditor
from headstyle.editing.faults import CheckedEditor, fault_of
from headstyle.editing.registry import checked_editor
from pix2pix_samples import INSTRUCTION, make_view

VIEWS = [make_view("a", 0), make_view("b", 1, height=24, width=32), make_view("c", 2)]


def filled(view, value):
    image = view.photograph.copy()
    image[..., :3] = value
    return image


def unchanged(view):
    return view.photograph.copy()


def black(view):
    return filled(view, 0)


def no_number(view):
    image = filled(view, 0.5)
    image[10, 10, 1] = np.nan
    return image


class Failing:
    """Edits all views to gray, but fails on the view `b` for some seeds."""

    shares_batches = True

    def __init__(self, failure, seeds=(INSTRUCTION.seed,)):
        self.failure, self.seeds, self.asked = failure, seeds, []

    def edit(self, views, instructions):
        self.asked.append([view.name for view in views])
        return [
            self.failure(view)
            if view.name == "b" and (self.seeds is None or i.seed in self.seeds)
            else filled(view, 0.5)
            for view, i in zip(views, instructions, strict=True)
        ]

    def describe_machine(self):
        return {"device": "cpu"}


@pytest.mark.parametrize(
    ("failure", "told"),
    [(black, "is black"), (no_number, "no numbers"), (unchanged, "changed nothing")],
)
def test_a_failed_edit_is_mended_by_another_seed_and_told(failure, told, caplog):
    inner = Failing(failure)
    editor = CheckedEditor(inner, "retry")
    with caplog.at_level(logging.WARNING, logger="headstyle"):
        edited = editor.edit(VIEWS, INSTRUCTION)
    assert inner.asked == [["a", "b", "c"], ["b"]]
    assert all(np.all(image[..., :3] == 0.5) for image in edited)
    assert "the edit of view b in cycle 0 of P1" in caplog.text
    assert told in caplog.text
    [entry] = editor.describe_machine()["faulty_edits"]
    assert entry["view"] == "b"
    assert entry["mended"]


def test_good_edits_are_passed_on_to_the_bit():
    editor = CheckedEditor(Failing(black, seeds=()), "retry")
    for edited, view in zip(editor.edit(VIEWS, INSTRUCTION), VIEWS, strict=True):
        np.testing.assert_array_equal(edited, filled(view, 0.5))
    assert editor.describe_machine() == {"device": "cpu"}


@pytest.mark.parametrize("failure", [black, no_number])
def test_what_stays_black_or_no_number_stops_the_avatar(failure):
    for reaction, seeds, times in (("retry", None, 2), ("stop", (INSTRUCTION.seed,), 1)):
        inner = Failing(failure, seeds)
        with pytest.raises(InputError, match=r"edits failed.*: b of P1 .*safety checker"):
            CheckedEditor(inner, reaction).edit(VIEWS, INSTRUCTION)
        assert len(inner.asked) == times


def test_whoever_accepts_failed_edits_gets_numbers():
    [_, edited, _] = CheckedEditor(Failing(no_number), "tell").edit(VIEWS, INSTRUCTION)
    assert np.isfinite(edited).all()


def test_an_edit_that_changes_nothing_is_told_and_kept(caplog):
    [_, edited, _] = CheckedEditor(Failing(unchanged, None), "retry").edit(VIEWS, INSTRUCTION)
    np.testing.assert_array_equal(edited, VIEWS[1].photograph)
    assert "changed nothing" in caplog.text


def test_only_the_inside_of_the_mask_counts():
    view = VIEWS[0]
    image = filled(view, 0.5)
    image[:5, :, :3] = np.nan
    assert fault_of(image, view) is None
    empty = dataclasses.replace(view, photograph=np.zeros_like(view.photograph))
    assert fault_of(empty.photograph, empty) is None


def test_a_dark_photograph_may_have_a_dark_edit():
    dark = dataclasses.replace(VIEWS[0], photograph=filled(VIEWS[0], 1 / 255))
    assert fault_of(black(dark), dark) == "changed nothing"


def test_control_edits_may_change_nothing():
    editor = ControlEditor({"P1": "identity"})
    assert checked_editor(editor, {"editor": "control"}) is editor


def test_an_avatar_is_not_trained_on_black_edits(tmp_path, monkeypatch):
    inner = Failing(black, None)
    inner.expect = lambda views: None
    monkeypatch.setattr("headstyle.avatars.job.make_editor", lambda *arguments: inner)
    made = order(tmp_path, editing=diffusion_editing(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="also with another seed: b of P4 is black"):
        Job(ball_subject(), "inputs", {"device": None}, "cpu").make(made)
    assert inner.asked == [["a", "b", "c", "d"], ["b"]]
