"""Training pairs: a photograph of a head, the true edit of the same head, and its instruction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from headstyle.capture.operators import OPERATORS
from torch import Tensor
from torch.nn import functional

from headstyle_training.heads.bank import BankedEdit, HeadBank
from headstyle_training.heads.photographer import Pictures, photograph
from headstyle_training.heads.studio import draw_cameras, draw_lights, draw_tints
from headstyle_training.heads.wording import draw_instruction

HEADS_AT_ONCE = 32
"""Pairs rendered together; more take more memory and are no faster."""
ALBEDO_CHANGE, NORMAL_CHANGE, ALPHA_CHANGE = 0.03, 0.12, 0.06
"""Smallest differences of albedo, unit normal and opacity that count as an edit."""
CONCERNED_MARGIN_PX = 3
PORTRAIT_SHARE, PORTRAIT_ASPECT = 0.25, 2 / 3
"""This share of wider pictures shows only the middle, cut to the study's width over height."""


@dataclass(frozen=True)
class EditBatch:
    """B training pairs."""

    photographs: Tensor
    """sRGB with straight alpha in [0, 1], black where alpha is 0. Shape `(B, 4, H, W)`."""
    edited: Tensor
    """The true edit, by the same camera in the same light. Shape `(B, 4, H, W)`."""
    instructions: list[str]
    """Length B."""
    operators: Tensor
    """Places in `tuple(OPERATORS)`, long. Shape `(B,)`."""
    strengths: Tensor
    """Strengths of the edits; 1 is full. Shape `(B,)`."""
    concerned: Tensor
    """Pixels that the edit may change: albedo, shape or opacity differ there or within 3 px. Bool,
    `(B, H, W)`."""


class PairStream:
    """Endless pairs of one size; the same seed and the same bank give the same pairs."""

    def __init__(
        self,
        bank: HeadBank,
        height: int,
        width: int,
        seed: int,
        held_out: bool = False,
        full_strength: bool = False,
    ) -> None:
        """Pairs of `height` by `width` pixels.

        Args:
            bank: The heads; it may still be growing.
            height: Height of the images [px].
            width: Width of the images [px].
            seed: Decides every random draw.
            held_out: Whether the instructions are those kept for evaluation.
            full_strength: Whether to leave out edits of another strength than 1; instructions do
                not mention strengths.
        """
        self.bank = bank
        self.height, self.width = height, width
        self._held_out, self._full_strength = held_out, full_strength
        self._rng = np.random.default_rng(seed)

    def draw(self, count: int, operators: Sequence[str] | None = None) -> EditBatch:
        """Draw pairs.

        Args:
            count: How many.
            operators: Draw evenly from these. None draws from all; three quarters are the study's.

        Raises:
            InputError: an operator does not exist.
            RuntimeError: the bank has no edit by these operators yet, or making heads failed.
        """
        edits = self.bank.draw(count, self._rng, operators, self._full_strength)
        places = {name: place for place, name in enumerate(OPERATORS)}
        instructions = [
            draw_instruction(e.edit.operator, e.edit.color, self._rng, self._held_out)
            for e in edits
        ]
        parts = [
            self._photographed(edits[start : start + HEADS_AT_ONCE])
            for start in range(0, count, HEADS_AT_ONCE)
        ]
        photographs, edited, concerned = (torch.cat(t) for t in zip(*parts, strict=True))
        return EditBatch(
            photographs,
            edited,
            instructions,
            torch.tensor([places[e.edit.operator] for e in edits], device=photographs.device),
            torch.tensor([e.edit.strength for e in edits], device=photographs.device),
            concerned,
        )

    def _photographed(self, edits: list[BankedEdit]) -> tuple[Tensor, Tensor, Tensor]:
        """Photographs, true edits, and concerned pixels of a few pairs."""
        count, device = len(edits), self.bank.device
        size = (self.height, self.width)
        cameras = draw_cameras(count, *size, self._rng).to(device)
        lights = draw_lights(count, self._rng).to(device)
        free = np.array([edit.free_groups for edit in edits])
        tints = draw_tints(free, self._rng).to(device)
        frames = self._frames(count).to(device)
        before, after = (
            photograph(self.bank.fetch(versions), cameras, lights, tints, *size)
            for versions in ([e.original for e in edits], [e.edited for e in edits])
        )
        concerned = concerned_pixels(before, after)
        return before.rgba * frames, after.rgba * frames, concerned & (frames[:, 0] > 0)

    def _frames(self, count: int) -> Tensor:
        """1 in the part of the picture that is shown, 0 beside it. Shape `(B, 1, H, W)`."""
        portrait = self._rng.random(count) < PORTRAIT_SHARE
        middle = abs(np.arange(self.width) + 0.5 - self.width / 2)
        inside = middle <= self.height * PORTRAIT_ASPECT / 2
        shown = np.where(portrait[:, None], inside, True)[:, None, None]
        return torch.from_numpy(shown.astype(np.float32)).expand(-1, -1, self.height, -1)


def concerned_pixels(before: Pictures, after: Pictures) -> Tensor:
    """Pixels where albedo, normal or opacity differ, and those close to them. Bool, `(B, H, W)`."""
    limits = before.traits.new_tensor([*3 * [ALBEDO_CHANGE], *3 * [NORMAL_CHANGE], ALPHA_CHANGE])
    difference = (before.traits - after.traits).abs() / limits[:, None, None]
    changed = (difference.amax(dim=1, keepdim=True) > 1).float()
    reach = 2 * CONCERNED_MARGIN_PX + 1
    return functional.max_pool2d(changed, reach, 1, CONCERNED_MARGIN_PX)[:, 0] > 0
