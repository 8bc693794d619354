"""What a person before the terminal is told of a run: who, what, n of m, and the time left."""

import io
import logging
import re
from types import SimpleNamespace

import pytest
from headstyle.workflow.failures import error_of
from headstyle.workflow.running import lines
from headstyle.workflow.running.costs import NO_WORK, RELATIVE_COSTS, relative_cost
from headstyle.workflow.running.state import RunState
from headstyle.workflow.stage import stage
from job_files import Files
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_logger_plugin_headstyle.progress import Progress
from snakemake_runs import run_snakemake
from study import ROOT

SETTINGS = {"dryrun": False, "quiet": set(), "printshellcmds": False, "verbose": False}
BODY = r"^(?:rule|use rule \w+ as) (\w+)(?: with)?:\n((?:[ \t].*\n|\n)+)"
RULES = """
rule all:
    input:
        expand("{subject}.txt", subject=["A", "B"]),

rule train_baseline:
    output:
        "{subject}.txt",
    log:
        "logs/{subject}.log",
    message:
        "Training the splats of {wildcards.subject}"
    script:
        "train.py"
"""
STAGE = """
from headstyle.base.errors import InputError
from headstyle.workflow.stage import stage
with stage(snakemake) as log:
    log.info("1 of 2 steps")
    if snakemake.wildcards.subject == "B":
        raise InputError("b.jpg is broken; replace it")
    log.warning("a.jpg is dark")
    open(snakemake.output[0], "w").close()
"""


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def run_of(clock: Clock, **counts: int) -> RunState:
    state = RunState(clock)
    state.plan({**counts, "total": sum(counts.values())})
    return state


def work(state: RunState, clock: Clock, seconds: float, *numbers: int, rule: str = "draw") -> None:
    """Let jobs of a rule run side by side."""
    for number in numbers:
        state.start(number, rule, f"Drawing {number}")
    clock.time += seconds
    for number in numbers:
        state.finish(number)


def test_equal_jobs_one_after_the_other_take_what_the_first_took():
    clock = Clock()
    state = run_of(clock, draw=5)
    assert state.seconds_left() is None
    for number in range(3):
        work(state, clock, 10, number)
        assert state.seconds_left() == pytest.approx(10 * (4 - number))
    state.start(3, "draw", "Drawing")
    clock.time += 4
    assert state.seconds_left() == pytest.approx(2 * 10 - 4)
    assert (state.done, state.total) == (3, 5)


def test_jobs_side_by_side_take_half_the_time():
    clock = Clock()
    state = run_of(clock, draw=8)
    work(state, clock, 10, 0, 1)
    assert state.seconds_left() == pytest.approx(30)


def test_rules_that_have_not_run_take_what_the_table_says_beside_those_that_have():
    clock = Clock()
    state = run_of(clock, train_baseline=1, stylize_avatar=1, all=1)
    work(state, clock, 40, 0, rule="train_baseline")
    ratio = RELATIVE_COSTS["stylize_avatar"] / RELATIVE_COSTS["train_baseline"]
    assert state.seconds_left() == pytest.approx(40 * ratio)


def test_what_was_measured_outweighs_the_table_as_jobs_finish():
    clock = Clock()
    state = run_of(clock, train_baseline=1, stylize_avatar=101)
    work(state, clock, 20, 0, rule="train_baseline")
    for number in range(1, 101):
        work(state, clock, 1, number, rule="stylize_avatar")
    assert state.seconds_left() == pytest.approx(1, abs=0.2)


def test_a_job_that_takes_longer_than_expected_never_makes_the_time_negative():
    clock = Clock()
    state = run_of(clock, draw=2)
    work(state, clock, 1, 0)
    state.start(1, "draw", "Drawing")
    clock.time += 500
    assert state.seconds_left() == 0


