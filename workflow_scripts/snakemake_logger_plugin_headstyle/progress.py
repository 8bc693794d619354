"""From Snakemake's records to lines, and to bars where there is a terminal."""

import logging
from typing import Any, TextIO

from headstyle.workflow.failures import error_of
from headstyle.workflow.running.costs import relative_cost
from headstyle.workflow.running.lines import (
    all_done_line,
    failure_lines,
    finished_line,
    is_boilerplate,
    warnings_of,
)
from headstyle.workflow.running.state import RunState
from snakemake_interface_logger_plugins.common import LogEvent

_EXPECTED_REASONS = ("Missing output files", "Input files updated by another job")


class Progress:
    """The state of a run, and where it is shown."""

    def __init__(self, settings: Any, stream: TextIO) -> None:
        """`settings` are Snakemake's of its output: `dryrun`, `quiet`, `verbose` and others."""
        self.state = RunState()
        self._settings = settings
        self._quiet = {str(getattr(kind, "name", kind)).lower() for kind in settings.quiet or ()}
        self._stream = stream
        self._plan = ""
        self._display = None
        if stream.isatty() and not settings.dryrun and "all" not in self._quiet:
            # Imported here, as only terminals need it.
            from snakemake_logger_plugin_headstyle.terminal import Display

            self._display = Display(self.state, stream)
        self._events = {
            LogEvent.RUN_INFO: self._run_info,
            LogEvent.JOB_INFO: self._job_info,
            LogEvent.JOB_FINISHED: self._job_finished,
            LogEvent.JOB_ERROR: self._job_error,
            LogEvent.SHELLCMD: self._shell_command,
        }

    def take(self, record: logging.LogRecord) -> None:
        """Show a record, or keep what it tells for later."""
        event = getattr(record, "event", None)
        if event in self._events:
            self._events[event](record)
        elif not is_boilerplate(record.getMessage()):
            if record.levelno >= logging.WARNING:
                self._write(record.getMessage())
            elif event is None:
                self._write_unless("all", record.getMessage())

    def close(self) -> None:
        """Take the bars from the terminal; after a dry run write what it plans."""
        if self._display:
            self._display.stop()
        if self._plan:
            self._write(f"{self._plan}\nThis was a dry run: nothing was made.")
            self._plan = ""

    def _run_info(self, record: logging.LogRecord) -> None:
        self.state.plan(record.stats)  # type: ignore[attr-defined]
        if self._settings.dryrun:
            # Told twice, before and after the jobs.
            self._plan = f"\n{record.getMessage().strip()}\n"
        elif self._display:
            self._display.start()
        else:
            jobs = "1 job" if self.state.total == 1 else f"{self.state.total} jobs"
            self._write_unless("progress", f"{jobs} to do")

    def _job_info(self, record: Any) -> None:
        logs = list(record.log or ())
        label = record.rule_msg or record.rule_name.replace("_", " ")
        if not self._settings.dryrun:
            self.state.start(record.jobid, record.rule_name, label, logs[0] if logs else "")
        elif record.rule_msg:
            # Why is worth a word where it is not that a file is missing.
            kinds = [reason.split(":")[0].strip() for reason in str(record.reason).split(";")]
            odd = [kind for kind in kinds if kind and not kind.startswith(_EXPECTED_REASONS)]
            why = f" ({'; '.join(odd)})" if odd and "reason" not in self._quiet else ""
            self._write_unless("rules", f"{label}{why}")

    def _job_finished(self, record: Any) -> None:
        if done := self.state.finish(record.job_id):
            job, seconds = done
            if relative_cost(job.rule):
                self._write_unless("progress", finished_line(self.state, job.label, seconds))
            for warning in warnings_of(job.log) if job.log else []:
                self._write(f"  Warning: {warning}")
            if self.state.done == self.state.total:
                self._write_unless("progress", all_done_line(self.state))

    def _job_error(self, record: Any) -> None:
        job = self.state.fail(record.jobid)
        logs = [str(path) for path in record.log or ()]
        label = job.label if job else record.rule_name
        sentence = error_of(logs[0]) if logs else None
        self._write("\n".join(failure_lines(label, logs, sentence)))

    def _shell_command(self, record: Any) -> None:
        command = getattr(record, "shellcmd", None)
        if self._settings.printshellcmds and command:
            self._write(command)

    def _write_unless(self, quiet: str, text: str) -> None:
        if not self._quiet & {quiet, "all"}:
            self._write(text)

    def _write(self, text: str) -> None:
        if self._display:
            self._display.write(text)
        else:
            print(text, file=self._stream, flush=True)
