"""Snakemake's logger for headstyle: a line per finished job, bars on a terminal, the time left.

Snakemake finds it by its name: `logger: headstyle` in a profile. All that Snakemake says still lies
in `.snakemake/log`. The plugin `rich` was weighed first: it writes nothing per job where the output
is no terminal, and knows no time left.
"""

import logging
import os
import sys
from typing import TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Takes what Snakemake logs, and shows what a person wants to know of a run."""

    def __post_init__(self) -> None:
        # Imported here: every process of Snakemake imports this module to find the plugin, also one
        # that runs another version of headstyle than the one installed.
        from headstyle.workflow.running.lines import QUIET_STAGES

        from snakemake_logger_plugin_headstyle.progress import Progress

        # The stages that this process starts inherit it.
        os.environ[QUIET_STAGES] = "1"
        stream: TextIO = sys.stdout if self.common_settings.stdout else sys.stderr
        self._progress = Progress(self.common_settings, stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record. One that cannot be shown ends nothing."""
        try:
            self._progress.take(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Take the bars from the terminal."""
        self._progress.close()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own lines."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake writes its own log."""
        return False

    @property
    def has_filter(self) -> bool:
        """`--quiet` is heeded here, as also quiet runs need to count their jobs."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Records are turned into lines here."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """The graph is not shown."""
        return False
