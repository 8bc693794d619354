"""How far a training is, and what it reported on the way."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from headstyle.base.files import whole_file

from headstyle_training.loop.settings import LoopSettings

logger = logging.getLogger("headstyle.models")


@dataclass(frozen=True)
class Row:
    """One line of a training's history."""

    iteration: int
    """Steps until here, over all runs."""
    loss: float
    """Mean of the losses since the row before."""
    seconds: float
    """Training time until here, over all runs [s]."""


@dataclass
class Progress:
    """How far a training is; it may go on in a later process."""

    settings: LoopSettings
    history: list[Row] = field(default_factory=list)
    done: float = 0.0
    """Share of the training that is behind it, in [0, 1]."""

    @property
    def iteration(self) -> int:
        """Steps until the last report."""
        return self.history[-1].iteration if self.history else 0

    @property
    def seconds(self) -> float:
        """Training time until the last report [s]."""
        return self.history[-1].seconds if self.history else 0.0

    def share(self, iteration: int, seconds: float) -> float:
        """Share of the training that so many steps and seconds are, in [0, 1]."""
        if self.settings.iterations is not None:
            return min(1.0, iteration / self.settings.iterations)
        return min(1.0, seconds / (60 * self.settings.minutes))

    def report(self, row: Row, left_s: float) -> None:
        """Add a row to the history and log it.

        Args:
            row: What to report.
            left_s: Estimate of the time that the training still takes [s].

        Raises:
            FloatingPointError: the loss is not a finite number.
        """
        if not math.isfinite(row.loss):
            raise FloatingPointError(
                f"the loss is {row.loss} after {row.iteration} iterations; lower the learning "
                f"rate, which is {self.settings.learning_rate:g}"
            )
        self.history.append(row)
        logger.info("iteration %d, loss %.4f, about %.0f s left", row.iteration, row.loss, left_s)

    def state(self) -> dict[str, Any]:
        """What `resume` needs, for a JSON file."""
        return {"done": self.done, "history": [asdict(row) for row in self.history]}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned in an earlier process.

        Raises:
            KeyError, TypeError: it is something else.
        """
        self.history = [Row(**row) for row in state["history"]]
        self.done = self.share(self.iteration, self.seconds)


def write_history(path: Path, history: Sequence[Row]) -> None:
    """Write iteration, loss and seconds as TSV."""
    lines = ["iteration\tloss\tseconds"]
    lines += [f"{row.iteration}\t{row.loss:.6f}\t{row.seconds:.1f}" for row in history]
    with whole_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def machine_name(device: str) -> str:
    """Name of the machine that trains, for the model card."""
    return torch.cuda.get_device_name() if torch.device(device).type == "cuda" else "the CPU"
