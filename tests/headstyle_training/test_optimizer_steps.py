"""Truths about the steps of a training."""

import logging

import pytest
import torch
from headstyle_training.loop.optimizer_steps import ORDINARY_FIRST, OptimizerSteps
from torch import nn
from torch.nn import functional


def regression(device="cpu", record=None, steps=12, widths=(5, 7)):
    """Losses of a small network's training on data of two shapes, and its weights at the end."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1)).to(device)

    def loss_of(x, y):
        return functional.mse_loss(network(x), y)

    step = OptimizerSteps(list(network.parameters()), loss_of, record)
    losses = []
    for i in range(steps):
        x = torch.linspace(-1, 1, widths[i % 2])[:, None] + i / 100
        losses.append(float(step(0.01 / (1 + i), (x.to(device), x.square().to(device)))))
    return losses, [p.detach().cpu().clone() for p in network.parameters()], step.replayed


def test_the_steps_are_those_of_adamw_with_clipped_gradients():
    losses, weights, _ = regression()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(network.parameters(), 1, betas=(0.9, 0.99), weight_decay=1e-3)
    for i, loss in enumerate(losses):
        optimizer.param_groups[0]["lr"] = 0.01 / (1 + i)
        x = torch.linspace(-1, 1, (5, 7)[i % 2])[:, None] + i / 100
        found = functional.mse_loss(network(x), x.square())
        assert loss == pytest.approx(float(found.detach()), rel=1e-5)
        optimizer.zero_grad()
        found.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    for ours, theirs in zip(weights, network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_steps_that_cannot_be_recorded_are_taken_as_ever(caplog):
    def fails(function):
        raise RuntimeError("no graphs here")

    with caplog.at_level(logging.WARNING, "headstyle.models"):
        losses, weights, replayed = regression(record=fails)
    plain, same, _ = regression()
    assert losses == plain
    assert replayed == 0
    assert all(torch.equal(a, b) for a, b in zip(weights, same, strict=True))
    assert [r.message for r in caplog.records] == [
        "steps cannot be recorded as CUDA graphs: no graphs here"
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_graphs_train_as_ordinary_steps_do(caplog):
    with caplog.at_level(logging.WARNING, "headstyle.models"):
        losses, weights, replayed = regression("cuda", steps=40)
    plain, same, _ = regression("cpu", steps=40)
    assert not caplog.records
    assert replayed == 40 - 2 * ORDINARY_FIRST
    assert losses == pytest.approx(plain, rel=1e-3)
    for a, b in zip(weights, same, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
