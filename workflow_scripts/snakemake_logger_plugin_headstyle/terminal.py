"""A bar for the run and a line per running job, below the lines of finished jobs."""

from typing import TextIO

from headstyle.workflow.running.lines import duration, last_message, time_left
from headstyle.workflow.running.state import RunState
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

REFRESHED_PER_SECOND = 2
MOST_JOBS = 12
"""Running jobs that are shown at once."""


class Display:
    """The part of a terminal that changes."""

    def __init__(self, state: RunState, stream: TextIO) -> None:
        self._state = state
        self._console = Console(file=stream, highlight=False, markup=False)
        self._live = Live(
            console=self._console,
            get_renderable=self.rendered,
            refresh_per_second=REFRESHED_PER_SECOND,
            transient=True,
        )

    def start(self) -> None:
        """Show the bar."""
        self._live.start()

    def stop(self) -> None:
        """Take it away."""
        self._live.stop()

    def write(self, text: str) -> None:
        """Write lines above the bar."""
        self._console.print(text, soft_wrap=True)

    def rendered(self) -> RenderableType:
        """The bar and the running jobs as they are now."""
        state = self._state
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=max(1, state.total), completed=state.done, width=30),
            f"{state.done} of {state.total} jobs",
            time_left(state),
        )
        jobs = Table.grid(padding=(0, 1))
        running = sorted(state.running.values(), key=lambda job: job.started)
        for job in running[:MOST_JOBS]:
            jobs.add_row(
                job.label, duration(state.now() - job.started), last_message(job.log) or "starts"
            )
        if len(running) > MOST_JOBS:
            jobs.add_row(f"and {len(running) - MOST_JOBS} more")
        return Group(bar, jobs)
