"""Truths about making avatars: alone, together, in turns, resumed after a kill at any place."""

import filecmp
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ball_avatars import ball_subject, diffusion_editing, order
from headstyle.avatars import runs as avatar_runs
from headstyle.avatars.files import (
    OUTPUTS,
    AvatarFolder,
    check_renders,
    delivered_at,
    read_plan,
)
from headstyle.avatars.job import Job
from headstyle.avatars.runs import AvatarRun, make_in_turns, make_together
from headstyle.base.errors import InputError
from headstyle.base.files import read_json, write_json
from headstyle.base.images import read_rgba
from headstyle.editing.editors.control import ControlEditor
from headstyle.editing.registry import make_editor
from headstyle.training.trainer import SplatTrainer
from tiny_pipeline import write_tiny_pipeline

MACHINE = {"batch_size": None, "max_memory_gb": None, "compile": "auto", "device": None}


@pytest.fixture(scope="module")
def subject():
    return ball_subject()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return write_tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny")


def job(subject, **changes):
    return Job(subject, "inputs", MACHINE, "cpu", **changes)


def delivered(made):
    """Move an avatar's outputs to their places and return its folder."""
    files = AvatarFolder(made.folder, made.task("inputs"))
    files.deliver({key: made.folder / name for key, name in OUTPUTS.items()})
    return made.folder


def make(subject, made):
    job(subject).make(made)
    return delivered(made)


def assert_same(folder, other):
    """All outputs have the same bytes, except for what tells the time."""
    for name in ("splats.ply", "run.json"):
        assert filecmp.cmp(folder / name, other / name, shallow=False), name
    for name in ("edits/cycle0", "renders", "depth"):
        names = sorted(path.name for path in (folder / name).iterdir())
        assert names == sorted(path.name for path in (other / name).iterdir())
        _, mismatch, errors = filecmp.cmpfiles(folder / name, other / name, names, shallow=False)
        assert not mismatch + errors, name
    rows, others = (
        [line.split("\t")[:4] for line in (f / "history.tsv").read_text().splitlines()]
        for f in (folder, other)
    )
    assert rows == others


def test_an_avatars_folder_holds_all_outputs_and_nothing_else(subject, tmp_path):
    folder = make(subject, order(tmp_path))
    assert sorted(path.name for path in folder.iterdir()) == sorted(OUTPUTS.values())
    for cycle in ("cycle0", "cycle1"):
        found = sorted(path.name for path in (folder / "edits" / cycle).iterdir())
        assert found == ["a.png", "b.png", "c.png", "d.png"]


def test_the_record_has_every_setting_and_the_times_stand_apart(subject, tmp_path):
    folder = make(subject, order(tmp_path))
    run, timings = read_json(folder / "run.json"), read_json(folder / "timings.json")
    assert run["prompt_text"] == "Give him red hair"
    assert run["editing"]["noise_level"] == [0.7, 0.98]
    assert run["stylization"]["schedule"] == "thesis"
    assert run["baseline"]["ssim_weight"] == 0.2
    assert len(run["edits"]) == 2
    assert "seconds" not in json.dumps(run)
    assert set(timings["seconds"]) == {"edit", "train", "write"}
    assert timings["resumed_at_iteration"] is None


def test_avatars_of_one_job_are_those_made_alone(subject, pipeline, tmp_path):
    editing = diffusion_editing(pipeline)
    alone = [make(subject, order(tmp_path / "alone", s, editing)) for s in ("low", "high")]
    own, other = (order(tmp_path / "together", s, editing) for s in ("low", "high"))
    job(subject).make(own, [other], most=2)
    for made, folder in zip((own, other), alone, strict=True):
        assert_same(delivered(made), folder)


def test_weights_are_loaded_once_for_all_avatars_of_a_job(subject, pipeline, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        "headstyle.avatars.job.make_editor",
        lambda *arguments: loaded.append(arguments) or make_editor(*arguments),
    )
    orders = [order(tmp_path, s, diffusion_editing(pipeline)) for s in ("low", "high")]
    job(subject).make(orders[0], orders[1:], most=2)
    assert len(loaded) == 1


def runs(subject, editor, orders):
    made = [AvatarRun(o, subject, editor, AvatarFolder(o.folder, o.task("inputs"))) for o in orders]
    return made


def test_avatars_that_share_batches_are_those_made_alone_but_for_rounding(
    subject, pipeline, tmp_path, monkeypatch
):
    editing = diffusion_editing(pipeline)
    editor = make_editor({**editing, **MACHINE}, "cpu")
    batches, edit = [], editor.edit
    monkeypatch.setattr(editor, "edit", lambda v, i: batches.append(len(v)) or edit(v, i))
    orders = [order(tmp_path / "together", s, editing) for s in ("low", "high")]
    assert make_together(runs(subject, editor, orders)) == {}
    assert batches == [8, 8]
    for made in orders:
        alone = make(subject, order(tmp_path / "alone", made.strength, editing))
        folder = delivered(made)
        for path in sorted((folder / "edits/cycle0").iterdir()):
            np.testing.assert_allclose(
                read_rgba(path), read_rgba(alone / "edits/cycle0" / path.name), atol=1.1 / 255
            )


