"""Heads for the mini perceptual metric: a photograph and two true edits, same camera and light."""

from dataclasses import dataclass

import numpy as np
import torch
from headstyle.capture.operators import OPERATORS
from torch import Tensor

from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.photographer import photograph
from headstyle_training.heads.studio import draw_cameras, draw_lights, draw_tints
from headstyle_training.pictures.backgrounds import random_backgrounds
from headstyle_training.pictures.image_effects import Chance, wide

BLACK_SHARE, FLAT_SHARE = 0.5, 0.25
"""Shares of pictures before black, as in the metric, and before one color."""
MASKED_SHARE = 0.4
"""Share of pictures that are compared in some regions only, black outside as in the metric."""


@dataclass(frozen=True)
class HeadGroups:
    """N heads, each three times."""

    pictures: Tensor
    """Photograph, an edit, and another edit, sRGB in [0, 1]. Shape `(N, 3, 3, H, W)`."""
    operators: Tensor
    """Place of the first edit in `tuple(OPERATORS)`, long. Shape `(N,)`."""


class GroupPool:
    """The latest groups, held on the device as bytes."""

    def __init__(self, bank: HeadBank, side_px: int, capacity: int, seed: int) -> None:
        """An empty pool of at most `capacity` groups."""
        self._bank, self._side_px = bank, side_px
        self._rng = np.random.default_rng(seed)
        self._generator = torch.Generator(bank.device).manual_seed(seed)
        size = (capacity, 3, 3, side_px, side_px)
        self._pictures = torch.zeros(size, dtype=torch.uint8, device=bank.device)
        self._operators = torch.zeros(capacity, dtype=torch.long, device=bank.device)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._operators))

    def add(self, count: int) -> None:
        """Photograph some more, in the place of the oldest."""
        new = draw_groups(self._bank, count, self._side_px, self._rng, self._generator)
        device = self._operators.device
        place = torch.arange(self._added, self._added + count, device=device)
        place = place % len(self._operators)
        self._pictures[place] = new.pictures.mul(255).round().byte()
        self._operators[place] = new.operators
        self._added += count

    def draw(self, count: int, crop_px: int, generator: torch.Generator) -> HeadGroups:
        """Random groups, mirrored or not, cropped to squares that are the same in a group."""
        device = self._operators.device
        chance = Chance(count, generator)
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)
        room = self._side_px - crop_px + 1
        corner = (chance.uniform(0, 1, 2) * room).long().clamp_max(room - 1)
        rows, columns = (c[:, None] + torch.arange(crop_px, device=device) for c in corner.T)
        mirrored = chance.happens(0.5)[:, None] > 0
        columns = torch.where(mirrored, columns.flip(1), columns)
        # Advanced indices around slices: the batch and the places come first.
        pictures = self._pictures[
            chosen[:, None, None], :, :, rows[:, :, None], columns[:, None, :]
        ]
        return HeadGroups(pictures.permute(0, 3, 4, 1, 2).float() / 255, self._operators[chosen])


def draw_groups(
    bank: HeadBank, count: int, side_px: int, rng: np.random.Generator, generator: torch.Generator
) -> HeadGroups:
    """Photograph heads and two edits of each before one background."""
    device = bank.device
    firsts = bank.draw(count, rng)
    seconds = []
    for first in firsts:
        others = [e for e in bank.siblings(first) if e.edit.operator != first.edit.operator]
        seconds.append(others[int(rng.integers(len(others)))])
    cameras = draw_cameras(count, side_px, side_px, rng).to(device)
    lights = draw_lights(count, rng).to(device)
    free = np.array([a.free_groups for a in firsts]) & np.array([b.free_groups for b in seconds])
    tints = draw_tints(free, rng).to(device)
    backgrounds = _backgrounds(count, side_px, generator, device)
    shown = []
    for versions in (
        [e.original for e in firsts],
        [e.edited for e in firsts],
        [e.edited for e in seconds],
    ):
        rgba = photograph(bank.fetch(versions), cameras, lights, tints, side_px, side_px).rgba
        shown.append(rgba[:, :3] * rgba[:, 3:] + backgrounds * (1 - rgba[:, 3:]))
    places = {name: place for place, name in enumerate(OPERATORS)}
    operators = torch.tensor([places[e.edit.operator] for e in firsts], device=device)
    return HeadGroups(torch.stack(shown, dim=1).clamp(0, 1), operators)


def draw_masks(count: int, side_px: int, generator: torch.Generator) -> Tensor:
    """1 where pictures are compared, else 0: everywhere, or in blobs. `(B, 1, H, W)`."""
    chance = Chance(count, generator)
    blobs = chance.clouds(5, side_px, side_px) + 0.5 * chance.clouds(16, side_px, side_px)
    inside = (blobs > wide(chance.uniform(-0.9, 0.1))).float()
    return torch.where(wide(chance.happens(MASKED_SHARE)) > 0, inside, torch.ones_like(inside))


def _backgrounds(
    count: int, side_px: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    chance = Chance(count, generator)
    kind = wide(chance.uniform(0, 1))
    flat = chance.uniform(0, 1, 3, 1, 1).expand(-1, 3, side_px, side_px)
    others = random_backgrounds(count, side_px, side_px, generator, device)
    behind = torch.where(kind < BLACK_SHARE + FLAT_SHARE, flat, others)
    return torch.where(kind < BLACK_SHARE, torch.zeros_like(behind), behind)
