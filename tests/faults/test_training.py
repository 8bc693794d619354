"""A training whose numbers or GPU fail ends in one sentence, and goes on from where it was."""

import errno
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ball import make_ball, settings
from ball_avatars import ball_subject, order
from headstyle.avatars.files import AvatarFolder
from headstyle.avatars.job import Job
from headstyle.base.errors import InputError
from headstyle.editing.editors.control import ControlEditor
from headstyle.training.baseline import train_on_views
from headstyle.training.checkpoints import FILE
from headstyle.training.trainer import SplatTrainer
from headstyle.workflow.gpus import own_gpus
from headstyle.workflow.stage import stage
from job_files import Files

MACHINE = {"batch_size": None, "max_memory_gb": None, "compile": "auto", "device": None}
GPU_FAULTS = {
    "vanished": (
        torch.AcceleratorError("CUDA error: unspecified launch failure\nCompile with TORCH_USE"),
        "the GPU failed (CUDA error: unspecified launch failure); look at it with nvidia-smi",
    ),
    "full": (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has"),
        "the GPU has not enough memory (CUDA out of memory. Tried to allocate 2.00 GiB.); end",
    ),
}


@pytest.fixture(scope="module")
def ball():
    cameras, targets, points, colors = make_ball()
    return cameras, [targets[name] for name in cameras.names], points, colors


@pytest.fixture(scope="module")
def subject():
    return ball_subject()


def fail_at(monkeypatch, iteration: int, error: Exception) -> None:
    """Let every training fail at the start of an iteration."""
    step = SplatTrainer.step

    def failing(self, views):
        if self.iteration == iteration:
            raise error
        return step(self, views)

    monkeypatch.setattr(SplatTrainer, "step", failing)


def spoil_after(monkeypatch, iteration: int) -> None:
    """Let an iteration leave a splat behind that is not finite."""
    step = SplatTrainer.step

    def spoiling(self, views):
        loss = step(self, views)
        if self.iteration == iteration:
            with torch.no_grad():
                self.splats["sh0"][:] = torch.nan
        return loss

    monkeypatch.setattr(SplatTrainer, "step", spoiling)


def job(folder: Path, **resources: float) -> SimpleNamespace:
    """A job without files but its log."""
    files = {"input": Files(), "output": Files(), "log": [folder / "logs" / "work.log"]}
    return SimpleNamespace(**files, rule="work", threads=1, resources=resources)


def in_stage(folder: Path, work: Callable[[], object]) -> list[str]:
    """Do the work in a stage that must fail, and return the lines of its log."""
    with pytest.raises(SystemExit), stage(job(folder)):
        work()
    return (folder / "logs" / "work.log").read_text().splitlines()


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("fault", GPU_FAULTS)
def test_a_gpu_that_fails_in_a_training_is_told_and_the_training_goes_on(
    ball, tmp_path, monkeypatch, fault
):
    error, said = GPU_FAULTS[fault]
    fail_at(monkeypatch, 7, error)
    saving = settings(iterations=12, checkpoint_every_s=1e-9)

    def train():
        return train_on_views(*ball, saving, seed=3, checkpoints=tmp_path / "saved")

    last = in_stage(tmp_path, train)[-1]
    assert f"ERROR {said}" in last
    assert (tmp_path / "saved" / FILE).exists()
    monkeypatch.undo()
    again = train()
    alone = train_on_views(*ball, saving, seed=3)
    assert torch.equal(again.splats["means"], alone.splats["means"])
    assert again.history[-1].loss == alone.history[-1].loss


@pytest.mark.parametrize("fault", GPU_FAULTS)
def test_a_gpu_that_fails_in_a_stylization_is_told_and_the_avatar_goes_on(
    subject, tmp_path, monkeypatch, fault
):
    error, said = GPU_FAULTS[fault]
    made = order(tmp_path)
    files = AvatarFolder(made.folder, made.task("inputs"))
    fail_at(monkeypatch, 7, error)
    last = in_stage(tmp_path, lambda: Job(subject, "inputs", MACHINE, "cpu").make(made))[-1]
    assert f"ERROR {said}" in last
    # The process would end now, after its thread has written the edits; they are kept.
    wait_until(lambda: (files.edits / "cycle1").exists())
    assert len(list((files.edits / "cycle0").iterdir())) == 4
    monkeypatch.undo()
    Job(subject, "inputs", MACHINE, "cpu").make(made)
    assert files.is_finished()


def test_splats_that_the_last_iteration_spoils_are_no_result(ball, monkeypatch, tmp_path):
    spoil_after(monkeypatch, 12)
    with pytest.raises(InputError, match=r"12 of 12: the splats' sh0 are no longer finite"):
        train_on_views(*ball, settings(iterations=12), seed=3)


def test_neither_are_those_of_an_avatar(subject, monkeypatch, tmp_path):
    made = order(tmp_path)
    spoil_after(monkeypatch, 12)
    with pytest.raises(InputError, match=r"12 of 12: the splats' sh0 are no longer finite"):
        Job(subject, "inputs", MACHINE, "cpu").make(made)
    assert not AvatarFolder(made.folder, made.task("inputs")).is_finished()


def test_a_loss_that_is_not_finite_stops_an_avatar_with_its_iteration(
    subject, monkeypatch, tmp_path
):
    spoil_after(monkeypatch, 5)
    with pytest.raises(InputError, match=r"iteration 5 of 12: the loss became nan"):
        Job(subject, "inputs", MACHINE, "cpu").make(order(tmp_path))


def test_an_edit_that_is_not_finite_is_told_by_its_view_and_not_trained_on(
    subject, monkeypatch, tmp_path
):
    edit = ControlEditor.edit

    def broken(editor, views, instructions):
        images = [image.copy() for image in edit(editor, views, instructions)]
        images[2][5, 5, 0] = np.nan
        return images

    monkeypatch.setattr(ControlEditor, "edit", broken)
    made = order(tmp_path)
    with pytest.raises(InputError, match=r"P4_low, iteration 0: the edit of the view c .* float32"):
        Job(subject, "inputs", MACHINE, "cpu").make(made)
    assert not (AvatarFolder(made.folder, made.task("inputs")).edits / "cycle0").exists()


def test_gpus_whose_locks_lie_on_a_share_without_locks_are_told(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setenv("HEADSTYLE_SIMULATED_GPUS", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(InputError, match=r"0\.lock cannot be locked .*TMPDIR"), own_gpus(1):
        pass
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(InputError, match=r"\.lock cannot be locked"):
        AvatarFolder(tmp_path / "P4_low", "task").claim()


def test_a_job_whose_worker_never_returns_tells_so_in_its_log(tmp_path):
    log = tmp_path / "logs" / "work.log"
    with stage(job(tmp_path, runtime=1e-3)):
        wait_until(lambda: log.read_text().count("still at work") >= 2)
    told = [line for line in log.read_text().splitlines() if "still at work" in line]
    assert len(told) >= 2
    assert "it hangs: stop the run and run the same command again" in told[0]
    time.sleep(0.3)
    assert log.read_text().splitlines()[-1].split(" ", 2)[2].startswith("done")
    logging.getLogger().handlers.clear()
