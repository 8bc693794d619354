"""Adam for splats: one fused call per tensor, with the state that gsplat's strategies change."""

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-15
"""Adam's epsilon, as in 3D Gaussian splatting: the gradients of single splats are tiny."""


def adam(parameter: torch.nn.Parameter, rate: float, name: str) -> torch.optim.Optimizer:
    """An optimizer of one tensor with its moments at zero; `adam_step` makes its steps."""
    optimizer = torch.optim.Adam(
        [{"params": [parameter], "lr": rate, "name": name}], eps=EPSILON, fused=True
    )
    optimizer.state[parameter] = {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
        "exp_avg": torch.zeros_like(parameter),
        "exp_avg_sq": torch.zeros_like(parameter),
    }
    return optimizer


@torch.no_grad()
def adam_step(
    optimizers: Sequence[torch.optim.Optimizer], rates: Sequence[Tensor] | None = None
) -> None:
    """Make one step of each optimizer that `adam` made, and clear the gradients.

    The result is that of `optimizer.step()`. Its bookkeeping is left out, because it takes the host
    longer than the kernel takes the device. A tensor without a gradient does not change. `rates`,
    if given, replace the step sizes: one scalar on the device per optimizer.
    """
    groups = [optimizer.param_groups[0] for optimizer in optimizers]
    sizes = [group["lr"] for group in groups] if rates is None else rates
    parts = [
        (optimizer, group, rate)
        for optimizer, group, rate in zip(optimizers, groups, sizes, strict=True)
        if group["params"][0].grad is not None
    ]
    if not parts:
        return
    states = [optimizer.state[group["params"][0]] for optimizer, group, _ in parts]
    torch._foreach_add_([state["step"] for state in states], 1)
    for (_, group, rate), state in zip(parts, states, strict=True):
        parameter = group["params"][0]
        beta1, beta2 = group["betas"]
        torch._fused_adam_(
            [parameter],
            [parameter.grad],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
            lr=rate,
            beta1=beta1,
            beta2=beta2,
            weight_decay=0.0,
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
        parameter.grad = None
