"""How good the mini perceptual metric is, beside RMSE and SSIM, on heads it was not trained on."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from headstyle.base.files import whole_file
from headstyle.consistency.metrics.ssim import masked_ssim
from PIL import Image as PillowImage
from PIL import ImageDraw
from scipy.stats import rankdata
from torch import Tensor, nn

from headstyle_training.heads.bank import HeadBank
from headstyle_training.perceptual.distortions import (
    HELD_OUT,
    TRAINED,
    Distortion,
    distort,
    disturb,
)
from headstyle_training.perceptual.judgements import (
    EDIT_LEVEL,
    LEAST_CHANGE,
    LEAST_EDIT,
    wrong_edit,
)
from headstyle_training.perceptual.pictures import HeadGroups, draw_groups
from headstyle_training.pictures.image_effects import Chance, resample, wide

Distance = Callable[[Tensor, Tensor], Tensor]
"""From two batches `(B, 3, H, W)` in [0, 1] to distances `(B,)`."""

TASKS = ("same_type_trained", "same_type_held_out", "across_trained", "across_held_out", "edits")
LEAST_DIFFERENCE, LEAST_DIFFERENCE_ACROSS = 0.15, 0.3
"""Smallest difference of the levels of two alternatives, of one type and of two."""
LEVELS = 9
SHIFT_PX = 1.0
PICTURES_AT_ONCE = 32


@dataclass(frozen=True)
class Trial:
    """References with an alternative that is closer and one that is further."""

    reference: Tensor
    """sRGB in [0, 1]. Shape `(N, 3, H, W)`, as the others."""
    closer: Tensor
    further: Tensor
    types: Tensor
    """Place of the closer alternative's distortion in its table. Shape `(N,)`."""


def distances(network: nn.Module) -> dict[str, Distance]:
    """The mini metric and the two plain ones."""

    def lpips_mini(first: Tensor, second: Tensor) -> Tensor:
        return network(first * 2 - 1, second * 2 - 1).flatten()

    return {"lpips_mini": lpips_mini, "rmse": _rmse, "ssim": _ssim}


@torch.inference_mode()
def evaluate(
    network: nn.Module, bank: HeadBank, count: int, side_px: int, seed: int, sheet: Path
) -> dict[str, Any]:
    """All scores, and a contact sheet of some judgements.

    Args:
        network: A network of the lpips package.
        bank: Heads that were not trained on, all there.
        count: Judgements of each task.
        side_px: Height and width of the pictures, a multiple of 8.
        seed: Decides every random draw.
        sheet: The contact sheet's file.
    """
    network = network.to(bank.device).eval()
    groups = unseen_groups(bank, count, side_px, seed)
    measures = distances(network)
    generator = torch.Generator(bank.device).manual_seed(seed)
    kinds = torch.Generator().manual_seed(seed)
    accuracy, shown = {}, []
    by_type: dict[str, dict[str, float]] = {}
    for task in TASKS:
        trial = draw_trial(task, groups, generator, kinds)
        right = {name: judge(distance, trial) for name, distance in measures.items()}
        accuracy[task] = {name: float(r.double().mean()) for name, r in right.items()}
        accuracy[task]["judgements"] = len(trial.reference)
        if task.startswith("same_type"):
            by_type |= _by_type(trial.types, right, HELD_OUT if "held" in task else TRAINED)
        shown.append((task, trial, right))
    _write_sheet(sheet, shown)
    return {
        "accuracy": accuracy,
        "accuracy_by_type": by_type,
        "monotone": monotone(measures, groups, generator),
        "shift": shift_over_noise(measures, groups, generator),
    }


