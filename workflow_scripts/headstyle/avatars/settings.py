"""The settings of the section `stylization`."""

from collections.abc import Mapping
from typing import Any

from headstyle.avatars.schedules import available_schedules, schedule_paths
from headstyle.base.settings import Setting, declared_settings, taken

SETTINGS = (
    Setting(
        "iterations",
        5000,
        {"type": ["integer", "null"], "minimum": 1},
        meaning="Iterations of the training. null is the schedule's own number.",
    ),
    Setting(
        "edit_every",
        2500,
        {"type": ["integer", "null"], "minimum": 1},
        meaning="Iterations from one edit to the next. An edit takes all views; with in2n a single "
        "one. null is the schedule's own number.",
    ),
    Setting(
        "refine_every",
        100,
        {"type": "integer", "minimum": 0},
        meaning="Iterations from one refinement of the splats to the next. 0 keeps their number.",
    ),
    Setting(
        "lpips_weight",
        0,
        {"type": "number", "minimum": 0},
        meaning="Weight of LPIPS of random patches in the loss; 1 in Instruct-NeRF2NeRF, 0 for "
        "none.",
    ),
    Setting(
        "lpips_net",
        "alex",
        {"enum": ["alex", "squeeze", "vgg", "mini"]},
        meaning="Backbone of that LPIPS. mini is headstyle's own, which needs no download.",
    ),
    Setting(
        "lpips_weights",
        None,
        {"type": ["string", "null"]},
        meaning="File with the backbone's weights. null looks in torch's cache.",
    ),
    Setting(
        "avatars_per_job",
        16,
        {"type": "integer", "minimum": 1},
        meaning="Avatars of a subject that one job makes. It loads weights once for all of them.",
        machine=True,
    ),
)


def stylization_settings() -> tuple[Setting, ...]:
    """All settings of the section `stylization`, those of every schedule among them."""
    return (*_common_settings(), *declared_settings(schedule_paths().values()))


def avatar_stylization(stylization: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that shape an avatar: without other schedules' and the machine's."""
    own = declared_settings([schedule_paths()[stylization["schedule"]]])
    shaping = (setting for setting in (*_common_settings(), *own) if not setting.machine)
    return taken(stylization, shaping)


def _common_settings() -> tuple[Setting, ...]:
    chosen = Setting(
        "schedule",
        "thesis",
        {"enum": available_schedules()},
        meaning="When views are edited, and what an iteration trains on: a module of "
        "headstyle/avatars/schedules.",
    )
    return (chosen, *SETTINGS)
