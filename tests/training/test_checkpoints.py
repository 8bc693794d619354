"""Truths about interrupted trainings: they go on as if never interrupted, or tell why not."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from ball import make_ball, section, settings, write_ball
from headstyle.base.errors import InputError
from headstyle.training.baseline import train_on_views
from headstyle.training.checkpoints import FILE, read_state, write_state
from headstyle.training.trainer import SplatTrainer
from own_process import _RUNNER, SCRIPTS, SUPPORT
from safetensors import safe_open

EVENTFUL = {"start": 5, "every": 10, "stop": 300, "densify_gradient": 1e-5}


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def ball():
    cameras, targets, points, colors = make_ball()
    return cameras, [targets[name] for name in cameras.names], points, colors


def bytes_of(trainer):
    return b"".join(value.detach().numpy().tobytes() for value in trainer.splats.values())


def kill_at(monkeypatch, iteration):
    """Let the training be interrupted once at the start of an iteration."""
    step = SplatTrainer.step

    def killed(self, views):
        if self.iteration == iteration:
            monkeypatch.undo()
            raise KilledError
        return step(self, views)

    monkeypatch.setattr(SplatTrainer, "step", killed)


@pytest.mark.parametrize(
    "changes",
    [
        {"refine": EVENTFUL, "max_splats": 300, "exposure_rate": 0.01, "dropout": 0.1},
        {"refine": EVENTFUL, "max_splats": 300, "strategy": "mcmc"},
        {"selection_every": 2, "sh_degree_every": 7},
    ],
    ids=["default", "mcmc", "selection"],
)
def test_a_resumed_training_gives_the_bytes_of_an_uninterrupted_one(
    ball, tmp_path, monkeypatch, changes
):
    chosen = settings(iterations=40, **changes)
    expected = train_on_views(*ball, chosen, seed=3)
    saving = replace(chosen, checkpoint_every_s=1e-9)
    kill_at(monkeypatch, 23)
    with pytest.raises(KilledError):
        train_on_views(*ball, saving, seed=3, checkpoints=tmp_path / "saved")
    assert (tmp_path / "saved" / FILE).exists()
    first = []
    monkeypatch.setattr(
        SplatTrainer, "record", remembering(SplatTrainer.record, first), raising=True
    )
    found = train_on_views(*ball, saving, seed=3, checkpoints=tmp_path / "saved")
    assert first[0] == 24
    assert bytes_of(found) == bytes_of(expected)
    assert [row.iteration for row in found.history] == [row.iteration for row in expected.history]
    assert [row.loss for row in found.history] == [row.loss for row in expected.history]
    assert not (tmp_path / "saved").exists()


def remembering(record, iterations):
    def wrapped(self, loss, views):
        iterations.append(self.iteration)
        return record(self, loss, views)

    return wrapped


def test_a_checkpoint_of_other_views_or_settings_is_not_resumed(ball, tmp_path, monkeypatch):
    saving = settings(iterations=20, checkpoint_every_s=1e-9)
    kill_at(monkeypatch, 11)
    with pytest.raises(KilledError):
        train_on_views(*ball, saving, seed=3, checkpoints=tmp_path)
    expected = train_on_views(*ball, replace(saving, checkpoint_every_s=0), seed=4)
    found = train_on_views(*ball, saving, seed=4, checkpoints=tmp_path)
    assert bytes_of(found) == bytes_of(expected)


def test_a_damaged_checkpoint_is_not_resumed(ball, tmp_path):
    saving = settings(iterations=5, checkpoint_every_s=1e-9)
    tmp_path.joinpath(FILE).write_bytes(b"\0" * 50)
    trainer = train_on_views(*ball, saving, seed=3, checkpoints=tmp_path)
    assert trainer.iteration == 5


def test_without_seconds_between_them_there_are_no_checkpoints(ball, tmp_path, monkeypatch):
    kill_at(monkeypatch, 5)
    with pytest.raises(KilledError):
        train_on_views(*ball, settings(checkpoint_every_s=0), seed=3, checkpoints=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_scene_that_diverges_stops_with_its_last_good_checkpoint(ball, tmp_path, monkeypatch):
    step = SplatTrainer.step

    def broken(self, views):
        if self.iteration == 7:
            with torch.no_grad():
                self.splats["sh0"] += torch.nan
        return step(self, views)

    monkeypatch.setattr(SplatTrainer, "step", broken)
    saving = settings(iterations=20, checkpoint_every_s=1e-9)
    with pytest.raises(
        InputError, match=r"iteration 7 of 20: the loss became nan.* of iteration 7, is in .*saved"
    ):
        train_on_views(*ball, saving, seed=3, checkpoints=tmp_path / "saved")
    with safe_open(tmp_path / "saved" / FILE, framework="pt") as file:
        assert torch.isfinite(file.get_tensor("splats.sh0")).all()


def job(folder, cameras, name, **changes):
    """A `train_baseline` job as Snakemake would start it, in a process of its own."""
    out = folder / name
    outputs = {
        "splats": out / "splats.ply",
        "renders": out / "renders",
        "depth": out / "depth",
        "history": out / "history.tsv",
        "metrics": out / "metrics.json",
    }
    content = {
        "rule": "train_baseline",
        "input": {"cameras": cameras},
        "output": outputs,
        "params": {"baseline": section(**changes), "seed": 5},
        "threads": 1,
        "log": folder / f"{name}.log",
    }
    return subprocess.Popen(
        [
            *(sys.executable, "-c", _RUNNER, str(SCRIPTS / "train_baseline.py")),
            json.dumps(content, default=str),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(SUPPORT)]),
            "CUDA_VISIBLE_DEVICES": "",
        },
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_a_killed_job_goes_on_where_it_was_killed(tmp_path):
    cameras = write_ball(tmp_path / "views")
    changes = {"iterations": 400, "refine": EVENTFUL, "max_splats": 400}
    with job(tmp_path, cameras, "whole", checkpoint_every_s=0, **changes) as whole:
        assert whole.wait() == 0, whole.stderr.read()
    saved = tmp_path / "cut.checkpoint" / FILE
    with job(tmp_path, cameras, "cut", checkpoint_every_s=0.001, **changes) as cut:
        deadline = time.monotonic() + 120
        while not saved.exists():
            assert cut.poll() is None, cut.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.3)
        cut.send_signal(signal.SIGKILL)
    assert not (tmp_path / "cut").exists()
    with job(tmp_path, cameras, "cut", checkpoint_every_s=0.001, **changes) as again:
        assert again.wait() == 0, again.stderr.read()
    assert "resuming after iteration" in (tmp_path / "cut.log").read_text()
    files = [tmp_path / name / "splats.ply" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    depths = [np.load(tmp_path / name / "depth/view1.npz") for name in ("whole", "cut")]
    np.testing.assert_array_equal(depths[0]["median"], depths[1]["median"])
    assert not saved.parent.exists()


def test_a_checkpoint_with_a_flipped_bit_is_not_resumed(tmp_path):
    path = tmp_path / "training.safetensors"
    tensors = {"a": torch.arange(1000.0), "b": torch.tensor(3), "c": torch.tensor([True, False])}
    write_state(path, tensors, {"iteration": 7})
    found, described = read_state(path)
    assert described == {"iteration": 7}
    assert all(torch.equal(found[name], value) for name, value in tensors.items())
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        read_state(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"refine": EVENTFUL, "max_splats": 300, "exposure_rate": 0.01, "dropout": 0.1},
        {"refine": EVENTFUL, "max_splats": 300, "strategy": "mcmc", "selection_every": 2},
    ],
    ids=["default", "mcmc"],
)
def test_a_training_goes_on_from_a_saved_state_as_if_it_never_stopped(ball, tmp_path, changes):
    chosen = settings(iterations=30, checkpoint_iterations=[17], **changes)
    expected = train_on_views(*ball, chosen, seed=3, saved_scenes=tmp_path)
    found = train_on_views(*ball, chosen, seed=3, state=tmp_path / "17.safetensors")
    assert bytes_of(found) == bytes_of(expected)
    assert [row.loss for row in found.history] == [row.loss for row in expected.history]


def test_a_saved_state_goes_on_to_more_iterations_than_were_planned(ball, tmp_path):
    short = settings(iterations=10, checkpoint_iterations=[10])
    train_on_views(*ball, short, seed=3, saved_scenes=tmp_path)
    longer = settings(iterations=16)
    found = train_on_views(*ball, longer, seed=3, state=tmp_path / "10.safetensors")
    assert [row.iteration for row in found.history] == list(range(1, 17))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"iterations": 10}, "set baseline.iterations above 10"),
        ({"holdout": 2}, "other views or cameras"),
        ({"sh_degree": 2}, "another baseline.sh_degree"),
        ({"exposure_rate": 0.01}, "another baseline.exposure_rate"),
    ],
)
def test_a_state_that_another_training_cannot_go_on_from_is_told(ball, tmp_path, changes, told):
    short = settings(iterations=10, checkpoint_iterations=[10])
    train_on_views(*ball, short, seed=3, saved_scenes=tmp_path)
    other = settings(**{"iterations": 16, **changes})
    with pytest.raises(InputError, match=told):
        train_on_views(*ball, other, seed=3, state=tmp_path / "10.safetensors")


def test_a_file_that_is_no_state_is_told(ball, tmp_path):
    (tmp_path / "7.safetensors").write_bytes(b"ply\n")
    with pytest.raises(InputError, match=r"7\.safetensors is no state of a training"):
        train_on_views(*ball, settings(), seed=3, state=tmp_path / "7.safetensors")
