"""How far a run is: what is done, running, failed and waiting, and how much time is left."""

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from headstyle.base.errors import RESULT, InputError
from headstyle.base.tables.rows import read_rows
from headstyle.review.jobs import Job, in_state, jobs_of, printable, stage_of
from headstyle.review.plans import is_claimed_here, read_plan

DONE, FAILED, UNFINISHED = 0, 3, 4
"""Exit statuses of `headstyle status`."""
_STATES = ("running", "unknown", "failed", "waiting")
_WIDEST = 110


@dataclass(frozen=True)
class Status:
    """How far a run is."""

    folder: str
    """The results folder."""
    state: str
    """`done`, `running`, `failed` or `stopped`; `unknown` where another machine may run it."""
    started: float | None
    """When the latest run started; None where it left no plan [s since the epoch]."""
    host: str | None
    """The machine of that run."""
    jobs: Sequence[Job]
    """All known jobs, in the order of the pipeline."""
    seconds_left: float | None
    """Time until the end, if as many jobs run at once as now; None where no stage tells [s]."""
    at_once: int
    """How many jobs that counts with."""
    untimed: Sequence[str]
    """Stages with jobs to do that `seconds_left` leaves out, as none of theirs has ended yet."""
    notes: Sequence[str]
    """What could not be read."""

    @property
    def exit_status(self) -> int:
        """0 if all is done, 3 if a job failed, 4 if jobs are left."""
        if in_state(self.jobs, "failed"):
            return FAILED
        return DONE if self.state == "done" else UNFINISHED

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs; with the counts of each stage."""
        whole = asdict(self)
        whole["stages"] = [
            {"stage": stage, **{state: len(in_state(jobs, state)) for state in ("done", *_STATES)}}
            for stage, jobs in _by_stage(self.jobs).items()
        ]
        return whole


def status_of(folder: str | Path) -> Status:
    """Read how far a run is, from its plan, its logs and its benchmarks.

    Damaged files are noted and left out, so that a broken folder can be looked at, too.

    Raises:
        InputError: the path is no folder of results.
    """
    folder = Path(folder)
    notes = []
    try:
        plan = read_plan(folder)
    except InputError as error:
        plan = None
        notes.append(printable(str(error)))
    if not (folder / "logs").is_dir() and plan is None:
        raise InputError(
            f"{folder} holds no run, as it has no logs; name the results_dir of one, such as"
            " results/demo"
        )
    claimed = is_claimed_here(folder)
    is_alive = True if claimed else _is_over_here(plan.host if plan else None, claimed)
    jobs = jobs_of(folder, plan, is_alive)
    means, broken = _mean_seconds(folder)
    notes += broken
    left, untimed = _seconds_of_work(jobs, means)
    at_once = max(1, len(in_state(jobs, "running")))
    return Status(
        str(folder),
        _state(jobs, is_alive),
        plan.started if plan else None,
        plan.host if plan else None,
        jobs,
        None if left is None else _until_the_end(left, at_once),
        at_once,
        untimed,
        notes,
    )


def status_text(status: Status) -> str:
    """The lines that `headstyle status` prints."""
    jobs = status.jobs
    has_plan = status.started is not None
    finished, total = len(in_state(jobs, "done")), len(jobs)
    head = [f"{status.folder}: {_told(status)}"]
    head.append(
        f"  {finished} of {total} jobs are done{_time_left(status)}"
        if has_plan
        else f"  {finished} of the {total} jobs that left a log are done; this run wrote no plan,"
        " so what waits is not known"
    )
    stages = _by_stage(jobs)
    widest = max((len(stage) for stage in stages), default=0)
    lines = []
    for stage, members in stages.items():
        counts = f"{len(in_state(members, 'done'))} of {len(members)} done"
        rest = [
            f"{count} {_words(state)}"
            for state in _STATES
            if (count := len(in_state(members, state)))
        ]
        lines.append(f"  {stage:<{widest}}  {', '.join([counts, *rest])}")
        lines += [
            f"      {_line_of(job, status.folder)}"
            for state in ("failed", "running", "unknown")
            for job in in_state(members, state)
        ]
    notes = [f"  not counted: {note}" for note in status.notes]
    return "\n".join([*head, "", *lines, *notes])


def duration(seconds: float) -> str:
    """A length of time in words: `3 h 20 min`, `4 min`, `35 s`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 90 else f"{minutes} min"


