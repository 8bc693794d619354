"""The dataset update of Instruct-NeRF2NeRF (Haque et al. 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstyle.avatars.schedules.base import Edit, Schedule, view_in_turn


@dataclass(frozen=True)
class In2nSchedule(Schedule):
    """Every few iterations the next view is edited anew, with a noise and noise level of its own.

    Its guidance never grows: there are no passes between which it could.
    """

    name: ClassVar[str] = "in2n"
    checkpoint_every: ClassVar[int] = 1000

    iterations: int = 15_000
    edit_every: int = 10

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """View n mod M before iteration n times `edit_every`."""
        number, since = divmod(iteration, self.edit_every)
        return Edit(iteration, number, 0, (number % views,), False) if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """One view; all come once, in random order, before any comes again."""
        return [view_in_turn(iteration, len(neighbors), self.seed)]
