"""How far a run is, from a results folder in every state."""

import json
import os
import re
import time

import pytest
from headstyle.base.errors import InputError
from headstyle.base.locks import claim_folder
from headstyle.commands.main import main
from headstyle.review.jobs import QUIET_S, STAGES, stage_of
from headstyle.review.plans import is_claimed_here, write_plan
from headstyle.review.status import status_of, status_text
from study import ROOT

BASELINE = "logs/{}/train_baseline.log"


def log(folder, name, text, age_s=0.0):
    """Write a log that was last written to `age_s` seconds ago."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age_s,) * 2)


def benchmark(folder, name, seconds):
    path = folder / "benchmarks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")


def plan(folder, *logs):
    write_plan(folder, {"seed": 0}, [(stage_of(name), str(folder / name)) for name in logs])


@pytest.fixture
def run(tmp_path):
    """Of four trainings one is done, one runs, one failed and one waits; a claim holds the run."""
    folder = tmp_path / "results"
    claim = claim_folder(folder)
    plan(folder, *(BASELINE.format(subject) for subject in "ABCD"))
    log(folder, BASELINE.format("A"), "10:00:00 INFO training\n10:01:40 INFO done in 100.0 s\n")
    log(folder, BASELINE.format("B"), "10:00:00 INFO training\n10:00:40 INFO 5 of 9, 50 s left\n")
    log(folder, BASELINE.format("C"), "10:00:00 ERROR the mask is empty; correct it\n")
    benchmark(folder, "A/train_baseline.tsv", 100)
    yield folder
    claim.release()


def test_each_job_has_its_state_and_the_time_left_is_that_of_the_jobs_to_do(run):
    status = status_of(run)
    assert [(job.name, job.state) for job in status.jobs] == [
        *(("A", "done"), ("B", "running"), ("C", "failed"), ("D", "waiting"))
    ]
    assert status.state == "running"
    # 60 s of B are left and 100 s of D, one after the other.
    assert status.seconds_left == pytest.approx(160, abs=5)
    text = status_text(status)
    assert "1 of 4 jobs are done, about 3 min left with 1 job at once" in text
    assert "B runs, for 40 s: 5 of 9, 50 s left" in text
    assert "C failed: the mask is empty; correct it" in text


def test_jobs_at_once_share_the_work_but_no_job_is_split(run):
    log(run, BASELINE.format("C"), "10:00:00 INFO training\n")
    status = status_of(run)
    assert status.at_once == 2
    # 60 + 100 + 100 s, two at a time.
    assert status.seconds_left == pytest.approx(130, abs=5)


def test_a_log_of_an_earlier_run_does_not_count_for_a_job_that_is_to_come(run):
    log(run, BASELINE.format("D"), "10:00:00 ERROR of yesterday\n", age_s=1e5)
    assert status_of(run).jobs[3].state == "waiting"


def test_a_failure_that_the_latest_run_has_nothing_to_do_with_is_left_out(run):
    log(run, BASELINE.format("E"), "10:00:00 ERROR of a subject that is gone\n")
    assert "E" not in {job.name for job in status_of(run).jobs}


def test_a_job_that_just_stops_failed_when_no_run_holds_the_folder(tmp_path):
    plan(tmp_path, BASELINE.format("A"))
    log(tmp_path, BASELINE.format("A"), "10:00:00 INFO training\n")
    status = status_of(tmp_path)
    assert status.state == "failed"
    assert "ended from outside" in status.jobs[0].says


def test_of_a_run_on_another_machine_only_its_logs_tell(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    plan(tmp_path, BASELINE.format("A"), BASELINE.format("B"))
    monkeypatch.undo()
    now = time.time()
    for subject in "AB":
        log(tmp_path, BASELINE.format(subject), "10:00:00 INFO training\n", age_s=-5)
    assert [job.state for job in status_of(tmp_path).jobs] == ["running", "running"]
    # A log that nobody wrote to for long may be of a job that was killed.
    monkeypatch.setattr("time.time", lambda: now + 2 * QUIET_S)
    status = status_of(tmp_path)
    assert [job.state for job in status.jobs] == ["unknown", "unknown"]
    assert (status.state, status.exit_status) == ("unknown", 4)
    assert "may run, or was killed" in status_text(status)


def test_the_claim_is_seen_without_being_touched(tmp_path):
    assert is_claimed_here(tmp_path) is False
    claim = claim_folder(tmp_path)
    assert is_claimed_here(tmp_path) is not False
    claim.release()
    assert not is_claimed_here(tmp_path)
    claim_folder(tmp_path).release()


def test_a_stage_without_a_time_is_named_instead_of_guessed(run):
    names = [*(BASELINE.format(subject) for subject in "ABCD"), "logs/summarize.log"]
    plan(run, *names)
    for subject in "ABC":
        path = run / BASELINE.format(subject)
        os.utime(path, (time.time() + 1,) * 2)
    status = status_of(run)
    assert status.untimed == ["summarize"]
    assert "not counting summarize" in status_text(status)


def test_a_damaged_folder_is_told_of_without_an_end(run, capsys):
    (run / ".plan.json").write_text("{")
    (run / "benchmarks" / "B").mkdir()
    (run / "benchmarks" / "B" / "train_baseline.tsv").write_bytes(b"\xff\x00")
    log(run, "logs/A/mask_views.log", "no record\x1b[2J\n")
    (run / "logs" / "A" / "summarize.log").mkdir()
    log(run, BASELINE.format("C"), "10:00:00 ERROR \x1b]0;title\x07 broken\n")
    assert main(["status", str(run)]) == 3
    shown = capsys.readouterr().out
    assert ".plan.json" in shown
    assert "train_baseline.tsv is no benchmark" in shown
    assert "\x1b" not in shown


def test_a_folder_without_a_run_ends_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        status_of(tmp_path)


@pytest.mark.parametrize(("ends", "code"), [("INFO done in 1 s", 0), ("ERROR broken", 3)])
def test_the_exit_status_tells_how_it_went_and_json_says_all(tmp_path, capsys, ends, code):
    plan(tmp_path, "logs/summarize.log")
    assert main(["status", str(tmp_path)]) == 4
    log(tmp_path, "logs/summarize.log", f"10:00:00 {ends}\n")
    capsys.readouterr()
    assert main(["status", str(tmp_path), "--json", "--watch"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["stages"][0]["stage"] == "summarize"
    assert told["state"] == ("done" if code == 0 else "failed")


def test_every_log_of_the_rules_is_known_as_its_rules(tmp_path):
    text = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    head, rest = r"^(?:rule|use rule \w+ as) (\w+)(?: with)?:", r"(?:(?!^(?:use )?rule ).)*?"
    pattern = head + rest + r'    log:\n +f"\{R\}/(.*?)",'
    found = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    assert len(found) > 25
    logs = [
        (rule, path.replace("{{subject}}", "draw_a").replace("{{scene}}", "avatars/P1_low"))
        for rule, path in found
    ]
    # None of the names is of a rule that is gone, and a plan names those that are missing there.
    assert set(STAGES) <= {rule for rule, _ in logs}
    write_plan(tmp_path, {}, [(rule, str(tmp_path / path)) for rule, path in logs])
    stages = {job.log: job.stage for job in status_of(tmp_path).jobs}
    assert stages == {path: rule for rule, path in logs}
