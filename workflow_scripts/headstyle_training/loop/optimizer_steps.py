"""Steps of AdamW on a network, replayed on a GPU from a recording for each shape of the data.

A step of a small network is thousands of short kernels. A host that sculpts heads at the same time
launches them more slowly than the GPU runs them; a replay launches all of them at once.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from headstyle.training.cuda_graphs import Graphs, Record, Replay
from torch import Tensor, nn

logger = logging.getLogger("headstyle.models")

ORDINARY_FIRST = 3
"""Steps of each shape before the recording, in which kernels are chosen and loaded."""
BETAS, WEIGHT_DECAY, LARGEST_GRADIENT = (0.9, 0.99), 1e-3, 1.0

Data = tuple[Tensor, ...]
Moments = dict[int, tuple[Tensor, Tensor]]
"""Adam's first and second moment of each parameter, by the parameter's place."""


@dataclass(frozen=True)
class Recording:
    """A step on data of one shape."""

    data: Data
    """The tensors that the replay reads; new data are copied into them."""
    replay: Replay
    loss: Tensor
    """Loss of the latest replay, a scalar."""


class OptimizerSteps:
    """Minimizes a loss of data step by step, with clipped gradients.

    The loss may not draw random numbers, wait for the device, or let autocast keep converted
    weights: a replay would repeat the recording's.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        loss_of: Callable[..., Tensor],
        record: Record | None = None,
        replay: bool = True,
    ) -> None:
        """Minimize `loss_of(*data)`, a scalar.

        Args:
            parameters: The parameters that are trained.
            loss_of: Depends on nothing but them and the data.
            record: Stands in for CUDA graphs, which are not used on a CPU.
            replay: Whether to use CUDA graphs on a GPU.
        """
        self._parameters, self._loss_of = list(parameters), loss_of
        device = self._parameters[0].device
        on_gpu = device.type == "cuda"
        graphs = on_gpu and replay
        self._record = record or (Graphs(device) if graphs else None)
        # A tensor where steps are replayed, so that a recording sees it change.
        self._rate = torch.zeros((), device=device) if graphs else 0.0
        self._optimizer = torch.optim.AdamW(
            self._parameters,
            self._rate,
            betas=BETAS,
            weight_decay=WEIGHT_DECAY,
            fused=on_gpu,
            capturable=graphs,
        )
        self._ordinary: Counter[tuple[torch.Size, ...]] = Counter()
        self._recordings: dict[tuple[torch.Size, ...], Recording] = {}
        self.replayed = 0
        """Steps that were replayed."""

    def __call__(self, rate: float, data: Data) -> Tensor:
        """Take a step of the size `rate` on the data; returns the loss before it, detached."""
        self._set_rate(rate)
        shape = tuple(part.shape for part in data)
        if self._record is None or self._ordinary[shape] < ORDINARY_FIRST:
            self._ordinary[shape] += 1
            return self._step(data)
        if shape not in self._recordings and not self._recorded(shape, data):
            return self._step(data)
        found = self._recordings[shape]
        for held, new in zip(found.data, data, strict=True):
            held.copy_(new)
        found.replay()
        self.replayed += 1
        return found.loss.clone()

    @property
    def moments(self) -> Moments:
        """Adam's moments of the parameters that had a step."""
        states = ((i, self._optimizer.state.get(p)) for i, p in enumerate(self._parameters))
        return {i: (state["exp_avg"], state["exp_avg_sq"]) for i, state in states if state}

    def resume(self, moments: Moments, steps: int) -> None:
        """Go on from the moments of an optimizer that took so many steps."""
        for i, (first, second) in moments.items():
            parameter = self._parameters[i].detach()
            self._optimizer.state[self._parameters[i]] = {
                # AdamW counts the steps on the device if it is fused.
                "step": torch.tensor(float(steps), device=parameter.device),
                # In the layout of the parameter, which a file does not keep.
                "exp_avg": torch.empty_like(parameter).copy_(first),
                "exp_avg_sq": torch.empty_like(parameter).copy_(second),
            }

    def _set_rate(self, rate: float) -> None:
        if isinstance(self._rate, Tensor):
            self._rate.fill_(rate)
        else:
            self._optimizer.param_groups[0]["lr"] = rate

    def _recorded(self, shape: tuple[torch.Size, ...], data: Data) -> bool:
        """Whether a recording could be made; after one that could not, none is tried."""
        assert self._record is not None
        held, losses = tuple(part.clone() for part in data), []
        try:
            replay = self._record(lambda: losses.append(self._step(held)))
        except RuntimeError as error:
            logger.warning("steps cannot be recorded as CUDA graphs: %s", error)
            self._record = None
            self._recordings.clear()
            return False
        self._recordings[shape] = Recording(held, replay, losses[-1])
        return True

    def _step(self, data: Data) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss_of(*data)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, LARGEST_GRADIENT)
        self._optimizer.step()
        return loss.detach()
