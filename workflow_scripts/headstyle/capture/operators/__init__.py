"""True edits: each operator changes the head in three dimensions, so all its photographs agree.

`OPERATORS` holds the edits of the study's eight prompts (`STUDY_OPERATORS`) and simple recolorings.
A recoloring takes the name of a color from `COLORS`. `edit_surface` applies an operator.
"""

from collections.abc import Mapping
from types import MappingProxyType

from headstyle.base.errors import InputError
from headstyle.capture.operators.base import COLORS, Edit, Operator
from headstyle.capture.operators.creatures import elf, rabbit
from headstyle.capture.operators.expressions import smile
from headstyle.capture.operators.hats import cowboy_hat
from headstyle.capture.operators.materials import plastic, stone, van_gogh
from headstyle.capture.operators.recoloring import (
    eye_color,
    hair_color,
    lip_color,
    red_hair_blue_shirt,
    shirt_color,
    skin_color,
)
from headstyle.capture.surface import HeadSurface

__all__ = ["COLORS", "OPERATORS", "STUDY_OPERATORS", "Edit", "Operator", "edit_surface"]

OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "rabbit": Operator(rabbit),
        "elf": Operator(elf),
        "stone": Operator(stone),
        "red_hair_blue_shirt": Operator(red_hair_blue_shirt),
        "cowboy_hat": Operator(cowboy_hat),
        "van_gogh": Operator(van_gogh),
        "plastic": Operator(plastic),
        "smile": Operator(smile),
        "hair_color": Operator(hair_color, takes_color=True),
        "shirt_color": Operator(shirt_color, takes_color=True),
        "skin_color": Operator(skin_color, takes_color=True),
        "eye_color": Operator(eye_color, takes_color=True),
        "lip_color": Operator(lip_color, takes_color=True),
    }
)
STUDY_OPERATORS: Mapping[str, str] = MappingProxyType(
    {
        "P1": "rabbit",
        "P2": "elf",
        "P3": "stone",
        "P4": "red_hair_blue_shirt",
        "P5": "cowboy_hat",
        "P6": "van_gogh",
        "P7": "plastic",
        "P8": "smile",
    }
)


def edit_surface(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """The head after a true edit. A strength of 0 returns the head itself.

    An edit moves and repaints vertices and appends new ones. Old vertices keep their places in the
    arrays. Where an edit hides a part of the head, only its faces are removed.

    Raises:
        InputError: the operator or its color is unknown, or the strength is negative.
    """
    operator = OPERATORS.get(edit.operator)
    if operator is None:
        raise InputError(
            f"edit operator {edit.operator!r} is unknown; choose one of {', '.join(OPERATORS)}"
        )
    if not edit.strength >= 0:
        raise InputError(
            f"the strength of edit {edit.operator} is {edit.strength}; give 0 for none, 1 for all"
        )
    if operator.takes_color and edit.color not in COLORS:
        raise InputError(
            f"the color of edit {edit.operator} is {edit.color!r}; "
            f"choose one of {', '.join(COLORS)}"
        )
    if not operator.takes_color and edit.color is not None:
        raise InputError(f"edit {edit.operator} takes no color; leave {edit.color!r} out")
    if edit.strength == 0:
        return surface
    return operator.apply(surface, edit)
