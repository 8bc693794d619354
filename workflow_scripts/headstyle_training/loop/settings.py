"""How long and how a model is trained. Nothing here needs torch."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What the trainings of all small models are told."""

    minutes: float
    """How long to train, the minutes of earlier runs included; preparations do not count."""
    iterations: int | None = None
    """How many steps to train instead of `minutes`; then a run is the same on the same machine."""
    warm_up: int = 300
    """Steps of a new optimizer over which the learning rate rises."""
    warm_up_share: float | None = None
    """Largest share of `iterations` that the warm-up may take; None sets no such limit."""
    averaging: float | None = 0.998
    """Decay of the averaged weights, in [0, 1); None averages nothing."""
    averaging_age: int = 0
    """Age of the average at the start, in steps; a young average follows more quickly."""
    report_every: int = 100
    """Steps from one line of the history to the next."""
    checkpoint_every_s: float = 30.0
    """Least time from one checkpoint to the next [s]."""
    seed: int = 0
    """Decides the first weights and every random draw."""
    device: str = "cpu"
    """cuda or cpu."""
    replay: bool = True
    """Whether steps on a GPU are recorded once and replayed as CUDA graphs."""

    def loop(self, minutes: float, batch: int, learning_rate: float) -> "LoopSettings":
        """Settings of one part of this training."""
        shared = {field.name: getattr(self, field.name) for field in fields(TrainingSettings)}
        own = {"minutes": minutes, "batch": batch, "learning_rate": learning_rate}
        return LoopSettings(**shared | own)


@dataclass(frozen=True, kw_only=True)
class LoopSettings(TrainingSettings):
    """Everything that one run of the training loop is told."""

    batch: int
    """Examples in each step."""
    learning_rate: float
    """Highest learning rate; it rises in the warm-up and falls to 0 as a cosine."""

    @property
    def warm_up_steps(self) -> int:
        """Steps of the warm-up; fewer in a short training if `warm_up_share` says so."""
        if self.iterations is None or self.warm_up_share is None:
            return self.warm_up
        return min(self.warm_up, 1 + int(self.warm_up_share * self.iterations))
