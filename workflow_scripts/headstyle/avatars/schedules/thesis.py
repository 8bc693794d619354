"""The study's schedule, which changed that of Instruct-GS2GS."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstyle.avatars.schedules.base import Edit, Schedule


@dataclass(frozen=True)
class ThesisSchedule(Schedule):
    """All views are edited together, with one noise and one noise level.

    An iteration averages the loss over a view and its neighbors.
    """

    name: ClassVar[str] = "thesis"

    iterations: int = 5000
    edit_every: int = 2500

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """All views, at iterations 0, `edit_every`, 2 `edit_every`, ..."""
        cycle, since = divmod(iteration, self.edit_every)
        return Edit(iteration, cycle, cycle, tuple(range(views)), True) if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """View i mod M and its neighbors."""
        view = iteration % len(neighbors)
        return [view, *neighbors[view]]
