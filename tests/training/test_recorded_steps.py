"""Truths about replayed iterations, with functions done again in place of CUDA graphs."""

import logging
import operator

import pytest
import torch
from ball import VIEWS, make_ball, settings
from gsplat_stand_in import use_stand_in
from headstyle.base.settings import default_values
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splats import splats_from_points
from headstyle.rigged.scene import frames_of
from headstyle.rigged.settings import SETTINGS, BindingSettings
from headstyle.rigged.training import make_rigged_trainer
from headstyle.training import recorded_steps
from headstyle.training.recorded_steps import ORDINARY_EVERY, RecordedSteps
from headstyle.training.trainer import SplatTrainer
from headstyle.training.trainers import make_trainer
from moving_ball import ball_cameras, colored_scene, moving_meshes
from waits import Waits

EVENTFUL = {"start": 3, "every": 20, "stop": 45, "densify_gradient": 1e-5, "densify_size": 0.05}
CHANGES = {
    "refine": EVENTFUL,
    "max_splats": 190,
    "exposure_rate": 0.01,
    "sh_regularization": 0.1,
    "sh_degree_every": 25,
}


def trained(changes, record=None, iterations=70):
    cameras, targets, points, colors = make_ball()
    splats = splats_from_points(points, colors, 1, 0)
    trainer = SplatTrainer(splats, cameras, targets, settings(**changes), 0)
    if record:
        trainer.replayer = RecordedSteps(trainer, record)
    losses = [float(trainer.step([i % VIEWS])) for i in range(iterations)]
    return trainer, losses


def done_again(function):
    """The function itself, which sees to it that it works on what it was made for, as graphs do."""
    trainer = function.__self__.trainer
    made_for = used_by(trainer)

    def again():
        assert all(map(operator.is_, used_by(trainer), made_for))
        function()

    return again


def used_by(trainer):
    """What a graph would have the addresses of, or could not see change."""
    parameters = [optimizer.param_groups[0]["params"][0] for optimizer in trainer.all_optimizers()]
    moments = [
        optimizer.state[parameter]["exp_avg"]
        for optimizer, parameter in zip(trainer.all_optimizers(), parameters, strict=True)
    ]
    sums = trainer.strategy_state.get("grad2d")
    return [*parameters, *moments, sums, trainer.active_sh_degree, trainer.observing]


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_a_training_from_recordings_goes_as_one_without(monkeypatch, strategy):
    use_stand_in(monkeypatch)
    changes = CHANGES | {"strategy": strategy}
    trainer, losses = trained(changes)
    replaying, replayed = trained(changes, done_again)
    assert len(trainer.splats["means"]) > 150
    assert replaying.replayer.replayed > 70 * (1 - 1 / ORDINARY_EVERY) - 12
    assert replayed == pytest.approx(losses, rel=1e-4)
    for name, value in trainer.splats.items():
        torch.testing.assert_close(replaying.splats[name], value, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        replaying.exposures.logarithms, trainer.exposures.logarithms, atol=1e-4, rtol=1e-3
    )
    assert replaying.iteration == trainer.iteration == 70


def test_a_head_that_moves_is_trained_from_recordings_as_without(monkeypatch):
    use_stand_in(monkeypatch)
    meshes, cameras = moving_meshes(2), ball_cameras(4)
    frames, scene = frames_of(meshes), colored_scene(meshes, 1)
    steps = [0, 1, 0, 1]
    targets = {
        name: image
        for i, step in enumerate(steps)
        for name, image, _, _ in render_views(
            scene.at(frames.at(step)), cameras.select([cameras.names[i]])
        )
    }
    start = colored_scene(meshes, 1, seed=1)
    binding = BindingSettings.from_config(default_values(SETTINGS))

    def trained_once(record):
        chosen = settings(refine=EVENTFUL, max_splats=190)
        trainer = make_rigged_trainer(
            start, frames, cameras, steps, targets, chosen, binding, 0, "cpu"
        )
        if record:
            trainer.replayer = RecordedSteps(trainer, record)
        return trainer, [float(trainer.step([i % 4])) for i in range(50)]

    trainer, losses = trained_once(None)
    replaying, replayed = trained_once(done_again)
    assert replaying.replayer.replayed > 25
    assert replayed == pytest.approx(losses, rel=1e-4)
    assert torch.equal(replaying.scene.triangles, trainer.scene.triangles)
    for name, value in trainer.splats.items():
        torch.testing.assert_close(replaying.splats[name], value, atol=1e-3, rtol=1e-3)


def test_lists_that_outgrow_their_room_are_recorded_anew(monkeypatch):
    use_stand_in(monkeypatch)
    monkeypatch.setattr(recorded_steps, "ROOM", 1.0)
    made = []

    def counted(function):
        made.append(function)
        return function

    still = {"refine": {"stop": 0}, "sh_degree_every": 0}
    trainer, losses = trained(still, counted, 10)
    assert trainer.replayer.replayed == 8
    # Two functions for each of two sizes of views, and more where a list was longer.
    assert 4 < len(made) < 16
    assert losses == pytest.approx(trained(still, None, 10)[1], rel=1e-5)


def test_where_recording_fails_the_training_goes_on_as_ever(monkeypatch, caplog):
    use_stand_in(monkeypatch)
    _, losses = trained({}, None, 12)

    def fails(function):
        function()
        raise RuntimeError("operation not permitted when stream is capturing")

    with caplog.at_level(logging.WARNING, logger="headstyle"):
        trainer, found = trained({}, fails, 12)
    assert found == pytest.approx(losses, rel=1e-5)
    assert trainer.replayer.record is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "not permitted" in caplog.text


def test_what_cannot_be_replayed_is_done_as_ever(monkeypatch):
    use_stand_in(monkeypatch)
    trainer, _ = trained({"dropout": 0.1}, done_again, 12)
    assert trainer.replayer.replayed == 0
    trainer, _ = trained({}, done_again, 12)
    assert trainer.replayer.replayed > 5
    before = trainer.replayer.replayed
    trainer.step(range(VIEWS))
    trainer.extra_loss = lambda rendered, target, done: rendered.mean()
    trainer.step([0])
    assert trainer.replayer.replayed == before


def test_a_replay_waits_for_nothing_but_the_number_of_tiles(monkeypatch):
    use_stand_in(monkeypatch)
    trainer, _ = trained(CHANGES, done_again, 12)
    before = trainer.replayer.replayed
    with Waits() as waits:
        for view in (0, 3, 1):
            trainer.step([view])
    assert trainer.replayer.replayed == before + 3
    assert waits.found == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_graphs_train_as_the_usual_iterations_do(caplog):
    results = []
    for graphs in (False, True):
        cameras, targets, points, colors = make_ball()
        splats = splats_from_points(points, colors, 1, 0)
        chosen = settings(**CHANGES, cuda_graphs=graphs)
        trainer = make_trainer(splats, cameras, targets, chosen, 0, "cuda")
        with caplog.at_level(logging.WARNING, logger="headstyle"):
            losses = [float(trainer.step([i % VIEWS])) for i in range(70)]
        results.append((losses, len(trainer.splats["means"])))
        if graphs:
            assert trainer.replayer.replayed > 40
    assert not caplog.records
    assert results[1][1] == pytest.approx(results[0][1], rel=0.1)
    # Until splats are added, sums in another order are all that differs.
    assert results[1][0][:20] == pytest.approx(results[0][0][:20], rel=2e-3)
    assert results[1][0][-10:] == pytest.approx(results[0][0][-10:], rel=0.2)