def _is_over_here(host: str | None, claimed: bool | None) -> bool | None:
    """False where no run holds the folder and none elsewhere can; otherwise None."""
    is_ours = host is None or host == socket.gethostname()
    return False if claimed is False and is_ours else None


def _state(jobs: Sequence[Job], is_alive: bool | None) -> str:
    states = {job.state for job in jobs}
    if is_alive or "running" in states:
        return "running"
    if states <= {"done"}:
        return "done"
    if is_alive is None and not states <= {"done", "failed"}:
        return "unknown"
    return "failed" if "failed" in states else "stopped"


def _told(status: Status) -> str:
    since = ""
    if status.started is not None:
        clock = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.started))
        since = f"{clock} on {printable(status.host or '')}"
    return {
        "running": f"a run is at work{since and ', since ' + since}",
        "done": "no job is known to be left",
        "failed": f"no run is at work, and jobs failed{since and '; the last began ' + since}",
        "stopped": f"no run is at work, and jobs are left{since and '; the last began ' + since}",
        "unknown": f"whether a run is at work cannot be seen from here; it began {since}",
    }[status.state]


def _time_left(status: Status) -> str:
    if status.seconds_left is None:
        if status.untimed:
            return "; no job of the stages that are left has ended, so the time left is not known"
        return ""
    if status.state == "running":
        jobs = "1 job" if status.at_once == 1 else f"{status.at_once} jobs"
        words = f", about {duration(status.seconds_left)} left with {jobs} at once"
    else:
        words = f", about {duration(status.seconds_left)} of work is left"
    if status.untimed:
        words += f", not counting {', '.join(status.untimed)}"
    return words


def _line_of(job: Job, folder: str) -> str:
    name = job.name or job.stage
    if job.state == "failed":
        return f"{name} failed: {job.says} ({folder}/{printable(job.log)})"
    says = job.says if len(job.says) <= _WIDEST else f"{job.says[: _WIDEST - 1]}…"
    verb = "runs" if job.state == "running" else "may run, or was killed"
    return f"{name} {verb}, for {duration(job.seconds)}{says and ': ' + says}"


def _words(state: str) -> str:
    return "silent" if state == "unknown" else state


def _by_stage(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    stages: dict[str, list[Job]] = {}
    for job in jobs:
        stages.setdefault(job.stage, []).append(job)
    return stages


def _mean_seconds(folder: Path) -> tuple[dict[str, float], list[str]]:
    """Mean time of the jobs of each stage that have ended, and what could not be read.

    The mean and not the median: one job of a stage may do the work of others, which then end at
    once, so only the mean times the number of jobs is the work of all.
    """
    seconds: dict[str, list[float]] = {}
    broken = []
    for path in sorted((folder / "benchmarks").rglob("*.tsv")):
        try:
            row = read_rows(path, RESULT, ["s"])[-1]
            seconds.setdefault(stage_of(path.relative_to(folder).as_posix()), []).append(
                float(row["s"])
            )
        except (InputError, IndexError, ValueError):
            broken.append(f"{printable(str(path))} is no benchmark")
    return {stage: mean(values) for stage, values in seconds.items()}, broken


def _seconds_of_work(
    jobs: Sequence[Job], means: Mapping[str, float]
) -> tuple[list[float] | None, list[str]]:
    """The time of each job to do, and the stages whose time is not known."""
    left, untimed = [], []
    for job in jobs:
        if job.state not in ("running", "waiting", "unknown"):
            continue
        if job.stage not in means:
            untimed.append(job.stage)
        else:
            left.append(max(0.0, means[job.stage] - job.seconds))
    return left or None, list(dict.fromkeys(untimed))


def _until_the_end(left: Sequence[float], at_once: int) -> float:
    return max(sum(left) / at_once, *left)
