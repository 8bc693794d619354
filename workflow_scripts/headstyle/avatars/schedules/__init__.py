"""When views are edited and what an iteration trains on: the schedules, found by their names.

To add a schedule, write `headstyle/avatars/schedules/NAME.py` with a subclass of `Schedule` called
NAME, and set `stylization.schedule: NAME` in the config. Declare its settings in the module as
`NAME.field`; in the config they stand under `stylization.NAME`.
"""

import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstyle.avatars.schedules.base import Edit, Schedule, all_edits
from headstyle.base.errors import InputError
from headstyle.base.settings import class_named

__all__ = [
    "Edit",
    "Schedule",
    "all_edits",
    "available_schedules",
    "later_passes",
    "make_schedule",
    "schedule_paths",
]

MANY_VIEWS = 1000


def available_schedules() -> list[str]:
    """Names of all schedules, in alphabetical order."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name != "base")


def schedule_paths() -> dict[str, Path]:
    """The module of each schedule, by its name."""
    return {name: Path(__path__[0], f"{name}.py") for name in available_schedules()}


def make_schedule(stylization: Mapping[str, Any], seed: int = 0) -> Schedule:
    """The schedule of the config's section `stylization`; null takes the method's own numbers.

    Args:
        stylization: With `schedule`, `iterations`, `edit_every` and the schedule's own settings.
        seed: The avatar's.

    Raises:
        InputError: there is no such schedule.
    """
    name = stylization["schedule"]
    if name not in available_schedules():
        names = ", ".join(available_schedules())
        raise InputError(f"stylization.schedule is {name!r}; choose one of {names}")
    # mypy refuses an abstract class, as it could be instantiated. Only its subclasses are.
    found = class_named(name, __name__, Schedule)  # type: ignore[type-abstract]
    return found.from_config(stylization, seed)


def later_passes(stylization: Mapping[str, Any]) -> list[int]:
    """The iterations at which all views are edited anew, those at 0 excluded; for figures."""
    edits = all_edits(make_schedule(stylization), MANY_VIEWS)
    return [e.iteration for e in edits if e.iteration > 0 and len(e.views) == MANY_VIEWS]
