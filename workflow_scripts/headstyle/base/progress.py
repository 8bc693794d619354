"""Messages in the log: how far a loop is, and how much time is left."""

import logging
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any


def progress(steps: Iterable[Any], what: str, every_seconds: float = 15.0) -> Iterator[Any]:
    """Iterate over `steps` and log now and then how many are done and how much time is left."""
    logger = logging.getLogger("headstyle")
    total = len(steps) if isinstance(steps, Sized) else None
    reported = time.monotonic()
    for done, step in enumerate(steps):
        now = time.monotonic()
        if done <= 1:
            # The first step also compiles and loads, so its time tells nothing about the others.
            started = now
        elif total and now - reported >= every_seconds:
            left = (now - started) / (done - 1) * (total - done)
            logger.info("%s: %d of %d, about %s left", what, done, total, _duration(left))
            reported = now
        yield step


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {seconds} s"
        if minutes
        else f"{seconds} s"
    )


class Timed:
    """A training that knows how long it took, also where it went on from a checkpoint."""

    _started: float

    @property
    def seconds(self) -> float:
        """Training time [s], including the time before a checkpoint."""
        return time.monotonic() - self._started

    @seconds.setter
    def seconds(self, value: float) -> None:
        self._started = time.monotonic() - value
