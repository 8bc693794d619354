"""The jobs of a results folder, as their logs tell."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headstyle.review.plans import Plan

STAGES = (
    *("check_models", "download_models", "synthesize_capture", "develop_photographs"),
    *("mask_views", "estimate_poses", "agree_masks", "compare_poses", "downscale_views"),
    *("train_baseline", "camera_adjacency", "photograph_true_edits", "sweep_strengths"),
    *("stylize_avatar", "import_renders", "fit_unedited", "measure_renders", "measure_unedited"),
    *("explore_renders", "score_renders", "measure_consistency", "map_inconsistency"),
    *("summarize", "judge_baseline"),
    *("draw_stages", "draw_avatars", "film_scene", "film_beside_baseline", "plot_study"),
    *("study_beside_reference", "write_table_pages", "write_overview", "calibrate_metrics"),
    *("explore_subject", "write_explorer"),
    *("calibrate_trained", "evaluate_baseline", "full_evaluation", "export_splats"),
    *("synthesize_sequence", "import_sequence", "train_rigged", "render_rigged"),
    *("evaluate_rigged", "full_evaluation_rigged", "stylize_rigged", "measure_over_time"),
    *("tabulate_over_time", "write_rigged_page", "export_scene", "export_turntable"),
    *("export_table", "plot_costs"),
)
"""The rules whose logs lie in a results folder, in the order of the pipeline. A plan names others
itself; they come last."""
QUIET_S = 900.0
"""A log that nobody wrote to for so long may be of a job that was killed [s]."""
_RECORD = re.compile(r"(\d\d):(\d\d):(\d\d) ([A-Z]+) (.*)")
_MOST_BYTES = 65536
_DAY_S = 86400
_KILLED = "the job was ended from outside, often for lack of memory"


@dataclass(frozen=True)
class Job:
    """One job, as far as its log and the plan tell."""

    stage: str
    """Its rule."""
    name: str
    """What it is for, such as `A P3_low`; empty for a stage of one job."""
    log: str
    """Its log, relative to the results folder."""
    state: str
    """`done`, `running`, `failed`, `waiting`, or `unknown` where it may run or be killed."""
    says: str = ""
    """The last sentence of its log."""
    seconds: float = 0.0
    """How long it has been running; 0 unless it runs [s]."""


@dataclass(frozen=True)
class _Log:
    level: str
    says: str
    written: float
    seconds: float
    """From the first record to the last [s]."""


def jobs_of(folder: Path, plan: Plan | None, is_alive: bool | None) -> list[Job]:
    """All jobs that left a log or stand in the plan, in the order of the pipeline.

    Args:
        folder: The results folder.
        plan: What the latest run set out to do. Without it no job is known to wait.
        is_alive: Whether a run computes the folder now; None where that is unknown.
    """
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted((folder / "logs").rglob("*.log"))
    }
    planned = plan.jobs if plan else {}
    jobs = []
    for log in {**planned, **found}:
        stage = stage_of(log)
        # Who uses the workflow as a module may have renamed its rules, but not their logs.
        if stage not in STAGES:
            stage = planned.get(log, stage)
        content = _read(found[log]) if log in found else None
        job = _job(stage, log, content, plan, is_alive)
        if job is not None:
            jobs.append(job)
    return sorted(jobs, key=lambda job: (_place(job.stage), job.stage, job.name))


def stage_of(log: str) -> str:
    """The rule that a log belongs to, by its path relative to the results folder."""
    words = [part.rpartition(".")[0] or part for part in Path(log).parts[1:]]
    known = [
        stage for word in words for stage in STAGES if word == stage or word.startswith(f"{stage}_")
    ]
    return max(known, key=len) if known else words[-1]


def _job(
    stage: str, log: str, content: _Log | None, plan: Plan | None, is_alive: bool | None
) -> Job | None:
    is_planned = plan is not None and log in plan.jobs
    name = _name(stage, log)
    if content is None or (plan and is_planned and content.written < plan.started):
        # What an earlier run left of this job says nothing of the job that is to come.
        return Job(stage, name, log, "waiting") if is_planned else None
    if content.level != "ERROR" and content.says.startswith("done"):
        return Job(stage, name, log, "done", content.says)
    if plan and not is_planned:
        return None
    if content.level == "ERROR":
        return Job(stage, name, log, "failed", content.says)
    if is_alive is False:
        return Job(stage, name, log, "failed", _KILLED)
    quiet = max(0.0, time.time() - content.written)
    state = "running" if is_alive or quiet < QUIET_S else "unknown"
    return Job(stage, name, log, state, content.says, content.seconds + quiet)


def _read(path: Path) -> _Log | None:
    """What a log says; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            written = path.stat().st_mtime
            start = file.read(_MOST_BYTES)
            file.seek(max(0, path.stat().st_size - _MOST_BYTES))
            end = file.read()
    except OSError:
        return None
    first = _records(start)
    lines = _lines(end)
    places = [place for place, line in enumerate(lines) if _RECORD.fullmatch(line)]
    if not places or not first:
        return _Log("INFO", "", written, 0.0)
    last = _RECORD.fullmatch(lines[places[-1]])
    assert last is not None, "`places` are of records"
    says, after = last[5], lines[places[-1] + 1 :]
    if last[4] == "ERROR" and after:
        says = f"{says} ({after[-1].strip()})"
    # A log tells no date: a day is the longest that can be told.
    seconds = (_clock(last) - _clock(first[0])) % _DAY_S
    return _Log(last[4], printable(says), written, float(seconds))


def _records(content: bytes) -> list[re.Match[str]]:
    return [match for line in _lines(content) if (match := _RECORD.fullmatch(line))]


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", errors="replace").splitlines()


def _clock(record: re.Match[str]) -> int:
    return int(record[1]) * 3600 + int(record[2]) * 60 + int(record[3])


def printable(text: str) -> str:
    """A text without the characters that would move or color a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def _name(stage: str, log: str) -> str:
    """What is left of a log's path without its stage."""
    parts = [part.rpartition(".")[0] or part for part in Path(log).parts[1:]]
    told = [part.removeprefix(stage).removeprefix("_") for part in parts]
    return printable(" ".join(filter(None, told)))


def _place(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def in_state(jobs: Iterable[Job], state: str) -> list[Job]:
    """The jobs in a state."""
    return [job for job in jobs if job.state == state]
