"""When views are edited and what an iteration trains on: the schedules of three methods.

- `thesis`: the study's. All views are edited together, with one noise and one noise level; an
  iteration averages the loss over a view and its neighbors.
- `igs2gs`: Instruct-GS2GS (Vachha and Haque 2024), which the study changed. Full passes of edits,
  a noise and a noise level per view; an iteration takes one view, in random order.
- `in2n`: the dataset update of Instruct-NeRF2NeRF (Haque et al. 2023). Every few iterations one
  view, in turn, is edited anew, with a noise and a noise level of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np

from headstyle.base.errors import InputError
from headstyle.base.seeds import derived_seed


@dataclass(frozen=True)
class Edit:
    """What is edited before an iteration."""

    iteration: int
    number: int
    """Counts the edits of a run."""
    cycle: int
    """Passes over all views that were completed by this method; guidance grows with it."""
    views: tuple[int, ...]
    """Indices of the views."""
    shared_noise: bool
    """Whether all views share one noise and one noise level, or each has its own."""


class Schedule(Protocol):
    """The part of the loop that differs between the methods."""

    iterations: int
    edit_every: int
    seed: int
    """The avatar's seed; the order of the views comes from it."""
    checkpoint_every: int
    """Iterations between checkpoints, which lie before edits."""

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """What is edited before an iteration, of so many views; None for nothing."""
        ...

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """The views whose losses an iteration averages.

        Args:
            iteration: Iterations done.
            neighbors: For each view the indices of its neighbors, itself excluded.
        """
        ...


@dataclass(frozen=True)
class ThesisSchedule:
    """The study's schedule: all views are edited together, and neighbors share an iteration."""

    iterations: int = 5000
    edit_every: int = 2500
    seed: int = 0
    checkpoint_every: ClassVar[int] = 0
    """Every edit is preceded by a checkpoint."""

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """All views, at iterations 0, `edit_every`, 2 `edit_every`, ..."""
        cycle, since = divmod(iteration, self.edit_every)
        return Edit(iteration, cycle, cycle, tuple(range(views)), True) if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """View i mod M and its neighbors."""
        view = iteration % len(neighbors)
        return [view, *neighbors[view]]


@dataclass(frozen=True)
class Igs2gsSchedule:
    """Instruct-GS2GS: passes of edits, each with its own noise, and one view per iteration.

    A pass is made at once here. The original spreads it over as many iterations as there are
    views, in which each view is edited and trained on.
    """

    iterations: int = 7500
    edit_every: int = 2500
    seed: int = 0
    checkpoint_every: ClassVar[int] = 0

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """All views, at iterations 0, `edit_every`, 2 `edit_every`, ..."""
        cycle, since = divmod(iteration, self.edit_every)
        return Edit(iteration, cycle, cycle, tuple(range(views)), False) if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """One view; all come once, in random order, before any comes again."""
        return [_view_in_turn(iteration, len(neighbors), self.seed)]


@dataclass(frozen=True)
class In2nSchedule:
    """Instruct-NeRF2NeRF: every few iterations the next view is edited anew.

    Its guidance never grows: there are no passes between which it could.
    """

    iterations: int = 15_000
    edit_every: int = 10
    seed: int = 0
    checkpoint_every: ClassVar[int] = 1000

    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """View n mod M before iteration n times `edit_every`."""
        number, since = divmod(iteration, self.edit_every)
        return Edit(iteration, number, 0, (number % views,), False) if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """One view; all come once, in random order, before any comes again."""
        return [_view_in_turn(iteration, len(neighbors), self.seed)]


SCHEDULES: dict[str, type[ThesisSchedule] | type[Igs2gsSchedule] | type[In2nSchedule]] = {
    "thesis": ThesisSchedule,
    "igs2gs": Igs2gsSchedule,
    "in2n": In2nSchedule,
}


def make_schedule(stylization: Mapping[str, Any], seed: int = 0) -> Schedule:
    """The schedule of the config's section `stylization`; null takes the method's own numbers.

    Args:
        stylization: With `schedule`, `iterations` and `edit_every`.
        seed: The avatar's.

    Raises:
        InputError: there is no such schedule.
    """
    name = stylization["schedule"]
    if name not in SCHEDULES:
        raise InputError(f"stylization.schedule is {name!r}; choose one of {', '.join(SCHEDULES)}")
    given = {key: stylization[key] for key in ("iterations", "edit_every")}
    chosen = {key: value for key, value in given.items() if value is not None}
    return SCHEDULES[name](**chosen, seed=seed)


def all_edits(schedule: Schedule, views: int) -> Iterator[Edit]:
    """Everything that is edited in a run with so many views."""
    for iteration in range(0, schedule.iterations, schedule.edit_every):
        edit = schedule.edit_before(iteration, views)
        if edit is not None:
            yield edit


def later_passes(stylization: Mapping[str, Any]) -> list[int]:
    """The iterations at which all views are edited anew, those at 0 excluded; for figures."""
    if stylization["schedule"] == "in2n":
        return []
    schedule = make_schedule(stylization)
    return list(range(schedule.edit_every, schedule.iterations, schedule.edit_every))


def _view_in_turn(iteration: int, views: int, seed: int) -> int:
    turn, place = divmod(iteration, views)
    return _order(turn, views, seed)[place]


@lru_cache(maxsize=64)
def _order(turn: int, views: int, seed: int) -> list[int]:
    # A function of the turn alone, so that a resumed run goes on with the same views.
    generator = np.random.default_rng(derived_seed(seed, "order of views", turn))
    return generator.permutation(views).tolist()
