"""The instructions' words: every operator in nine ways or more, some of them kept for evaluation.

A text names the person by a word of `PEOPLE` (`{them}`), whose possessive is `{their}`; `{color}`
is the color's name. The first text of a study operator is the study's own. Every turn of phrase
occurs with several operators; otherwise the editor takes the phrase itself for the edit: "Let them
become" once made a rabbit, whatever followed.
"""

import numpy as np
from headstyle.base.errors import InputError
from headstyle.capture.operators import COLORS, OPERATORS

PEOPLE: dict[str, str] = {
    "him": "his",
    "her": "her",
    "them": "their",
    "it": "its",
    "the head": "the head's",
    "this person": "this person's",
    "the person": "the person's",
}
"""Object form and possessive."""
STUDY_PEOPLE = ("him", "her", "them", "it", "the head")
HELD_OUT = 2
"""The last texts of each operator, this many, are never trained on."""

TEXTS: dict[str, tuple[str, ...]] = {
    "rabbit": (
        "Turn {them} into a rabbit",
        "Make {them} a rabbit",
        "Make {them} look like a rabbit",
        "Transform {them} into a rabbit",
        "Give {them} rabbit ears and fur",
        "Let {them} become a rabbit",
        "As a rabbit",
        "Change {them} into a fluffy rabbit",
        "Let {them} become a bunny",
        "Make a rabbit out of {them}",
        "Turn {their} head into the head of a rabbit",
        "Change {them} into a bunny",
    ),
    "elf": (
        "Turn {them} into a Tolkien elf",
        "Make {them} a Tolkien elf",
        "Make {them} look like an elf",
        "Transform {them} into an elf",
        "Give {them} the pointed ears of an elf",
        "As an elf from Tolkien",
        "Let {them} become elven",
        "Make a Tolkien elf out of {them}",
        "Turn {them} into an elf with pointed ears",
        "Change {them} into an elf of Middle-earth",
        "Give {them} elven ears and pale skin",
        "Let {them} become an elf",
        "Make an elf out of {them}",
    ),
    "stone": (
        "Turn {them} into a stone statue",
        "Make {them} a stone statue",
        "Make {them} look like a statue",
        "Transform {them} into a statue of stone",
        "Carve {them} out of stone",
        "As a stone bust",
        "Let {them} become stone",
        "Make a sculpture out of {them}",
        "Turn {them} into a statue",
        "Turn {them} into a gray stone sculpture",
        "Change {them} into stone",
        "Petrify {them}",
        "Let {them} become a statue",
        "Make a stone statue out of {them}",
    ),
    "red_hair_blue_shirt": (
        "Give {them} red hair and a blue shirt",
        "Make {their} hair red and {their} shirt blue",
        "Red hair and a blue shirt",
        "Give {them} a blue shirt and red hair",
        "Turn {their} hair red and {their} shirt blue",
        "Change {their} hair to red and {their} clothes to blue",
        "Dye {their} hair red and put {them} in a blue shirt",
        "Let {them} have red hair and wear a blue shirt",
        "Color {their} hair red and {their} shirt blue",
        "Let {them} wear a blue shirt and have red hair",
    ),
    "cowboy_hat": (
        "Give {them} a cowboy hat",
        "Put a cowboy hat on {them}",
        "Let {them} wear a cowboy hat",
        "Add a cowboy hat",
        "Make {them} wear a cowboy hat",
        "Put a cowboy hat on {their} head",
        "With a cowboy hat",
        "Dress {them} with a brown cowboy hat",
        "Set a cowboy hat on top of {their} head",
        "Have {them} put on a cowboy hat",
    ),
    "van_gogh": (
        "Make {them} look like a Van Gogh painting",
        "Turn {them} into a Van Gogh painting",
        "Paint {them} in the style of Van Gogh",
        "As a painting by Van Gogh",
        "Make {them} a painting by Vincent van Gogh",
        "Give {them} the brush strokes of Van Gogh",
        "Let {them} become a painting by Van Gogh",
        "Make a Van Gogh painting out of {them}",
        "Transform {them} into a Van Gogh portrait",
        "Turn {them} into an oil painting by Van Gogh",
        "In the style of Van Gogh",
        "Make {them} look as if Van Gogh had painted {them}",
    ),
    "plastic": (
        "Turn {them} into a 3D model",
        "Make {them} a 3D model",
        "Make {them} look like a 3D model",
        "Transform {them} into a 3D model",
        "As a plain 3D model",
        "Let {them} become a 3D model",
        "Make a 3D model out of {them}",
        "Turn {them} into a shaded plastic model",
        "Change {them} into a computer graphics model",
        "Render {them} as a 3D model",
        "Make {them} out of plain plastic",
        "Turn {them} into an untextured 3D model",
    ),
    "smile": (
        "Make {them} smile",
        "Let {them} smile",
        "Give {them} a smile",
        "Put a smile on {their} face",
        "Turn {their} mouth into a smile",
        "Make {them} look happy",
        "Add a smile",
        "Have {them} smile",
        "Make {them} grin",
        "Smiling",
        "Give {them} a happy face",
        "Let {them} grin",
    ),
    "hair_color": (
        "Give {them} {color} hair",
        "Make {their} hair {color}",
        "Turn {their} hair {color}",
        "Dye {their} hair {color}",
        "Change {their} hair to {color}",
        "With {color} hair",
        "Color {their} hair {color}",
        "Let {them} have {color} hair",
        "Change the color of {their} hair to {color}",
        "What if {their} hair was {color}",
    ),
    "shirt_color": (
        "Give {them} a {color} shirt",
        "Make {their} shirt {color}",
        "Turn {their} shirt {color}",
        "Let {them} wear a {color} shirt",
        "Change {their} clothes to {color}",
        "In a {color} shirt",
        "Color {their} shirt {color}",
        "Dress {them} in {color}",
        "Change the color of {their} shirt to {color}",
        "Put {them} in a {color} shirt",
    ),
    "skin_color": (
        "Give {them} {color} skin",
        "Make {their} skin {color}",
        "Turn {their} skin {color}",
        "Paint {their} face {color}",
        "Change {their} skin to {color}",
        "With {color} skin",
        "Color {their} skin {color}",
        "Let {them} have {color} skin",
        "Change the color of {their} skin to {color}",
        "Let {their} skin be {color}",
    ),
    "eye_color": (
        "Give {them} {color} eyes",
        "Make {their} eyes {color}",
        "Turn {their} eyes {color}",
        "Change {their} eyes to {color}",
        "With {color} eyes",
        "Color {their} eyes {color}",
        "Let {them} have {color} eyes",
        "Change the color of {their} eyes to {color}",
        "Let {their} eyes be {color}",
    ),
    "lip_color": (
        "Give {them} {color} lips",
        "Make {their} lips {color}",
        "Turn {their} lips {color}",
        "Paint {their} lips {color}",
        "Put {color} lipstick on {them}",
        "Change {their} lips to {color}",
        "With {color} lipstick",
        "Let {them} wear {color} lipstick",
        "Change the color of {their} lips to {color}",
        "Let {their} lips be {color}",
    ),
}


