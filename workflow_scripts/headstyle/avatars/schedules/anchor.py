"""The schedule `anchor`: few views are edited first, and all others see these edits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from headstyle.avatars.schedules.base import Edit, Schedule, edited_once, view_in_turn
from headstyle.base.settings import Setting

SETTINGS = (
    Setting(
        "anchor.anchors",
        1,
        {"type": "integer", "minimum": 1, "maximum": 4},
        meaning="Views that are edited first, evenly spread over the order of the names. All "
        "others take their edits as references.",
    ),
)


@dataclass(frozen=True)
class AnchorSchedule(Schedule):
    """Anchors are edited before the first iteration, the others before the second.

    All share one noise and one noise level. The editor must take references.
    """

    name: ClassVar[str] = "anchor"
    checkpoint_every: ClassVar[int] = 1
    needs_references: ClassVar[bool] = True

    iterations: int = 2500
    edit_every: int = 1
    anchors: int = 1

    @classmethod
    def from_config(cls, stylization: Mapping[str, Any], seed: int) -> Self:
        """As of every schedule, but the key `edit_every` is not read."""
        return edited_once(cls, stylization, seed)

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """The anchors at iteration 0, all others at iteration 1."""
        anchors = self._anchors(views)
        if iteration == 0:
            return Edit(0, 0, 0, anchors, True)
        others = tuple(view for view in range(views) if view not in anchors)
        if iteration == 1 and others:
            # Also number 0, from which the noise level is drawn: it is that of the anchors.
            return Edit(1, 0, 0, others, True, references=anchors)
        return None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """An anchor at first, then one view; all come once before any comes again."""
        if iteration == 0:
            return [self._anchors(len(neighbors))[0]]
        return [view_in_turn(iteration, len(neighbors), self.seed)]

    def _anchors(self, views: int) -> tuple[int, ...]:
        count = min(self.anchors, views)
        return tuple(int((i + 0.5) * views / count) for i in range(count))
