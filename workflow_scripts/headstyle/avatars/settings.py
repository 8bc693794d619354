"""The settings of the section `stylization`."""

from collections.abc import Mapping, Sequence
from typing import Any

from headstyle.avatars.schedules import available_schedules, make_schedule, schedule_paths
from headstyle.base.errors import InputError
from headstyle.base.settings import Setting, declared_settings, taken
from headstyle.editing.editors import available_editors, editor_kind

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


def check_stylization(stylization: Mapping[str, Any], editing: Mapping[str, Any]) -> None:
    """Check that the editor can do what the schedule asks of it.

    Args:
        stylization: The config's section `stylization`.
        editing: The config's section `editing`.

    Raises:
        InputError: the schedule's edits see others, and the editor takes no references.
    """
    schedule, kind = make_schedule(stylization), editor_kind(editing)
    if schedule.needs_references and not kind.takes_references:
        able = [n for n in available_editors() if editor_kind({"editor": n}).takes_references]
        raise InputError(
            f"stylization.schedule is {schedule.name}, whose edits take others as references, and "
            f"the editor {kind.name} takes none; set editing.editor to one of {', '.join(able)}, "
            "or stylization.schedule to sequential"
        )


def check_chains(
    prompts: Mapping[str, Mapping[str, str]], chosen: Sequence[str], table: str
) -> None:
    """Check that each prompt that starts from another one's avatar can do so.

    Args:
        prompts: The rows of the prompts table.
        chosen: The prompts of the study.
        table: Path of the table.

    Raises:
        InputError: a prompt starts from one that is not in the study, or from itself by a circle.
    """
    for prompt in chosen:
        way = [prompt]
        while after := prompts[way[-1]].get("after", ""):
            if after not in chosen:
                raise InputError(
                    f"{table}, prompt {way[-1]}: the column after names {after!r}, which "
                    "study.prompts lacks; add it there, or leave the cell empty"
                )
            if after in way:
                circle = " after ".join([*way, after])
                raise InputError(f"{table}: {circle} is a circle; leave one cell of after empty")
            way.append(after)


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
