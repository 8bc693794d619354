"""The loop that trains all small models."""

import math
import time
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from headstyle_training.loop.average import Average
from headstyle_training.loop.optimizer_steps import Moments, OptimizerSteps
from headstyle_training.loop.progress import Progress, Row


class TrainingLoop:
    """Trains networks with AdamW until their minutes or steps are over."""

    def __init__(self, progress: Progress, networks: Sequence[nn.Module]) -> None:
        """Prepare to go on from where `progress` is.

        Args:
            progress: Where the training is; the loop moves it on.
            networks: Trained in place, on the device where they are. Parameters that require no
                gradient stay as they are.
        """
        self.progress, self.networks = progress, list(networks)
        decay = progress.settings.averaging
        self.average = None if decay is None else Average(self.networks, decay)
        self._parameters = [
            p for network in self.networks for p in network.parameters() if p.requires_grad
        ]
        self._step: OptimizerSteps | None = None
        self._resumed: Moments = {}

    @property
    def averaged(self) -> list[nn.Module]:
        """The networks with the averaged weights.

        Raises:
            ValueError: the settings average nothing.
        """
        if self.average is None:
            raise ValueError("no weights are averaged; set averaging to a decay such as 0.998")
        return self.average.averages

    def use_average(self) -> None:
        """Give the networks the averaged weights.

        Raises:
            ValueError: the settings average nothing.
        """
        for average, network in zip(self.averaged, self.networks, strict=True):
            network.load_state_dict(average.state_dict())

    @property
    def moments(self) -> Moments:
        """Adam's moments for each trained parameter, for a checkpoint."""
        return self._resumed if self._step is None else self._step.moments

    def resume_moments(self, moments: Moments) -> None:
        """Go on with the optimizer of an earlier run instead of a new one."""
        self._resumed = moments

    def run(
        self,
        draw: Callable[[int], tuple[Tensor, ...]],
        loss_of: Callable[..., Tensor],
        after_step: Callable[[], None] | None = None,
        save: Callable[[], None] | None = None,
    ) -> None:
        """Minimize `loss_of(*draw(iteration))` until the training is done.

        The learning rate rises while the optimizer is new, and falls as a cosine of
        the share that is done.

        Args:
            draw: Makes the data of a step. Everything random belongs here.
            loss_of: Returns a scalar, as `OptimizerSteps` wants it.
            after_step: Called after each step, for example to keep weights where they are allowed.
            save: Called after some reports, as often as `checkpoint_every_s` lets it. The end of
                the training is not saved here.

        Raises:
            FloatingPointError: the loss is no longer a number.
        """
        progress, settings = self.progress, self.progress.settings
        iteration, earlier_s, before = progress.iteration, progress.seconds, progress.done
        self._step = step = OptimizerSteps(self._parameters, loss_of, replay=settings.replay)
        step.resume(self._resumed, iteration)
        # A new optimizer warms up, also in a training that goes on.
        warmed = iteration if self._resumed else 0
        total: Tensor | float = 0.0
        counted, started = 0, time.monotonic()
        saved_s = 0.0
        while progress.done < 1:
            warmed += 1
            loss = step(self._rate(warmed), draw(iteration))
            if after_step is not None:
                after_step()
            if self.average is not None:
                self.average.update(settings.averaging_age + iteration)
            iteration += 1
            total, counted = total + loss, counted + 1
            spent_s = time.monotonic() - started
            progress.done = progress.share(iteration, earlier_s + spent_s)
            if iteration % settings.report_every and progress.done < 1:
                continue
            left_s = spent_s * (1 - progress.done) / max(progress.done - before, 1e-6)
            progress.report(Row(iteration, float(total) / counted, earlier_s + spent_s), left_s)
            total, counted = 0.0, 0
            late = spent_s - saved_s >= settings.checkpoint_every_s
            if save is not None and late and progress.done < 1:
                save()
                saved_s = spent_s

    def _rate(self, warmed: int) -> float:
        """The learning rate of a step, the optimizer's `warmed`-th."""
        settings = self.progress.settings
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress.done))
        return settings.learning_rate * (cosine * min(1, warmed / settings.warm_up_steps))