def test_one_avatar_is_edited_while_another_is_trained(subject, tmp_path, monkeypatch):
    orders = [order(tmp_path / str(i), strength) for i in range(2) for strength in ("low", "high")]
    editor = make_editor(orders[0].params["editing"], "cpu")
    alone = [make(subject, order(tmp_path / "alone", s)) for s in ("low", "high")]
    working, overlaps = set(), []
    edit, step = ControlEditor.edit, SplatTrainer.step

    def slow_edit(editor, views, instructions):
        working.add("edit")
        time.sleep(0.1)
        working.discard("edit")
        return edit(editor, views, instructions)

    def watched_step(trainer, batch):
        overlaps.append("edit" in working)
        time.sleep(0.01)
        return step(trainer, batch)

    monkeypatch.setattr(ControlEditor, "edit", slow_edit)
    monkeypatch.setattr(SplatTrainer, "step", watched_step)
    starts = (lambda o=o: runs(subject, editor, [o])[0] for o in orders)
    assert make_in_turns(starts) == {}
    assert sum(overlaps) > 0.3 * len(overlaps)
    monkeypatch.undo()
    for made, folder in zip(orders, alone * 2, strict=True):
        assert_same(delivered(made), folder)


@pytest.mark.parametrize("make_all", [make_together, lambda runs: make_in_turns(iter(runs))])
def test_an_avatar_that_diverges_stops_no_other(subject, tmp_path, monkeypatch, make_all):
    orders = [order(tmp_path, s) for s in ("low", "high")]
    editor = make_editor(orders[0].params["editing"], "cpu")
    made = runs(subject, editor, orders)

    def broken(batch):
        raise InputError("the loss became nan")

    monkeypatch.setattr(made[0].trainer, "step", broken)
    given = made if make_all is make_together else [lambda run=run: run for run in made]
    failed = make_all(given)
    assert list(failed) == ["P4_low"]
    assert made[1].files.is_finished()


def test_an_avatar_that_another_job_makes_is_waited_for(subject, tmp_path, monkeypatch):
    own, other = (order(tmp_path, s) for s in ("low", "high"))
    files = AvatarFolder(own.folder, own.task("inputs"))
    lock = files.claim()
    waited = []

    def another_job_ends(seconds):
        waited.append(seconds)
        lock.release()

    monkeypatch.setattr("headstyle.avatars.job.time.sleep", another_job_ends)
    job(subject).make(own, [other], most=2)
    assert waited
    assert files.is_finished()
    # While it waited, it made the other one.
    assert AvatarFolder(other.folder, other.task("inputs")).is_finished()


def test_what_was_delivered_in_this_run_is_not_made_again(subject, tmp_path):
    own, other = (order(tmp_path, s) for s in ("low", "high"))
    folder = make(subject, other)
    # The clock was set back during the run: that is no reason to make it again.
    os.utime(folder / "run.json", (1000, 1000))
    job(subject, before={other.name: 2000 * 10**9}).make(own, [other], most=2)
    assert delivered_at(folder) == 1000 * 10**9
    assert not (folder / ".partial").exists()
    # In a run that began later it is to be made anew.
    job(subject, before={other.name: delivered_at(folder)}).make(own, [other], most=2)
    assert AvatarFolder(other.folder, other.task("inputs")).is_finished()


def test_a_view_that_the_baseline_lacks_is_named_before_anything_is_loaded(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    check_renders(["a"], tmp_path)
    with pytest.raises(InputError, match=r"lacks the views b, c, which the subject's cameras have"):
        check_renders(["a", "b", "c"], tmp_path)


def test_an_avatar_can_be_claimed_once(tmp_path):
    files = AvatarFolder(tmp_path / "P4_low", "task")
    lock = files.claim()
    assert files.claim() is None
    lock.release()
    again = files.claim()
    assert again is not None
    again.release()


def test_another_task_takes_nothing_from_what_was_left(tmp_path):
    files = AvatarFolder(tmp_path, "one")
    files.begin()
    (files.edits / "cycle0").mkdir(parents=True)
    files.begin()
    assert (files.edits / "cycle0").exists()
    AvatarFolder(tmp_path, "other").begin()
    assert not files.edits.exists()


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"prompt_text": "x"}, {"library": "x"}, {"strength": {"text_guidance": 1}}],
)
def test_everything_that_shapes_an_avatar_belongs_to_its_task(tmp_path, change):
    made = order(tmp_path)
    other = type(made)(
        made.subject, made.prompt, made.strength, {**made.params, **change}, made.folder
    )
    assert made.task("inputs") == order(tmp_path).task("inputs")
    assert len({made.task("inputs"), made.task("others"), other.task("inputs")}) == 3