def unseen_groups(bank: HeadBank, count: int, side_px: int, seed: int) -> HeadGroups:
    """Groups of pictures to judge."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator(bank.device).manual_seed(seed)
    parts = [
        draw_groups(bank, min(PICTURES_AT_ONCE, count - start), side_px, rng, generator)
        for start in range(0, count, PICTURES_AT_ONCE)
    ]
    return HeadGroups(
        torch.cat([part.pictures for part in parts]), torch.cat([part.operators for part in parts])
    )


def draw_trial(
    task: str, groups: HeadGroups, generator: torch.Generator, kinds: torch.Generator
) -> Trial:
    """The judgements of one of the `TASKS`; those in which nothing shows are left out."""
    count = len(groups.operators)
    chance = Chance(count, generator)
    photograph, edit, other = groups.pictures.unbind(1)
    distortions = TRAINED if task.endswith("_trained") else HELD_OUT
    types = torch.randint(len(distortions), (2, count), generator=kinds)
    if task == "edits":
        low = EDIT_LEVEL * chance.uniform(0, 1)
        closer = distort(edit, types[0], low, chance, distortions)
        further = wrong_edit(photograph, edit, other, chance)
        kept = (further - edit).abs().mean(dim=(1, 2, 3)) > LEAST_EDIT
    else:
        within = task.startswith("same_type")
        step = torch.randint(1, len(distortions), (count,), generator=kinds)
        types[1] = types[0] if within else (types[0] + step) % len(distortions)
        least = LEAST_DIFFERENCE if within else LEAST_DIFFERENCE_ACROSS
        low = chance.uniform(0, 1 - least)
        high = low + least + chance.uniform(0, 1) * (1 - least - low)
        closer = distort(edit, types[0], low, chance, distortions)
        further = distort(edit, types[1], high, chance, distortions)
        kept = (further - edit).abs().mean(dim=(1, 2, 3)) > LEAST_CHANGE
    closer, further = disturb(closer, chance), disturb(further, chance)
    return Trial(edit[kept], closer[kept], further[kept], types[0][kept.cpu()])


def judge(distance: Distance, trial: Trial) -> Tensor:
    """Whether the distance to the closer alternative is the smaller one. Bool, `(N,)`."""
    found = []
    for rows in torch.arange(len(trial.reference)).split(PICTURES_AT_ONCE):
        reference = trial.reference[rows]
        found.append(
            distance(reference, trial.closer[rows]) < distance(reference, trial.further[rows])
        )
    return torch.cat(found)


def monotone(
    measures: Mapping[str, Distance], groups: HeadGroups, generator: torch.Generator
) -> dict[str, dict[str, float]]:
    """Mean rank correlation of distance and level, one picture at rising levels, by type."""
    edits = groups.pictures[:PICTURES_AT_ONCE, 1]
    count = len(edits)
    scores: dict[str, dict[str, float]] = {}
    for kinds in (TRAINED, HELD_OUT):
        for place, name in enumerate(kinds):
            values: dict[str, list[Tensor]] = {measure: [] for measure in measures}
            for k in range(LEVELS):
                level = torch.full((count,), k / (LEVELS - 1), device=edits.device)
                chance = Chance(count, generator)
                which = torch.full((count,), place)
                spoiled = disturb(distort(edits, which, level, chance, kinds), chance)
                for measure, distance in measures.items():
                    values[measure].append(distance(edits, spoiled))
            scores[name] = {
                measure: _rank_correlation(torch.stack(found)) for measure, found in values.items()
            }
    return scores


def shift_over_noise(
    measures: Mapping[str, Distance], groups: HeadGroups, generator: torch.Generator
) -> dict[str, float]:
    """Median of the distance after a shift by a pixel over that after noise of the same RMSE."""
    edits = groups.pictures[: 2 * PICTURES_AT_ONCE, 1]
    chance = Chance(len(edits), generator)
    angle = chance.uniform(0, 2 * math.pi)
    shift = SHIFT_PX * torch.stack([angle.cos(), angle.sin()], dim=1)
    shifted = resample(edits, shift[:, None, None]).clamp(0, 1)
    noise = chance.normal(*edits.shape[1:])
    wanted = _rmse(edits, shifted)
    amount = wanted.clone()
    for _ in range(6):
        # Clipping takes some of the noise away: add until the RMSE is the same.
        noisy = (edits + wide(amount) * noise).clamp(0, 1)
        amount = amount * wanted / _rmse(edits, noisy).clamp_min(1e-6)
    return {
        name: float((distance(edits, shifted) / distance(edits, noisy).clamp_min(1e-9)).median())
        for name, distance in measures.items()
    }


def _rmse(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square().mean(dim=(1, 2, 3)).sqrt()


def _ssim(first: Tensor, second: Tensor) -> Tensor:
    """1 - SSIM."""
    inside = torch.ones_like(first[:, 0], dtype=torch.bool)
    similarity, _ = masked_ssim(first.movedim(1, 3), second.movedim(1, 3), inside)
    return 1 - similarity.mean(dim=(1, 2))


def _by_type(
    types: Tensor, right: Mapping[str, Tensor], kinds: Mapping[str, Distortion]
) -> dict[str, dict[str, float]]:
    return {
        name: {
            measure: float(found.cpu()[types == place].double().mean())
            for measure, found in right.items()
        }
        for place, name in enumerate(kinds)
        if (types == place).any()
    }


def _rank_correlation(values: Tensor) -> float:
    """Mean over the columns of Spearman's correlation with the row's number."""
    ranks = rankdata(values.double().cpu().numpy(), axis=0)
    ranks -= ranks.mean(axis=0)
    order = np.arange(len(ranks)) - (len(ranks) - 1) / 2
    scale = np.sqrt((ranks**2).sum(axis=0) * (order**2).sum())
    # Where all are equal (gray pictures cannot fade) there is no order.
    kept = scale > 0
    return float((order @ ranks[:, kept] / scale[kept]).mean()) if kept.any() else 0.0


def _write_sheet(
    path: Path, shown: list[tuple[str, Trial, dict[str, Tensor]]], columns: int = 4
) -> None:
    """Reference, closer and further alternative, and which metrics are right."""
    rows = []
    for task, trial, right in shown:
        tiles = []
        for i in range(min(columns, len(trial.reference))):
            images = (trial.reference[i], trial.closer[i], trial.further[i])
            row = torch.cat(images, dim=2).clamp(0, 1).mul(255).round().byte()
            picture = PillowImage.fromarray(row.permute(1, 2, 0).cpu().numpy())
            tile = PillowImage.new("RGB", (picture.width + 6, picture.height + 16), "white")
            tile.paste(picture, (0, 14))
            verdict = ", ".join(f"{n} {'right' if r[i] else 'wrong'}" for n, r in right.items())
            ImageDraw.Draw(tile).text((2, 1), f"{task}: {verdict}", fill="black")
            tiles.append(np.asarray(tile))
        while len(tiles) < columns:
            tiles.append(np.full_like(tiles[0], 255))
        rows.append(np.concatenate(tiles, axis=1))
    with whole_file(path) as partial:
        PillowImage.fromarray(np.concatenate(rows)).save(partial, quality=85)
