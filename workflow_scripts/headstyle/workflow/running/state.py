"""Which jobs of a run are done and running, and how much time is left."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headstyle.workflow.running.costs import relative_cost

PRIOR_JOBS = 2.0
"""The table of costs counts as much as so many jobs of a rule that were measured in this run."""


@dataclass(frozen=True)
class RunningJob:
    """A job that was started and is not finished."""

    rule: str
    label: str
    """What it does, for whom, such as "Training the Gaussian splats of A"."""
    log: str
    """Path of its log; empty where it has none."""
    started: float
    """When, by the clock of the run [s]."""


@dataclass
class RunState:
    """The jobs of a run, from what Snakemake tells of them."""

    now: Callable[[], float] = time.monotonic
    """The clock [s]. One that is never set back."""
    planned: dict[str, int] = field(default_factory=dict)
    """Jobs of each rule, finished ones included."""
    running: dict[int, RunningJob] = field(default_factory=dict)
    """Started jobs by Snakemake's number."""
    finished: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each finished job, by its rule."""
    _started: float | None = None

    @property
    def done(self) -> int:
        """Number of finished jobs."""
        return sum(map(len, self.finished.values()))

    @property
    def total(self) -> int:
        """Number of all jobs."""
        return sum(self.planned.values())

    @property
    def seconds(self) -> float:
        """Time since the first job was started [s]."""
        return 0.0 if self._started is None else self.now() - self._started

    def plan(self, counts: Mapping[str, int]) -> None:
        """Take over how many jobs of each rule there are."""
        self.planned = {rule: count for rule, count in counts.items() if rule != "total"}

    def start(self, number: int, rule: str, label: str, log: str = "") -> None:
        """A job was started."""
        if self._started is None:
            self._started = self.now()
        self.running[number] = RunningJob(rule, label or rule.replace("_", " "), log, self.now())

    def finish(self, number: int) -> tuple[RunningJob, float] | None:
        """A job has finished: the job and its seconds; None where its start was not told."""
        job = self.running.pop(number, None)
        if job is None:
            return None
        seconds = self.now() - job.started
        self.finished[job.rule].append(seconds)
        return job, seconds

    def fail(self, number: int) -> RunningJob | None:
        """A job has failed. It may be started again."""
        return self.running.pop(number, None)

    def seconds_left(self) -> float | None:
        """Time until the last job is done, as far as it can be told; None before any has finished.

        A job takes what those of its rule took in this run. Rules of which few or none have
        finished are taken from the table of costs, scaled by what has finished.
        """
        took = sum(sum(seconds) for seconds in self.finished.values())
        expected = sum(relative_cost(rule) * len(s) for rule, s in self.finished.items())
        if not took or not expected:
            return None
        each = {rule: self._seconds_of(rule, took / expected) for rule in self.planned}
        left = sum(each[rule] * self._unfinished(rule) for rule in self.planned)
        elapsed = {number: self.now() - job.started for number, job in self.running.items()}
        for number, job in self.running.items():
            left -= min(elapsed[number], each.get(job.rule, 0.0))
        # Jobs ran side by side; so will those that are left.
        side_by_side = max(1.0, (took + sum(elapsed.values())) / max(self.seconds, 1e-9))
        return max(0.0, left) / side_by_side

    def _unfinished(self, rule: str) -> int:
        return max(0, self.planned[rule] - len(self.finished.get(rule, ())))

    def _seconds_of(self, rule: str, scale: float) -> float:
        measured = self.finished.get(rule, [])
        prior = scale * relative_cost(rule)
        return (PRIOR_JOBS * prior + sum(measured)) / (PRIOR_JOBS + len(measured))