def test_the_table_of_costs_is_of_the_rules_that_there_are():
    rules = {
        rule
        for file in (ROOT / "rules").glob("*.smk")
        for rule, body in re.findall(BODY, file.read_text(), re.MULTILINE)
        if "benchmark:" in body
    }
    assert set(RELATIVE_COSTS) <= rules
    # A module gives rules a prefix.
    assert relative_cost("headstyle_stylize_avatar") == RELATIVE_COSTS["stylize_avatar"]
    assert [relative_cost(name) for name in (*NO_WORK, "headstyle_all")] == [0, 0, 0]
    assert all(relative_cost(name) == cost > 0 for name, cost in RELATIVE_COSTS.items())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (7260, "2 h 1 min")],
)
def test_times_are_told_in_two_units_at_most(seconds, said):
    assert lines.duration(seconds) == said


def test_the_last_message_of_a_log_is_told_without_its_time(tmp_path):
    log = tmp_path / "a.log"
    assert lines.last_message(str(log)) == ""
    log.write_text("10:00:00 INFO 9 views\n10:00:01 INFO iterations: 3 of 9, about 5 s left\n")
    assert lines.last_message(str(log)) == "iterations: 3 of 9, about 5 s left"
    log.write_text("Traceback\n  x\nKeyError: 'a'\n")
    assert lines.last_message(str(log)) == "KeyError: 'a'"


def test_the_end_names_what_is_there_and_nothing_else(tmp_path):
    assert lines.where_to_look(tmp_path) == ""
    (tmp_path / "logs").mkdir()
    assert lines.where_to_look(tmp_path).split() == [
        *("Where", "to", "look:", "Logs", str(tmp_path / "logs"))
    ]
    (tmp_path / "tables").mkdir()
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "overview.html").touch()
    told = lines.where_to_look(tmp_path)
    assert [line.split()[0] for line in told.splitlines()[2:-1]] == ["Report", "Tables", "Logs"]
    assert f"--report {tmp_path / 'report.html'}" in told


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def record(event: LogEvent | None, text: str = "", level: int = logging.INFO, **more: object):
    made = logging.makeLogRecord({"msg": text, "levelno": level})
    vars(made).update(event=event, **more)
    return made


def job_info(number: int, subject: str, log: object = None, reason: str = "") -> logging.LogRecord:
    return record(
        LogEvent.JOB_INFO,
        jobid=number,
        rule_name="train_baseline",
        rule_msg=f"Training the splats of {subject}",
        log=[str(log)] if log else [],
        reason=reason,
    )


def progress(stream: io.StringIO, **changes: object) -> Progress:
    return Progress(SimpleNamespace(**SETTINGS | changes), stream)


PLAN = record(LogEvent.RUN_INFO, "Job stats:\n", stats={"train_baseline": 2, "all": 1, "total": 3})


def run_through(shown: Progress, log: object) -> None:
    """Two trainings, of which the second fails."""
    for text in ("Building DAG of jobs...", "Select jobs to execute...", "Creating an environment"):
        shown.take(record(None, text))
    shown.take(PLAN)
    for number, subject in enumerate("AB"):
        shown.take(job_info(number, subject, log))
    shown.take(record(LogEvent.JOB_FINISHED, job_id=0))
    shown.take(record(LogEvent.JOB_ERROR, level=logging.ERROR, jobid=1, log=[str(log)]))


def test_without_a_terminal_each_finished_job_is_a_line_that_says_whose_it_is(tmp_path):
    log, stream = tmp_path / "b.log", io.StringIO()
    log.write_text("10:00:00 WARNING a.jpg is dark\n10:00:01 ERROR b.jpg is broken; replace it\n")
    run_through(progress(stream), log)
    said = stream.getvalue().splitlines()
    assert said[:2] == ["Creating an environment", "3 jobs to do"]
    assert re.fullmatch(r"1 of 3  Training the splats of A: 0 s; about \d+ s left", said[2])
    assert said[3:] == [
        "  Warning: a.jpg is dark",
        "Failed: Training the splats of B",
        "  b.jpg is broken; replace it",
        f"  see {log}",
    ]


