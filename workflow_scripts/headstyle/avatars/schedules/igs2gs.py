"""The schedule of Instruct-GS2GS (Vachha and Haque 2024), which the study changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstyle.avatars.schedules.base import Edit, Schedule, view_in_turn


@dataclass(frozen=True)
class Igs2gsSchedule(Schedule):
    """Passes of edits, each view with a noise and a noise level of its own; one view per iteration.

    A pass is made at once here. The original spreads it over as many iterations as there are
    views, in which each view is edited and trained on.
    """

    name: ClassVar[str] = "igs2gs"

    iterations: int = 7500
    edit_every: int = 2500

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """All views, at iterations 0, `edit_every`, 2 `edit_every`, ..."""
        cycle, since = divmod(iteration, self.edit_every)
        return Edit(iteration, cycle, cycle, tuple(range(views)), False) if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """One view; all come once, in random order, before any comes again."""
        return [view_in_turn(iteration, len(neighbors), self.seed)]
