"""Time and memory of each stage, from the benchmarks of its jobs."""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headstyle.base.errors import RESULT, InputError
from headstyle.base.tables.rows import read_rows
from headstyle.report.figures import COLORS, message, note
from headstyle.report.labels import SOFT_INK
from headstyle.report.pages import table_page

INTRO = (
    "What each stage took, as measured by Snakemake: wall time of its jobs, and the most memory "
    "that a job held at once. Jobs ran side by side, so the run took less than the sum. A job that "
    "was not made again shows what it took when it was made."
)
NOTHING = "No benchmark of a job was found."


@dataclass(frozen=True)
class StageCost:
    """The jobs of one rule together."""

    rule: str
    seconds: tuple[float, ...]
    """Wall time of each job [s]."""
    memory_mb: float
    """Largest resident memory of a job [MB]; NaN where no job was long enough to be measured."""
    load: float
    """Mean number of busy cores, weighted by time; NaN where it was not measured."""

    @property
    def total_s(self) -> float:
        """Wall time of all jobs [s]."""
        return sum(self.seconds)


def read_costs(folder: str | Path, rules: Collection[str]) -> list[StageCost]:
    """The cost of each rule, the most expensive first.

    Args:
        folder: Where Snakemake wrote the benchmarks. Files that are no benchmark are left out.
        rules: All rules. A file belongs to the rule whose name begins its own name, or that of a
            folder above it.
    """
    jobs: dict[str, list[dict[str, float]]] = defaultdict(list)
    folder = Path(folder)
    for path in sorted(folder.rglob("*.tsv")):
        rule = _rule_of(path.relative_to(folder).with_suffix("").parts, rules)
        if measured := _read_job(path):
            jobs[rule].append(measured)
    costs = [_together(rule, measured) for rule, measured in jobs.items()]
    return sorted(costs, key=lambda cost: (-cost.total_s, cost.rule))


def costs_figure(costs: Sequence[StageCost]) -> Figure:
    """Bars per stage: the time of all its jobs, and the most memory of a job."""
    if not costs:
        return message(NOTHING)
    names = [f"{cost.rule.replace('_', ' ')} · {_jobs(len(cost.seconds))}" for cost in costs]
    figure, (times, memories) = plt.subplots(
        1, 2, figsize=(9.5, 1.4 + 0.27 * len(costs)), sharey=True, width_ratios=[3, 2]
    )
    minutes = [cost.total_s / 60 for cost in costs]
    _bars(times, names, minutes, COLORS[0], "time of all jobs [min]")
    _bars(memories, names, [cost.memory_mb / 1000 for cost in costs], COLORS[1], "peak memory [GB]")
    times.invert_yaxis()
    figure.suptitle("Time and memory of each stage", x=0.01, ha="left", fontweight="bold", size=12)
    note(figure, f"{sum(minutes):.1f} min of jobs in all · memory: the largest of a stage's jobs")
    return figure


def costs_page(costs: Sequence[StageCost]) -> str:
    """The same as a table to sort."""
    rows = [
        {
            "stage": cost.rule.replace("_", " "),
            "jobs": len(cost.seconds),
            "total_[s]": cost.total_s,
            "longest_job_[s]": max(cost.seconds),
            "peak_memory_[MB]": cost.memory_mb,
            "busy_cores": cost.load,
        }
        for cost in costs
    ]
    return table_page("Time and memory", INTRO, rows, NOTHING)


def _rule_of(parts: Sequence[str], rules: Collection[str]) -> str:
    fitting = [
        rule for part in parts for rule in rules if part == rule or part.startswith(f"{rule}_")
    ]
    return max(fitting, key=len, default=parts[-1])


def _read_job(path: Path) -> dict[str, float]:
    """The first line of a benchmark as numbers; nothing where it holds none."""
    try:
        rows = read_rows(path, RESULT, ("s", "max_rss", "mean_load"))
    except InputError:
        return {}
    if not rows:
        return {}
    found = {key: _number(rows[0][key]) for key in ("s", "max_rss", "mean_load")}
    return found if math.isfinite(found["s"]) else {}


def _number(text: str) -> float:
    """A cell as a number; Snakemake writes NA or a dash where a job was too short to be watched."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _together(rule: str, jobs: Sequence[dict[str, float]]) -> StageCost:
    memories = [job["max_rss"] for job in jobs if math.isfinite(job["max_rss"])]
    watched = [job for job in jobs if math.isfinite(job["mean_load"])]
    seconds = sum(job["s"] for job in watched)
    load = sum(job["mean_load"] / 100 * job["s"] for job in watched) / seconds if seconds else None
    return StageCost(
        rule,
        tuple(job["s"] for job in jobs),
        max(memories, default=math.nan),
        math.nan if load is None else load,
    )


def _bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], color: str, label: str
) -> None:
    shown = [value if math.isfinite(value) else 0.0 for value in values]
    bars = axes.barh(names, shown, color=color, height=0.7)
    texts = [f"{value:.1f}" if math.isfinite(value) else "–" for value in values]
    axes.bar_label(bars, texts, padding=3, fontsize=8, color=SOFT_INK)
    axes.set(xlabel=label)
    axes.margins(x=0.12, y=0.02)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