def test_of_a_log_without_one_last_sentence_the_end_is_shown(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("10:00:00 INFO 9 views\n10:00:01 ERROR two things:\n  lpips\n  clip\n")
    assert lines.failure_lines("Looking", [str(log)], error_of(log)) == [
        "Failed: Looking",
        *(f"  {line}" for line in log.read_text().splitlines()),
        "  two things: (  clip)",
        f"  see {log}",
    ]
    assert lines.failure_lines("Looking", [str(tmp_path / "none.log")], None) == [
        *("Failed: Looking", f"  see {tmp_path / 'none.log'}")
    ]


@pytest.mark.parametrize(("quiet", "told"), [("progress", False), ("all", False), ("rules", True)])
def test_quiet_runs_tell_what_failed(tmp_path, quiet, told):
    stream = io.StringIO()
    run_through(progress(stream, quiet={quiet}), tmp_path / "b.log")
    assert ("1 of 3" in stream.getvalue()) == told
    assert "Failed: Training the splats of B" in stream.getvalue()


def test_a_terminal_shows_a_bar_and_the_running_jobs_with_their_last_message(tmp_path):
    log, stream = tmp_path / "a.log", Terminal()
    log.write_text("10:00:00 INFO iterations: 3 of 9, about 5 s left\n")
    shown = progress(stream)
    shown.take(PLAN)
    shown.take(job_info(0, "A", log))
    shown.close()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "0 of 3 jobs" in text
    assert "Training the splats of A" in text
    assert "iterations: 3 of 9, about 5 s left" in text


def test_a_dry_run_tells_each_job_once_and_why_where_no_file_is_missing():
    stream = io.StringIO()
    shown = progress(stream, dryrun=True)
    shown.take(PLAN)
    shown.take(
        job_info(0, "A", reason="Missing output files: a; Input files updated by another job: b")
    )
    shown.take(job_info(1, "B", reason="Params have changed since last execution: x"))
    shown.take(PLAN)
    shown.close()
    assert stream.getvalue().splitlines() == [
        "Training the splats of A",
        "Training the splats of B (Params have changed since last execution)",
        *("", "Job stats:", "", "This was a dry run: nothing was made."),
    ]


def test_messages_of_a_stage_say_whose_they_are_and_go_to_its_log_only_where_bars_are(
    tmp_path, monkeypatch, capsys
):
    job = SimpleNamespace(
        input=Files(),
        output=Files(),
        log=[tmp_path / "a.log"],
        rule="stylize_avatar",
        threads=1,
        resources={},
        wildcards={"subject": "A", "prompt": "P4", "strength": "low"},
    )
    monkeypatch.delenv(lines.QUIET_STAGES, raising=False)
    with stage(job) as log:
        log.info("9 views edited")
    assert re.search(r"INFO stylize_avatar A P4 low: 9 views edited\n", capsys.readouterr().err)
    assert re.search(r"^[\d:]+ INFO 9 views edited\n", (tmp_path / "a.log").read_text())
    monkeypatch.setenv(lines.QUIET_STAGES, "1")
    with stage(job) as log:
        log.info("9 views edited")
    assert capsys.readouterr().err == ""
    logging.getLogger().handlers.clear()


def test_snakemake_finds_the_logger_and_tells_a_run_in_a_line_per_job(tmp_path):
    (tmp_path / "Snakefile").write_text(RULES)
    (tmp_path / "train.py").write_text(STAGE)
    ran = ("--cores", "1", "--keep-going", "--logger", "headstyle")
    said = run_snakemake(
        tmp_path,
        *ran,
        environment={"PYTHONPATH": ROOT / "workflow_scripts"},
        succeeds=False,
    ).splitlines()
    assert said[0] == "3 jobs to do"
    finished = [line for line in said if re.match(r"1 of 3  Training the splats of A: \d+ s", line)]
    assert len(finished) == 1
    assert said[said.index(finished[0]) + 1] == "  Warning: a.jpg is dark"
    failed = said.index("Failed: Training the splats of B")
    assert said[failed + 1 : failed + 3] == ["  b.jpg is broken; replace it", "  see logs/B.log"]
    assert len(said) == 6
