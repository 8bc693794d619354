"""The interface of all editors: many views and one instruction in, the edited views out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from headstyle.base.images import RgbaImage


@dataclass(frozen=True)
class View:
    """One view to edit: its photograph, which conditions the edit, and the avatar's render."""

    name: str
    """Name of the view."""
    photograph: RgbaImage
    """sRGB with straight alpha, in [0, 1]. The alpha is the view's mask. Shape `(H, W, 4)`."""
    render: RgbaImage
    """The avatar in this view, straight alpha. Shape `(H, W, 4)`."""
    references: tuple[RgbaImage, ...] = ()
    """Further pictures that the edit takes as examples, such as edited views, straight alpha."""

    def __post_init__(self) -> None:
        if self.photograph.ndim != 3 or self.photograph.shape[2] != 4:
            raise ValueError(f"{self.name}: the photograph is {self.photograph.shape}, not RGBA")
        if self.render.shape != self.photograph.shape:
            raise ValueError(
                f"{self.name}: the render is {self.render.shape}, "
                f"the photograph {self.photograph.shape}"
            )


@dataclass(frozen=True)
class Instruction:
    """The prompt and the settings of one edit."""

    prompt: str
    """Identifier of the prompt, as in the prompts table."""
    text: str
    """The instruction to the editor, with the pronoun inserted. It may be any Unicode text."""
    text_guidance: float
    """Guidance scale on the text, s_P."""
    image_guidance: float
    """Guidance scale on the photograph, s_I."""
    noise_level: float
    """Noise level at the start of the edit, in (0, 1]; 1 is pure noise."""
    cycle: int
    """Number of the editing cycle: 0 for the first edit of all views, 1 for the second, ..."""
    seed: int
    """Seed of all random numbers in the edit."""


class Editor(Protocol):
    """Edits many views, of one avatar or of several."""

    @property
    def shares_batches(self) -> bool:
        """Whether editing several avatars in one call saves time.

        The results are equal except for rounding. It is False if each view's bytes must not depend
        on the other views in the call.
        """
        ...

    def edit(
        self, views: Sequence[View], instructions: Instruction | Sequence[Instruction]
    ) -> list[RgbaImage]:
        """Edit views. Returns them in the given order, each with its photograph's size and alpha.

        The result of a view does not depend on the other views of the call.

        Args:
            views: The views.
            instructions: One instruction for all views, or one for each view.
        """
        ...

    def expect(self, views: int) -> None:
        """Announce how many views will be edited. The editor can then prepare, such as compile."""
        ...

    def describe(self) -> dict[str, Any]:
        """Entry of the editor in `run.json`: its model, revision and settings."""
        ...

    def describe_machine(self) -> dict[str, Any]:
        """Entry of the editor in `timings.json`: how it used the machine."""
        ...


def one_each(
    views: Sequence[View], instructions: Instruction | Sequence[Instruction]
) -> list[Instruction]:
    """One instruction per view.

    Raises:
        ValueError: there are more or fewer instructions than views.
    """
    if isinstance(instructions, Instruction):
        return [instructions] * len(views)
    if len(instructions) != len(views):
        raise ValueError(f"{len(instructions)} instructions for {len(views)} views")
    return list(instructions)


def with_alpha(colors: np.ndarray, photograph: RgbaImage) -> RgbaImage:
    """Colors `(H, W, 3)` clipped to [0, 1], with the photograph's alpha."""
    clipped = np.clip(colors, 0, 1).astype(np.float32)
    return np.concatenate([clipped, photograph[..., 3:]], axis=2)