def test_the_plan_of_a_run_gives_the_orders_back(tmp_path):
    made, plan = order(tmp_path), tmp_path / "plan.json"
    assert read_plan(plan, "A") == ([], {})
    entry = {**vars(made), "folder": str(made.folder), "params": dict(made.params)}
    write_json(plan, [{**entry, "subject": s, "delivered_at": 7} for s in "AB"])
    [found], before = read_plan(plan, "A")
    assert found.task("x") == made.task("x")
    assert before == {"P4_low": 7}


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import ball_avatars
from headstyle.avatars import runs as avatar_runs
from headstyle.avatars import subject as avatar_subject
from headstyle.avatars.job import Job
from headstyle.training.trainer import SplatTrainer

where, count = sys.argv[2], int(sys.argv[3])
owner, name = {{
    "edit": (avatar_runs.AvatarRun, "_received"),
    "train": (SplatTrainer, "step"),
    "save": (avatar_runs, "write_state"),
    "write": (avatar_subject, "write_renders"),
}}[where]
real, calls = getattr(owner, name), []

def stopping(*arguments, **options):
    calls.append(1)
    if len(calls) == count:
        # Edits are written while the training goes on.
        time.sleep(0.5)
        print("now", flush=True)
        sys.stdin.read()
    return real(*arguments, **options)

setattr(owner, name, stopping)
order = ball_avatars.order(Path(sys.argv[1]), schedule=sys.argv[4])
Job(ball_avatars.ball_subject(), "inputs", {{}}, "cpu").make(order)
"""


def kill_in(folder, where, count, schedule):
    """Make an avatar in a process of its own, and kill it -9 at a certain call."""
    script = SCRIPT.format(tests=str(Path(__file__).parents[1] / "support"))
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), where, str(count), schedule],
        env={**os.environ, "PYTHONPATH": str(Path(avatar_runs.__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "now\n", process.stderr.read()[-3000:]
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "count", "resumed_at", "edits_again"),
    [
        ("edit", 1, None, 2),
        ("train", 4, None, 1),
        ("save", 1, None, 1),
        ("edit", 2, 6, 1),
        ("train", 10, 6, 0),
        ("save", 2, 6, 0),
        ("write", 1, 12, 0),
    ],
)
def test_an_avatar_killed_in_any_phase_goes_on_and_ends_with_the_same_bytes(
    subject, tmp_path, monkeypatch, where, count, resumed_at, edits_again
):
    kill_in(tmp_path / "killed", where, count, "thesis")
    received, real = [], AvatarRun._received
    monkeypatch.setattr(AvatarRun, "_received", lambda *a: received.append(1) or real(*a))
    killed = make(subject, order(tmp_path / "killed"))
    assert read_json(killed / "timings.json")["resumed_at_iteration"] == resumed_at
    assert len(received) == edits_again
    assert_same(killed, make(subject, order(tmp_path / "whole")))


def test_an_avatar_whose_delivery_was_interrupted_is_written_again(subject, tmp_path):
    made, whole = order(tmp_path / "stopped"), make(subject, order(tmp_path / "whole"))
    job(subject).make(made)
    files = AvatarFolder(made.folder, made.task("inputs"))
    (files.finished / "splats.ply").unlink()
    (files.edits / "cycle1" / ".a.partial-1.png").write_bytes(b"half written")
    assert not files.is_finished()
    folder = make(subject, made)
    assert read_json(folder / "timings.json")["resumed_at_iteration"] == 12
    assert_same(folder, whole)
    assert not list(folder.rglob("*.partial-*"))


def test_a_damaged_checkpoint_is_left_and_the_avatar_begun_anew(subject, tmp_path, caplog):
    made, whole = order(tmp_path / "stopped"), make(subject, order(tmp_path / "whole"))
    job(subject).make(made)
    files = AvatarFolder(made.folder, made.task("inputs"))
    (files.finished / "splats.ply").unlink()
    (files.checkpoint / "training.safetensors").write_bytes(b"damaged")
    assert_same(make(subject, made), whole)
    assert "cannot be read" in caplog.text


def test_single_edits_are_resumed_from_the_last_checkpoint(subject, tmp_path, monkeypatch):
    changes = {"schedule": "in2n", "iterations": 40, "edit_every": 2}
    monkeypatch.setattr("headstyle.avatars.schedules.in2n.In2nSchedule.checkpoint_every", 10)
    made = order(tmp_path / "stopped", **changes)
    steps, real = [], SplatTrainer.step

    def stopping(trainer, batch):
        steps.append(1)
        if len(steps) == 27:
            raise KeyboardInterrupt
        return real(trainer, batch)

    monkeypatch.setattr(SplatTrainer, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        job(subject).make(made)
    steps.clear()
    stopped = make(subject, made)
    assert read_json(stopped / "timings.json")["resumed_at_iteration"] == 20
    assert len(steps) == 20
    monkeypatch.setattr(SplatTrainer, "step", real)
    assert_same(stopped, make(subject, order(tmp_path / "whole", **changes)))
