"""Training one network for so many minutes: the loop, the averaged weights, checkpoints, history.

Checkpoints are safetensors, one file each for the weights, their average, and the two moments of
Adam, so that no file exceeds the largest that the project may store.
"""

import copy
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from headstyle.base.errors import InputError, first_line
from headstyle.base.files import read_json, whole_file, whole_folder, write_json
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

logger = logging.getLogger("headstyle_training")

WARM_UP = 200
"""Iterations over which the learning rate rises; in short trainings a tenth of them."""
AVERAGE_DECAY = 0.998
REPORT_EVERY = 100
CHECKPOINT_EVERY_S = 30.0
PROGRESS = "progress.json"


@dataclass(frozen=True)
class Row:
    """What the history says of some iterations."""

    iteration: int
    loss: float
    """Mean since the row before."""
    seconds: float
    """Of training until here, over all runs."""


class TimedTraining:
    """AdamW on one network until its minutes are over; the average of its weights is the result."""

    def __init__(
        self,
        network: nn.Module,
        minutes: float,
        learning_rate: float,
        checkpoint: Path | None = None,
        iterations: int | None = None,
    ) -> None:
        """Prepare, or take up what an earlier run left in `checkpoint`.

        Args:
            network: Trained in place, on the device where it is.
            minutes: Of training, those of earlier runs included.
            learning_rate: The highest; it falls to 0 as a cosine of what is done.
            checkpoint: Folder for checkpoints; None keeps none.
            iterations: Ends the training earlier; then a run is the same again on the same machine.

        Raises:
            InputError: `checkpoint` holds something else.
        """
        self.network = network
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.history: list[Row] = []
        self.iteration = 0
        self._seconds, self._iterations = 60 * minutes, iterations
        self._warm_up = WARM_UP if iterations is None else min(WARM_UP, 1 + iterations // 10)
        self._earlier_s = 0.0
        self._rate, self._checkpoint = learning_rate, checkpoint
        self._trained = [p for p in network.parameters() if p.requires_grad]
        fused = next(network.parameters()).is_cuda
        self._optimizer = torch.optim.AdamW(
            self._trained, learning_rate, betas=(0.9, 0.99), weight_decay=1e-3, fused=fused
        )
        if checkpoint is not None and (checkpoint / PROGRESS).exists():
            self._resume(checkpoint)

    def run(
        self, loss_of: Callable[[int], Tensor], after_step: Callable[[], None] | None = None
    ) -> nn.Module:
        """Minimize `loss_of(iteration)`; returns the network with the averaged weights.

        Args:
            loss_of: A scalar for each iteration.
            after_step: Called after each step, to keep the weights where they are allowed.
        """
        started = saved = time.monotonic()
        total, counted = 0.0, 0
        while (done := self._done(time.monotonic() - started)) < 1:
            rate = self._rate * 0.5 * (1 + math.cos(math.pi * done))
            for group in self._optimizer.param_groups:
                group["lr"] = rate * min(1, (self.iteration + 1) / self._warm_up)
            loss = loss_of(self.iteration)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._trained, 1.0)
            self._optimizer.step()
            if after_step is not None:
                after_step()
            self.iteration += 1
            self._follow()
            total, counted = total + loss.detach(), counted + 1
            if self.iteration % REPORT_EVERY == 0:
                self._report(float(total) / counted, done, time.monotonic() - started)
                total, counted = 0.0, 0
                if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                    self.save(time.monotonic() - started)
                    saved = time.monotonic()
        spent = time.monotonic() - started
        if counted:
            self._report(float(total) / counted, 1.0, spent)
        self.save(spent)
        return self.average

    def save(self, spent_s: float) -> None:
        """Write a checkpoint, `spent_s` seconds after this run's start."""
        if self._checkpoint is None:
            return
        first, second = ({}, {})
        for i, parameter in enumerate(self._trained):
            state = self._optimizer.state.get(parameter)
            if state:
                first[str(i)], second[str(i)] = state["exp_avg"], state["exp_avg_sq"]
        parts = {
            "weights": self.network.state_dict(),
            "average": self.average.state_dict(),
            "first_moments": first,
            "second_moments": second,
        }
        with whole_folder(self._checkpoint) as folder:
            for name, tensors in parts.items():
                held = {
                    key: tensor.detach().clone(memory_format=torch.contiguous_format)
                    for key, tensor in tensors.items()
                }
                save_file(held, folder / f"{name}.safetensors")
            write_json(
                folder / PROGRESS,
                {
                    "iteration": self.iteration,
                    "seconds": self._earlier_s + spent_s,
                    "history": [asdict(row) for row in self.history],
                },
            )

    def _resume(self, folder: Path) -> None:
        progress = read_json(folder / PROGRESS)
        try:
            self.network.load_state_dict(load_file(folder / "weights.safetensors"))
            self.average.load_state_dict(load_file(folder / "average.safetensors"))
            first = load_file(folder / "first_moments.safetensors")
            second = load_file(folder / "second_moments.safetensors")
            self.iteration = int(progress["iteration"])
            self._earlier_s = float(progress["seconds"])
            self.history = [Row(**row) for row in progress["history"]]
        except (OSError, RuntimeError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder} is no checkpoint of this training ({first_line(error)}); "
                "name another folder"
            ) from None
        for i, parameter in enumerate(self._trained):
            if str(i) in first:
                # In the layout of the parameter, which a file does not keep.
                self._optimizer.state[parameter] = {
                    # AdamW counts the steps on the device if it is fused.
                    "step": torch.tensor(float(self.iteration), device=parameter.device),
                    "exp_avg": torch.empty_like(parameter.detach()).copy_(first[str(i)]),
                    "exp_avg_sq": torch.empty_like(parameter.detach()).copy_(second[str(i)]),
                }
        logger.info("going on from iteration %d", self.iteration)

    def _done(self, spent_s: float) -> float:
        """The part of the training that is over, in [0, 1]."""
        done = (self._earlier_s + spent_s) / self._seconds
        if self._iterations is not None:
            # Not the clock, which differs from run to run.
            done = self.iteration / self._iterations
        return min(done, 1.0)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; a young average follows more quickly."""
        decay = min(AVERAGE_DECAY, (1 + self.iteration) / (10 + self.iteration))
        average, current = (
            [t.detach() for t in (*n.parameters(), *n.buffers()) if t.is_floating_point()]
            for n in (self.average, self.network)
        )
        torch._foreach_lerp_(average, current, 1 - decay)

    def _report(self, loss: float, done: float, spent_s: float) -> None:
        seconds = self._earlier_s + spent_s
        self.history.append(Row(self.iteration, loss, seconds))
        left = seconds * (1 - done) / max(done, 1e-6)
        logger.info("iteration %d, loss %.4f, about %.0f s left", self.iteration, loss, left)


def write_history(path: Path, history: list[Row]) -> None:
    """Write iteration, loss and seconds as TSV."""
    lines = ["iteration\tloss\tseconds"]
    lines += [f"{row.iteration}\t{row.loss:.6f}\t{row.seconds:.1f}" for row in history]
    with whole_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def machine_name(device: str) -> str:
    """What a model was trained on, for its card."""
    return torch.cuda.get_device_name() if torch.device(device).type == "cuda" else "the CPU"
