"""What every schedule says: when views are edited, and what an iteration trains on."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

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
    references: tuple[int, ...] = ()
    """Indices of views that are edited already, whose edits these edits see."""
    warped: bool = False
    """Whether only the reference that looks most alike is seen, warped into the view."""


@dataclass(frozen=True)
class Schedule(ABC):
    """The part of the loop that differs between the methods. The config lists it by its name.

    A schedule is a frozen dataclass that gives `iterations` and `edit_every` their defaults. It
    declares settings of its own as `SETTINGS` of its module (see `headstyle.base.settings`), named
    `NAME.field`: each is the value of that field.
    """

    name: ClassVar[str]
    """The module's name."""
    checkpoint_every: ClassVar[int] = 0
    """Iterations between checkpoints, which lie before edits; 0 for one before every edit."""
    needs_references: ClassVar[bool] = False
    """Whether the editor must take references."""

    iterations: int
    """Of the training."""
    edit_every: int
    """Iterations from one edit to the next."""
    seed: int = 0
    """The avatar's seed; the order of the views comes from it."""

    @classmethod
    def from_config(cls, stylization: Mapping[str, Any], seed: int) -> Self:
        """The schedule of the config's section `stylization`; null takes the method's own numbers.

        Args:
            stylization: With `iterations` and `edit_every`, and the schedule's own settings.
            seed: The avatar's.
        """
        given = {key: stylization[key] for key in ("iterations", "edit_every")}
        chosen = {key: value for key, value in given.items() if value is not None}
        return cls(**chosen, **stylization.get(cls.name, {}), seed=seed)

    @abstractmethod
    def edit_before(self, iteration: int, views: int) -> Edit | None:
        """What is edited before an iteration, of so many views; None for nothing.

        All edits lie before iterations that are multiples of `edit_every`.
        """

    @abstractmethod
    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """The views whose losses an iteration averages.

        Args:
            iteration: Iterations done.
            neighbors: For each view the indices of its neighbors, itself excluded.
        """


Kind = TypeVar("Kind", bound=Schedule)


def edited_once(kind: type[Kind], stylization: Mapping[str, Any], seed: int) -> Kind:
    """A schedule that edits each view a single time and reads no `edit_every`.

    Args:
        kind: The schedule's class.
        stylization: The config's section `stylization`.
        seed: The avatar's.
    """
    own = stylization.get(kind.name, {})
    iterations = stylization["iterations"]
    return kind(**own, seed=seed, **({} if iterations is None else {"iterations": iterations}))


def all_edits(schedule: Schedule, views: int) -> Iterator[Edit]:
    """Everything that is edited in a run with so many views."""
    for iteration in range(0, schedule.iterations, schedule.edit_every):
        edit = schedule.edit_before(iteration, views)
        if edit is not None:
            yield edit


def view_in_turn(iteration: int, views: int, seed: int) -> int:
    """The view of an iteration: all come once, in random order, before any comes again."""
    turn, place = divmod(iteration, views)
    return _order(turn, views, seed)[place]


@lru_cache(maxsize=64)
def _order(turn: int, views: int, seed: int) -> list[int]:
    # A function of the turn alone, so that a resumed run goes on with the same views.
    generator = np.random.default_rng(derived_seed(seed, "order of views", turn))
    order: list[int] = generator.permutation(views).tolist()
    return order