def texts_of(operator: str, held_out: bool = False) -> tuple[str, ...]:
    """The texts of an operator that are for training, or those held out for evaluation.

    Raises:
        InputError: the operator has no texts.
    """
    if operator not in TEXTS:
        raise InputError(
            f"the operator {operator!r} has no instruction; choose one of {', '.join(TEXTS)}"
        )
    texts = TEXTS[operator]
    return texts[-HELD_OUT:] if held_out else texts[:-HELD_OUT]


def fill_in(text: str, person: str, color: str | None = None) -> str:
    """A text with the words for the person and the color's name filled in."""
    filled = text.format(them=person, their=PEOPLE[person], color=color)
    return filled.replace("the head's head", "the head")


def draw_instruction(
    operator: str, color: str | None, generator: np.random.Generator, held_out: bool = False
) -> str:
    """One of the operator's texts about a random person.

    Args:
        operator: A key of `OPERATORS`.
        color: The color's name, for the operators that take one.
        generator: Draws text and person.
        held_out: Whether to take the texts that are never trained on.
    """
    texts = texts_of(operator, held_out)
    text = texts[int(generator.integers(len(texts)))]
    people = tuple(PEOPLE)
    return fill_in(text, people[int(generator.integers(len(people)))], color)


def all_instructions(held_out: bool = False) -> list[str]:
    """Every instruction there is, in a fixed order: each text with each person and each color.

    Args:
        held_out: Whether to list those that are never trained on.
    """
    listed: dict[str, None] = {}
    for operator, kind in OPERATORS.items():
        colors = tuple(COLORS) if kind.takes_color else (None,)
        for text in texts_of(operator, held_out):
            for person in PEOPLE:
                listed.update((fill_in(text, person, color), None) for color in colors)
    return list(listed)
