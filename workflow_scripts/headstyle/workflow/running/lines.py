"""The lines that a person reads while a run goes on, and at its end."""

import re
from collections.abc import Sequence
from pathlib import Path

from headstyle.workflow.running.state import RunState

QUIET_STAGES = "HEADSTYLE_QUIET_STAGES"
"""Environment variable: not empty where a run shows its progress itself, and the stages' messages
shall go to their logs only."""
LAST_LINES = 20
"""Of the log of a failed job that does not end with one sentence, so many lines are shown."""
MOST_WARNINGS = 5
"""Of the warnings in the log of a finished job, so many are shown."""
_TAIL_BYTES = 4096
_BOILERPLATE = (
    *("Assuming unrestricted shared filesystem", "Building DAG of jobs", "Using shell:"),
    *("Using workflow specific profile", "Config file ", "Provided ", "Rules claiming more"),
    *("Conda environments: ignored", "Singularity containers: ignored", "Select jobs to execute"),
    *("Group jobs: inactive", "Complete log(s)", "Elapsed time", "Processed ", "Reasons:"),
    *("This was a dry-run", "Some jobs were triggered by provenance", "Exiting because a job"),
    # The failed job itself is told of before.
    *("WorkflowError:\nAt least one job did not", "RuleException:\nCalledProcessError in"),
)
"""How messages begin that tell nothing of this run's jobs, or what other lines tell better."""


def is_boilerplate(text: str) -> bool:
    """Whether a message of Snakemake tells nothing about this run's jobs."""
    return not text.strip() or text.lstrip().startswith(_BOILERPLATE)


def duration(seconds: float) -> str:
    """A time for people, such as `2 min 5 s`, with two units at most."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def time_left(state: RunState) -> str:
    """`about 4 min left`; empty where nothing can be told, or nothing is left."""
    left = state.seconds_left()
    if left is None or state.done >= state.total:
        return ""
    # Seconds of an estimate of hours would promise too much.
    rounded = left if left < 60 else 60 * round(left / 60)
    return f"about {duration(rounded).removesuffix(' 0 s')} left"


def finished_line(state: RunState, label: str, seconds: float) -> str:
    """The line of a job that has finished: n of m, what and for whom, its time, the time left."""
    total = str(state.total)
    line = f"{state.done:>{len(total)}} of {total}  {label}: {duration(seconds)}"
    return "; ".join(filter(None, [line, time_left(state)]))


def all_done_line(state: RunState) -> str:
    """The line after the last job."""
    what = "The job is" if state.total == 1 else f"All {state.total} jobs are"
    return f"{what} done, in {duration(state.seconds)}."


def last_message(log: str) -> str:
    """The last message in the log of a running job, without time and level; or nothing."""
    lines = _tail(log)
    if not lines:
        return ""
    first, *rest = lines[-1].split(" ", 2)
    return rest[-1] if len(rest) == 2 and first.count(":") == 2 else lines[-1]


def warnings_of(log: str) -> list[str]:
    """The warnings in the log of a job, at most `MOST_WARNINGS`, and how many more there are."""
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = re.findall(r"^\d\d:\d\d:\d\d WARNING (.*)", text, re.MULTILINE)
    more = len(found) - MOST_WARNINGS
    return found[:MOST_WARNINGS] + ([f"and {more} more warnings, see {log}"] if more > 0 else [])


def failure_lines(label: str, logs: Sequence[str], sentence: str | None) -> list[str]:
    """The lines of a job that has failed: whose it is, why, and where its log lies.

    Args:
        label: What the job does, for whom.
        logs: Paths of its logs.
        sentence: Why it failed, where its log ends with a sentence.
    """
    lines, shown = [f"Failed: {label}"], _tail(logs[0])[-LAST_LINES:] if logs else []
    if not (sentence and shown and shown[-1].endswith(sentence)):
        lines += [f"  {line}" for line in shown]
    if sentence:
        lines.append(f"  {sentence}")
    return lines + [f"  see {log}" for log in logs]


def where_to_look(results: str | Path) -> str:
    """The last lines of a run that went well: where its report, tables and logs lie.

    Only what is there is named. A run may have been asked for less than everything.
    """
    results = Path(results)
    page = results / "plots" / "overview.html"
    places = [
        ("Report", page),
        ("Tables", results / "tables"),
        ("Scores", results / "scores.csv"),
        ("Logs", results / "logs"),
    ]
    lines = [f"  {name:<6}  {path}" for name, path in places if path.exists()]
    if page.exists():
        whole = results / "report.html"
        lines.append(f"All on one page: the same command with --report {whole}")
    return "\n".join(["", "Where to look:", *lines, ""]) if lines else ""


def _tail(log: str) -> list[str]:
    """The last lines of a file, without empty ones; none where it cannot be read."""
    try:
        with Path(log).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]
