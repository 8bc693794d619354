"""The loop of one part of the mini editor's training, and the average of what it trains."""

import copy
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from headstyle_training.loop.optimizer_steps import OptimizerSteps

logger = logging.getLogger("headstyle_training")

EMA_DECAY = 0.998
WARM_UP = 300
REPORT_EVERY = 100


@dataclass
class Stage:
    """One part of a training, for as long as it has time, and what it reported."""

    minutes: float
    learning_rate: float
    batch: int
    history: list[dict[str, float]] = field(default_factory=list)
    iterations: int | None = None
    """Ends the stage instead of the time: the same on every machine."""
    done: float = 0.0
    """Share of the stage that is behind it, in [0, 1]; an earlier process may have done some."""

    @property
    def iteration(self) -> int:
        """The last one that was reported."""
        return int(self.history[-1]["iteration"]) if self.history else 0

    def run(
        self,
        parameters: Sequence[nn.Parameter],
        draw: Callable[[int], tuple[Tensor, ...]],
        loss_of: Callable[..., Tensor],
        average: "Average | None" = None,
        after_report: Callable[[], None] = lambda: None,
    ) -> None:
        """Minimize `loss_of(*draw(iteration))` with AdamW until the stage is done.

        The learning rate rises over the first iterations, also of a stage that goes on, and falls
        as a cosine of what is done.

        Args:
            parameters: What is trained.
            draw: All that differs from iteration to iteration, random numbers included.
            loss_of: A scalar, as `OptimizerSteps` wants it.
            average: Follows the parameters.
            after_report: Called after each line of the history.

        Raises:
            FloatingPointError: the loss is no longer a number.
        """
        step = OptimizerSteps(parameters, loss_of)
        before, first, steps, started = self.done, self.iteration, 0, time.monotonic()
        earlier = self.history[-1]["seconds"] if self.history else 0.0
        total, counted = 0.0, 0
        while self.done < 1:
            rate = 0.5 * (1 + math.cos(math.pi * self.done)) * min(1, (steps + 1) / WARM_UP)
            loss = step(self.learning_rate * rate, draw(first + steps))
            if average is not None:
                average.update(first + steps)
            total, counted, steps = total + loss, counted + 1, steps + 1
            self.done = min(1.0, before + self._share(steps, time.monotonic() - started))
            if steps % REPORT_EVERY == 0 or self.done == 1:
                seconds = time.monotonic() - started
                self._report(first + steps, float(total) / counted, seconds, before, earlier)
                total, counted = 0.0, 0
                after_report()

    def _share(self, steps: int, seconds: float) -> float:
        """Of the whole stage, what so many steps and seconds of this process are."""
        return steps / self.iterations if self.iterations else seconds / (60 * self.minutes)

    def _report(
        self, iteration: int, loss: float, seconds: float, before: float, earlier: float
    ) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} after {iteration} iterations; lower the learning rate of "
                f"{self.learning_rate:g}"
            )
        self.history.append(
            {"iteration": iteration, "loss": loss, "seconds": round(earlier + seconds, 1)}
        )
        left = seconds * (1 - self.done) / max(self.done - before, 1e-6)
        logger.info("iteration %d, loss %.4f, about %.0f s left", iteration, loss, left)


class Average:
    """Exponential moving average of the weights of some networks."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self._networks = networks
        self.averages = [copy.deepcopy(network).requires_grad_(False) for network in networks]

    @torch.no_grad()
    def update(self, iteration: int) -> None:
        """Move the averages towards the weights; young averages follow more quickly."""
        decay = min(EMA_DECAY, (1 + iteration) / (10 + iteration))
        for average, network in zip(self.averages, self._networks, strict=True):
            old, new = list(average.parameters()), list(network.parameters())
            torch._foreach_lerp_(old, [p.detach() for p in new], 1 - decay)

    def apply(self) -> None:
        """Give the networks the averaged weights."""
        for average, network in zip(self.averages, self._networks, strict=True):
            network.load_state_dict(average.state_dict())
