"""Truths about the loop that trains the small models: its end, reports, averages, checkpoints."""

import logging

import pytest
import torch
from headstyle.base.errors import InputError
from headstyle_training.loop.average import Average
from headstyle_training.loop.checkpoints import StateCheckpoint
from headstyle_training.loop.progress import Progress, Row
from headstyle_training.loop.settings import LoopSettings
from headstyle_training.loop.training import TrainingLoop
from torch import nn
from torch.nn import functional


def settings(iterations=10, **changes):
    defaults = {"minutes": 1, "learning_rate": 1e-2, "batch": 4, "iterations": iterations}
    return LoopSettings(**defaults | changes)


def new_loop(iterations=10, history=(), **changes):
    torch.manual_seed(0)
    progress = Progress(settings(iterations, **changes))
    progress.resume({"history": history})
    return TrainingLoop(progress, [nn.Linear(3, 1)])


def run(loop, **calls):
    [network] = loop.networks

    def draw(iteration):
        inputs = torch.linspace(-1, 1, 12).view(4, 3) + iteration / 50
        return inputs, inputs.sum(dim=1, keepdim=True)

    loop.run(draw, lambda inputs, sums: functional.mse_loss(network(inputs), sums), **calls)
    return [p.detach().clone() for p in network.parameters()]


def test_a_training_ends_after_its_iterations_and_reports_the_time_left(caplog):
    caplog.set_level(logging.INFO, "headstyle.models")
    loop = new_loop(report_every=4)
    run(loop)
    assert loop.progress.done == 1
    assert [row.iteration for row in loop.progress.history] == [4, 8, 10]
    assert "s left" in caplog.text


def test_a_training_without_iterations_ends_after_its_minutes():
    loop = new_loop(None, minutes=0.3 / 60)
    run(loop)
    assert loop.progress.seconds >= 0.3
    assert loop.progress.iteration > 1
    assert loop.progress.done == 1


def test_the_minutes_of_earlier_runs_count():
    progress = Progress(settings(None, minutes=2))
    progress.resume({"history": [{"iteration": 40, "loss": 1.0, "seconds": 30.0}]})
    assert progress.done == 0.25
    assert progress.iteration == 40
    assert progress.share(40, 240.0) == 1


def test_a_loss_that_is_no_number_ends_the_training():
    loop = new_loop(report_every=2)
    with pytest.raises(FloatingPointError, match="after 2 iterations"):
        loop.run(lambda i: (), lambda: loop.networks[0].weight.sum() * float("nan"))


def test_the_rate_rises_in_the_warm_up_and_falls_to_0(monkeypatch):
    rates = []
    for warm_up_share, steps in ((None, 4), (0.25, 3)):
        loop = new_loop(8, warm_up=4, warm_up_share=warm_up_share)
        assert loop.progress.settings.warm_up_steps == steps
        rates = [loop._rate(warmed) for warmed in range(1, 7)]
        rising = [1e-2 * min(1, k / steps) for k in range(1, 7)]
        assert rates == pytest.approx(rising)
    loop.progress.done = 0.5
    assert loop._rate(9) == pytest.approx(0.5e-2)
    loop.progress.done = 1.0
    assert loop._rate(9) == pytest.approx(0)


def test_a_new_optimizer_warms_up_again_and_a_resumed_one_does_not(monkeypatch):
    warmed = []
    rate = TrainingLoop._rate
    monkeypatch.setattr(TrainingLoop, "_rate", lambda s, k: warmed.append(k) or rate(s, k))
    history = [{"iteration": 4, "loss": 1.0, "seconds": 1.0}]
    run(new_loop(6, history))
    loop = new_loop(6, history)
    loop.resume_moments({0: (torch.zeros(1, 3), torch.zeros(1, 3))})
    run(loop)
    assert warmed == [1, 2, 5, 6]


def test_saves_come_after_reports_and_not_at_the_end():
    saved = []
    loop = new_loop(6, report_every=2, checkpoint_every_s=0)
    run(loop, save=lambda: saved.append(loop.progress.iteration))
    assert saved == [2, 4]
    loop = new_loop(6, report_every=2, checkpoint_every_s=1000)
    run(loop, save=lambda: saved.append(loop.progress.iteration))
    assert saved == [2, 4]


def test_the_average_follows_the_weights():
    network = nn.Linear(1, 1)
    average = Average([network], 0.998)
    with torch.no_grad():
        network.weight.fill_(5.0)
    for age in range(200):
        average.update(age)
    assert average.averages[0].weight.item() == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize(("age", "kept"), [(0, 0.1), (1, 2 / 11), (10_000, 0.998)])
def test_an_average_keeps_the_more_of_itself_the_older_it_is(age, kept):
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    average = Average([network], 0.998)
    nn.init.zeros_(network.weight)
    average.update(age)
    assert average.averages[0].weight.item() == pytest.approx(kept)


def test_the_averaged_weights_lie_between_the_first_and_the_last():
    loop = new_loop(30, averaging=0.9)
    first = loop.networks[0].bias.item()
    run(loop)
    last, averaged = loop.networks[0].bias.item(), loop.averaged[0].bias.item()
    assert min(first, last) < averaged < max(first, last)
    loop.use_average()
    assert loop.networks[0].bias.item() == averaged
    with pytest.raises(ValueError, match="averag"):
        _ = new_loop(averaging=None).averaged


def test_a_training_that_goes_on_from_its_state_is_the_uninterrupted_one(tmp_path):
    class InterruptionError(Exception):
        pass

    def stop():
        kept.save()
        raise InterruptionError

    changes = {"report_every": 5, "checkpoint_every_s": 0}
    whole = new_loop(10, **changes)
    expected = run(whole)
    loop = new_loop(10, **changes)
    kept = StateCheckpoint(tmp_path / "kept", loop)
    with pytest.raises(InterruptionError):
        run(loop, save=stop)
    again = new_loop(10, **changes)
    with torch.no_grad():
        again.networks[0].weight.fill_(9.0)
    StateCheckpoint(tmp_path / "kept", again).resume()
    assert again.progress.done == 0.5
    for found, wanted in zip(run(again), expected, strict=True):
        assert torch.equal(found, wanted)
    assert torch.equal(again.averaged[0].weight, whole.averaged[0].weight)
    assert [row.loss for row in again.progress.history] == [
        row.loss for row in whole.progress.history
    ]


def test_a_history_of_something_else_is_no_checkpoint(tmp_path):
    loop = new_loop()
    kept = StateCheckpoint(tmp_path, loop)
    kept.resume()
    (tmp_path / "progress.json").write_text('{"history": []}')
    with pytest.raises(InputError, match="is no checkpoint of this training"):
        kept.resume()
    assert Progress(settings(), [Row(3, 0.5, 1.0)]).state()["history"][0]["iteration"] == 3
