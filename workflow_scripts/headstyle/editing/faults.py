"""Edits that failed: black ones, those that are no numbers, and those that changed nothing.

A safety checker returns black pictures, half precision may overflow, and a model may return its
input. Training on such an edit would spoil an avatar without a word.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.base.seeds import derived_seed
from headstyle.editing.base import Editor, Instruction, View, one_each

logger = logging.getLogger("headstyle.editing")

BLACK = 2 / 255
"""A picture without a brighter channel than this is black."""
SAME = 1.01 / 255
"""Edits that differ nowhere by more than this from their photograph changed nothing."""


def fault_of(edited: RgbaImage, view: View) -> str | None:
    """What is wrong with an edit, in a few words; None if nothing is.

    Args:
        edited: The edited view.
        view: The view that was edited. Only pixels inside its mask count.
    """
    inside = view.photograph[..., 3] > 0
    colors, before = edited[inside, :3], view.photograph[inside, :3]
    if colors.size == 0:
        return None
    if not np.isfinite(colors).all():
        return "holds values that are no numbers"
    if colors.max() <= BLACK < before.max():
        return "is black"
    if np.abs(colors - before).max() <= SAME:
        return "changed nothing"
    return None


@dataclass
class CheckedEditor:
    """An editor whose edits are looked at, each view by itself."""

    inner: Editor
    """The editor."""
    reaction: str
    """Value of `editing.faulty_edits`: retry, stop or tell."""
    found: list[dict[str, Any]] = field(default_factory=list)
    """The faults so far: view, cycle, fault, and whether another seed helped."""

    @property
    def shares_batches(self) -> bool:
        """As the editor's."""
        return self.inner.shares_batches

    def edit(
        self, views: Sequence[View], instructions: Instruction | Sequence[Instruction]
    ) -> list[RgbaImage]:
        """The edited views, in the given order.

        Raises:
            InputError: a view is black or no number, and `reaction` does not accept it.
        """
        chosen = one_each(views, instructions)
        edited = self.inner.edit(views, chosen)
        faults = _faults(edited, views)
        if faults and self.reaction == "retry":
            again = sorted(faults)
            others = [_with_another_seed(chosen[i], views[i]) for i in again]
            images = self.inner.edit([views[i] for i in again], others)
            edited = list(edited)
            for i, image in zip(again, images, strict=True):
                edited[i] = image
        left = _faults(edited, views) if faults else {}
        for i, fault in faults.items():
            self._tell(views[i], chosen[i], fault, i not in left)
        unusable = [
            f"{views[i].name} of {chosen[i].prompt} {fault}"
            for i, fault in left.items()
            if "nothing" not in fault
        ]
        if unusable and self.reaction != "tell":
            raise InputError(_refusal(unusable, self.reaction == "retry"))
        return [np.nan_to_num(image) if i in left else image for i, image in enumerate(edited)]

    def expect(self, views: int) -> None:
        """Announce how many views will be edited."""
        self.inner.expect(views)

    def describe(self) -> dict[str, Any]:
        """Entry of the editor in `run.json`."""
        return self.inner.describe()

    def describe_machine(self) -> dict[str, Any]:
        """Entry of the editor in `timings.json`, with the faults if there were any."""
        told = {"faulty_edits": self.found} if self.found else {}
        return {**self.inner.describe_machine(), **told}

    def _tell(self, view: View, instruction: Instruction, fault: str, is_mended: bool) -> None:
        entry = {"view": view.name, "prompt": instruction.prompt, "cycle": instruction.cycle}
        self.found.append({**entry, "fault": fault, "mended": is_mended})
        end = "; another seed mended it" if is_mended else ""
        where = f"cycle {instruction.cycle} of {instruction.prompt}"
        logger.warning("the edit of view %s in %s %s%s", view.name, where, fault, end)


def _faults(edited: Sequence[RgbaImage], views: Sequence[View]) -> dict[int, str]:
    pairs = enumerate(zip(edited, views, strict=True))
    return {i: fault for i, (image, view) in pairs if (fault := fault_of(image, view))}


def _with_another_seed(instruction: Instruction, view: View) -> Instruction:
    return replace(instruction, seed=derived_seed(instruction.seed, "again", view.name))


def _refusal(unusable: Sequence[str], was_retried: bool) -> str:
    names = ", ".join(unusable)
    again = ", also with another seed" if was_retried else ""
    move = "" if was_retried else "set editing.faulty_edits to retry, or "
    return (
        f"edits failed{again}: {names}; {move}look for a safety checker in the model, set "
        "editing.dtype of the editor to float32, or accept them with editing.faulty_edits: tell"
    )
