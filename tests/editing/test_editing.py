"""Truths about the editors' shared interface and the control editors."""

import dataclasses

import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.editing.base import Instruction, View
from headstyle.editing.editors.control import OPERATIONS, ControlEditor
from headstyle.editing.registry import check_editing, make_editor

INSTRUCTION = Instruction(
    prompt="P4",
    text="Give him red hair",
    text_guidance=5.0,
    image_guidance=2.0,
    noise_level=0.8,
    cycle=0,
    seed=7,
)


def make_view(name="front", seed=0, height=40, width=30):
    """A soft random image with a transparent frame and a half-transparent border."""
    rng = np.random.default_rng(seed)
    colors = 0.3 + 0.3 * rng.random((height, width, 3), dtype=np.float32)
    alpha = np.zeros((height, width, 1), np.float32)
    alpha[4:-4, 4:-4] = 0.5
    alpha[6:-6, 6:-6] = 1
    photograph = np.concatenate([colors, alpha], axis=2)
    return View(name, photograph, np.zeros_like(photograph))


def edit(view, operation, instruction=INSTRUCTION, randomness=0.0):
    editor = ControlEditor({instruction.prompt: operation}, randomness)
    return editor.edit([view], instruction)[0]


def change(edited, view):
    """Mean color difference over the opaque pixels."""
    opaque = view.photograph[..., 3] == 1
    return np.abs(edited - view.photograph)[opaque, :3].mean()


def test_the_identity_returns_the_photograph_to_the_bit():
    view = make_view()
    np.testing.assert_array_equal(
        edit(view, "identity")[view.photograph[..., 3] > 0],
        view.photograph[view.photograph[..., 3] > 0],
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_edit_keeps_the_size_and_alpha_of_the_photograph(operation):
    view = make_view(height=33, width=47)
    edited = edit(view, operation, randomness=0.5)
    assert edited.dtype == np.float32
    np.testing.assert_array_equal(edited[..., 3], view.photograph[..., 3])
    assert edited.min() >= 0
    assert edited.max() <= 1


@pytest.mark.parametrize("operation", ["recolor", "painterly"])
def test_the_effect_grows_with_the_text_guidance(operation):
    view = make_view()
    changes = [
        change(edit(view, operation, dataclasses.replace(INSTRUCTION, text_guidance=scale)), view)
        for scale in (0.0, 2.5, 5.0, 7.5, 8.0)
    ]
    assert changes[0] == 0
    assert np.all(np.diff(changes) > 0)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_randomness_every_view_gets_the_same_operation(operation):
    first, second = make_view("first"), make_view("second")
    np.testing.assert_array_equal(edit(first, operation), edit(second, operation))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_with_randomness_views_differ_and_a_rerun_does_not(operation):
    first, second = make_view("first"), make_view("second")
    edited = edit(first, operation, randomness=0.3)
    assert change(edited - edit(second, operation, randomness=0.3) + first.photograph, first) > 0.01
    np.testing.assert_array_equal(edited, edit(first, operation, randomness=0.3))


def test_cycles_and_seeds_draw_anew():
    view = make_view()
    edits = [
        edit(view, "identity", dataclasses.replace(INSTRUCTION, **changed), randomness=1.0)
        for changed in ({}, {"cycle": 1}, {"seed": 8})
    ]
    assert change(edits[0] - edits[1] + view.photograph, view) > 0.01
    assert change(edits[0] - edits[2] + view.photograph, view) > 0.01


@pytest.mark.parametrize("operation", OPERATIONS)
def test_views_differ_more_the_larger_the_randomness(operation):
    views = [make_view(f"view{i}") for i in range(6)]

    def spread(randomness):
        edits = np.stack([edit(view, operation, randomness=randomness) for view in views])
        return edits[:, views[0].photograph[..., 3] == 1].std(axis=0).mean()

    spreads = [spread(randomness) for randomness in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert spreads[0] == pytest.approx(0, abs=1e-6)
    assert np.all(np.diff(spreads) > 0)


def test_each_prompt_has_a_tint_of_its_own():
    view = make_view()
    other = dataclasses.replace(INSTRUCTION, prompt="P6")
    assert np.abs(edit(view, "recolor") - edit(view, "recolor", other)).max() > 0.05


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_hidden_behind_alpha_zero_never_shows(operation):
    view = make_view()
    hidden = view.photograph.copy()
    hidden[hidden[..., 3] == 0, :3] = (1, 0, 1)
    visible = view.photograph[..., 3] > 0
    np.testing.assert_array_equal(
        edit(view, operation)[visible],
        edit(dataclasses.replace(view, photograph=hidden), operation)[visible],
    )


def test_an_empty_view_is_edited_without_complaint():
    empty = np.zeros((16, 16, 4), np.float32)
    assert np.isfinite(edit(View("empty", empty, empty), "painterly", randomness=1.0)).all()


def test_views_of_different_sizes_are_edited_in_one_call():
    views = [make_view("a", height=40, width=30), make_view("b", height=30, width=40)]
    editor = ControlEditor({"P4": "painterly"})
    assert [image.shape for image in editor.edit(views, INSTRUCTION)] == [(40, 30, 4), (30, 40, 4)]


def control(**settings):
    defaults = {"operations": {"P4": "recolor"}, "per_view_randomness": 0.0}
    return {"editor": "control", "control": defaults | settings}


def test_an_unknown_operation_is_named_with_the_choices():
    with pytest.raises(
        InputError, match="P4 names the operation 'sparkle'; choose one of identity"
    ):
        make_editor(control(operations={"P4": "sparkle"}), "cpu")


def test_a_prompt_without_an_operation_is_named():
    editor = make_editor(control(operations={}), "cpu")
    with pytest.raises(InputError, match="no operation for prompt P4"):
        editor.edit([make_view()], INSTRUCTION)


def test_settings_that_do_not_fit_the_prompts_are_told_before_any_job():
    settings = control() | {"noise_level": [0.7, 0.98]}
    check_editing(settings, ["P4"])
    with pytest.raises(InputError, match="no operation for prompt P6"):
        check_editing(settings, ["P4", "P6"])
    with pytest.raises(InputError, match=r"editing\.noise_level is \[0\.9, 0\.1\]"):
        check_editing(settings | {"noise_level": [0.9, 0.1]}, ["P4"])


def test_randomness_outside_its_range_is_an_error():
    with pytest.raises(InputError, match=r"per_view_randomness is 1\.5"):
        make_editor(control(per_view_randomness=1.5), "cpu")


def test_an_unknown_editor_is_an_error():
    with pytest.raises(InputError, match=r"editing\.editor is 'magic'"):
        make_editor({"editor": "magic"}, "cpu")


def test_a_render_of_another_size_than_its_photograph_is_refused():
    view = make_view()
    with pytest.raises(ValueError, match="front: the render is"):
        View("front", view.photograph, view.render[:-1])
