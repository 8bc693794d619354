"""Truths about when views are edited and what an iteration trains on."""

import pytest
from headstyle.avatars.schedules import all_edits, later_passes, make_schedule
from headstyle.avatars.schedules.igs2gs import Igs2gsSchedule
from headstyle.avatars.schedules.in2n import In2nSchedule
from headstyle.avatars.schedules.thesis import ThesisSchedule
from headstyle.avatars.settings import check_stylization
from headstyle.base.errors import InputError

NEIGHBORS = [[1], [0, 2], [1]]


def starts(schedule, views=3):
    return {edit.iteration: edit.cycle for edit in all_edits(schedule, views)}


@pytest.mark.parametrize(
    ("iterations", "edit_every", "expected"),
    [(5000, 2500, {0: 0, 2500: 1}), (5, 2, {0: 0, 2: 1, 4: 2}), (3, 10, {0: 0})],
)
@pytest.mark.parametrize("kind", [ThesisSchedule, Igs2gsSchedule])
def test_all_views_are_edited_every_so_many_iterations(kind, iterations, edit_every, expected):
    schedule = kind(iterations, edit_every)
    assert starts(schedule) == expected
    assert all(edit.views == (0, 1, 2) for edit in all_edits(schedule, 3))
    found = [i for i in range(iterations) if schedule.edit_before(i, 3) is not None]
    assert found == list(expected)


def test_in2n_edits_the_next_view_every_tenth_iteration():
    edits = list(all_edits(In2nSchedule(80, 10), 3))
    assert [edit.views for edit in edits] == [(0,), (1,), (2,), (0,), (1,), (2,), (0,), (1,)]
    assert [edit.iteration for edit in edits] == list(range(0, 80, 10))
    assert {edit.cycle for edit in edits} == {0}
    assert [edit.number for edit in edits] == list(range(8))


def test_only_the_thesis_shares_one_noise_among_all_views():
    shared = {
        kind: next(all_edits(kind(), 3)).shared_noise
        for kind in (ThesisSchedule, Igs2gsSchedule, In2nSchedule)
    }
    assert shared == {ThesisSchedule: True, Igs2gsSchedule: False, In2nSchedule: False}


def test_in_the_thesis_a_batch_is_a_view_and_its_neighbors_and_views_take_turns():
    schedule = ThesisSchedule(6, 3)
    batches = [schedule.batch(i, NEIGHBORS) for i in range(4)]
    assert batches == [[0, 1], [1, 0, 2], [2, 1], [0, 1]]


@pytest.mark.parametrize("kind", [Igs2gsSchedule, In2nSchedule])
def test_in_its_ancestors_a_batch_is_one_view_and_all_come_before_any_comes_again(kind):
    schedule = kind(60, 10, seed=5)
    order = [schedule.batch(i, NEIGHBORS) for i in range(60)]
    assert all(len(batch) == 1 for batch in order)
    turns = [tuple(batch[0] for batch in order[i : i + 3]) for i in range(0, 60, 3)]
    assert all(sorted(turn) == [0, 1, 2] for turn in turns)
    assert len(set(turns)) > 3
    assert order != [kind(60, 10, seed=6).batch(i, NEIGHBORS) for i in range(60)]
    # A function of the iteration alone: a resumed run goes on with the same views.
    assert schedule.batch(41, NEIGHBORS) == order[41]


@pytest.mark.parametrize(
    ("name", "iterations", "edit_every"),
    [("thesis", 5000, 2500), ("igs2gs", 7500, 2500), ("in2n", 15000, 10)],
)
def test_null_takes_the_methods_own_numbers(name, iterations, edit_every):
    schedule = make_schedule({"schedule": name, "iterations": None, "edit_every": None})
    assert (schedule.iterations, schedule.edit_every) == (iterations, edit_every)
    given = make_schedule({"schedule": name, "iterations": 7, "edit_every": None})
    assert (given.iterations, given.edit_every) == (7, edit_every)


def test_figures_know_when_all_views_were_edited_anew():
    settings = {"iterations": None, "edit_every": None}
    assert later_passes({"schedule": "thesis", **settings}) == [2500]
    assert later_passes({"schedule": "igs2gs", **settings}) == [2500, 5000]
    assert later_passes({"schedule": "in2n", **settings}) == []


def test_an_unknown_schedule_is_an_error():
    with pytest.raises(InputError, match=r"stylization\.schedule is 'other'"):
        make_schedule({"schedule": "other", "iterations": 1, "edit_every": 1})


def test_once_edits_all_views_a_single_time_whatever_the_key_says():
    settings = {"schedule": "once", "iterations": 50, "edit_every": 10}
    [edit] = all_edits(make_schedule(settings), 3)
    assert (edit.iteration, edit.views, edit.references) == (0, (0, 1, 2), ())


def test_anchors_are_edited_first_and_are_references_of_all_others():
    settings = {"schedule": "anchor", "iterations": 50, "edit_every": 10}
    schedule = make_schedule({**settings, "anchor": {"anchors": 2}})
    first, second = all_edits(schedule, 5)
    assert (first.views, first.references) == ((1, 3), ())
    assert (second.views, second.references) == ((0, 2, 4), (1, 3))
    assert first.number == second.number
    assert schedule.batch(0, [[]] * 5) == [1]
    [alone] = all_edits(schedule, 1)
    assert alone.views == (0,)


def test_in_sequence_every_view_is_edited_once_and_sees_only_earlier_ones():
    schedule = make_schedule({"schedule": "sequential", "iterations": 50, "edit_every": 10})
    edits = list(all_edits(schedule, 4))
    assert [edit.views for edit in edits] == [(0,), (1,), (2,), (3,)]
    assert all(max(edit.references, default=-1) < edit.views[0] for edit in edits)
    assert all(edit.warped and edit.shared_noise for edit in edits)
    # Nothing is trained on that is not edited yet.
    assert [schedule.batch(i, [[]] * 4) for i in range(4)] == [[0], [1], [2], [3]]


def test_a_schedule_with_references_is_refused_by_key_for_an_editor_that_takes_none():
    settings = {"schedule": "anchor", "iterations": 50, "edit_every": None}
    check_stylization(settings, {"editor": "flux2_klein"})
    with pytest.raises(
        InputError, match=r"schedule is anchor.*set editing\.editor to one of .*qwen"
    ):
        check_stylization(settings, {"editor": "instruct_pix2pix"})
    check_stylization({**settings, "schedule": "sequential"}, {"editor": "instruct_pix2pix"})
