"""The schedule `once`: all views are edited a single time, and the splats are trained on that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from headstyle.avatars.schedules.base import Edit, Schedule, edited_once, view_in_turn


@dataclass(frozen=True)
class OnceSchedule(Schedule):
    """All views are edited together, with one noise and one noise level; one view per iteration."""

    name: ClassVar[str] = "once"

    iterations: int = 2500
    edit_every: int = 2500

    @classmethod
    def from_config(cls, stylization: Mapping[str, Any], seed: int) -> Self:
        """As of every schedule, but the key `edit_every` is not read."""
        return edited_once(cls, stylization, seed)

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """All views, at iteration 0."""
        return Edit(0, 0, 0, tuple(range(views)), True) if iteration == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """One view; all come once, in random order, before any comes again."""
        return [view_in_turn(iteration, len(neighbors), self.seed)]
