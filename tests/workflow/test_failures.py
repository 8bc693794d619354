"""What stopped a run, gathered from its logs."""

import os

from headstyle.workflow.failures import describe_failures, failures, written_at


def log(path, text, seconds=1000.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (seconds, seconds))
    return path


OLD = "10:00:01 ERROR long ago\n"


def test_only_new_logs_that_end_with_an_error_tell_one(tmp_path):
    failed = log(tmp_path / "a/one.log", "10:00:00 INFO 2 views\n10:00:01 ERROR b.jpg is broken\n")
    log(tmp_path / "a/fine.log", "10:00:01 ERROR not the end\n10:00:02 INFO done\n")
    log(tmp_path / "a/empty.log", "")
    assert failures(tmp_path, {}) == {failed: "b.jpg is broken"}


def test_the_logs_of_an_earlier_run_are_left_out_though_the_clock_was_set_back(tmp_path):
    for name in ("kept", "again"):
        log(tmp_path / f"{name}.log", OLD, seconds=9_000)
    before = written_at(tmp_path)
    again = log(tmp_path / "again.log", OLD.replace("long ago", "now"), seconds=10)
    new = log(tmp_path / "new.log", OLD.replace("long ago", "now"), seconds=20)
    assert failures(tmp_path, before) == {again: "now", new: "now"}


def test_an_unexpected_error_is_told_with_its_exception(tmp_path):
    text = "10:00:01 ERROR stopped\nTraceback (most recent call last):\n  x\nKeyError: 'a'\n"
    path = log(tmp_path / "one.log", text)
    assert failures(tmp_path, {}) == {path: "stopped (KeyError: 'a')"}


def test_a_run_without_a_told_error_gets_no_summary(tmp_path):
    assert describe_failures(tmp_path / "missing", {}) == ""
