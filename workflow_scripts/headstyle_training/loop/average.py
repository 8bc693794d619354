"""Averages of the weights during a training: they are better than the last weights."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of the weights of some networks."""

    def __init__(self, networks: Sequence[nn.Module], decay: float) -> None:
        """Start from the weights as they are.

        Args:
            networks: The networks that are trained.
            decay: How much of the average remains in each step, in [0, 1).
        """
        self._networks, self._decay = networks, decay
        self.averages = [copy.deepcopy(n).eval().requires_grad_(False) for n in networks]
        """Copies of the networks with the averaged weights."""

    @torch.no_grad()
    def update(self, age: int) -> None:
        """Move the averages towards the weights; a young average follows more quickly.

        Args:
            age: Steps that the average has seen before.
        """
        decay = min(self._decay, (1 + age) / (10 + age))
        for average, network in zip(self.averages, self._networks, strict=True):
            torch._foreach_lerp_(_numbers(average), _numbers(network), 1 - decay)


def _numbers(network: nn.Module) -> list[Tensor]:
    """Weights and running statistics; counters are left out."""
    tensors = (*network.parameters(), *network.buffers())
    return [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
