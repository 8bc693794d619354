"""The schedule `sequential`: views are edited one after the other, and each sees its neighbor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from headstyle.avatars.schedules.base import Edit, Schedule, edited_once, view_in_turn


@dataclass(frozen=True)
class SequentialSchedule(Schedule):
    """One view is edited before each of the first iterations, in the order of the names.

    It sees the edit of that earlier view whose camera looks most alike, warped by the baseline's
    depth: as a reference, or as the start of the edit where the editor takes no references. All
    share one noise and one noise level.
    """

    name: ClassVar[str] = "sequential"
    checkpoint_every: ClassVar[int] = 10

    iterations: int = 2500
    edit_every: int = 1

    @classmethod
    def from_config(cls, stylization: Mapping[str, Any], seed: int) -> Self:
        """As of every schedule, but the key `edit_every` is not read."""
        return edited_once(cls, stylization, seed)

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """View i before iteration i, with the earlier ones to choose a reference from."""
        if iteration >= views:
            return None
        earlier = tuple(range(iteration))
        # Always number 0, from which the noise level is drawn: all have the same.
        return Edit(iteration, 0, 0, (iteration,), True, references=earlier, warped=True)

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """One view that is edited already; in the end, all come once before any comes again."""
        if iteration < len(neighbors):
            return [iteration]
        return [view_in_turn(iteration, len(neighbors), self.seed)]
