"""The judgements that the mini perceptual metric learns from, and its loss.

A judgement has two alternatives, as in Zhang et al. 2018: which picture is closer to a reference?
No person is asked, because the answer is known: the picture with less distortion, or the picture
with the same edit. The backbone also names the edit and the distortions that it sees, which gives
it features worth comparing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from headstyle_training.perceptual.distortions import TRAINED, distort, disturb
from headstyle_training.perceptual.model import PerceptualTrainer
from headstyle_training.perceptual.pictures import HeadGroups, draw_masks
from headstyle_training.pictures.image_effects import Chance, wide

SAME_TYPE_SHARE, BOTH_SHARE, EDIT_SHARE = 0.4, 0.25, 0.3
"""Shares of judgements: one type of distortion; a second one on top; which edit it is."""
JUDGEMENT_SLOPE, SAME_TYPE_SLOPE = 8.0, 25.0
"""How sure the answer is: log odds per difference of levels, across types and within one."""
SCALE = 0.5
"""The distance at level 1."""
SCALE_WEIGHT, OPERATOR_WEIGHT, DISTORTION_WEIGHT = 2.0, 0.1, 0.1
EDIT_LEVEL = 0.25
"""The true edit is spoiled up to this level."""
LEAST_EDIT = 0.012
"""Edits that change the mean color difference less than this are not judged."""
LEAST_CHANGE = 0.002
"""Distortions that change less do not show: colors of a gray picture cannot fade."""
PAIR_EPSILON = 1e-4


@dataclass(frozen=True)
class Judgements:
    """N references with two alternatives each."""

    reference: Tensor
    """Shape `(N, 3, H, W)`, sRGB in [0, 1], as both alternatives."""
    first: Tensor
    second: Tensor
    answer: Tensor
    """The probability that the first is closer. Shape `(N,)`."""
    levels: Tensor
    """Levels of both alternatives, NaN where there is none. Shape `(2, N)`."""
    types: Tensor
    """Places in `TRAINED` of both alternatives, their number for edits. Shape `(2, N)`."""
    counts: Tensor
    """False where the alternatives show no difference to judge. Shape `(N,)`."""
    operators: Tensor
    """Places of the references' edits in `tuple(OPERATORS)`. Shape `(N,)`."""


def draw_judgements(
    groups: HeadGroups, generator: torch.Generator, kinds: torch.Generator
) -> Judgements:
    """References and alternatives; `kinds`, on the CPU, draws the types of the distortions."""
    count, device = len(groups.operators), groups.operators.device
    chance = Chance(count, generator)
    photograph, edit, other = groups.pictures.unbind(1)
    types = torch.randint(len(TRAINED), (2, count), generator=kinds)
    same = torch.rand(count, generator=kinds) < SAME_TYPE_SHARE
    types[1] = torch.where(same, types[0], types[1])
    levels = chance.uniform(0, 1)
    levels = torch.stack([levels, (levels + chance.uniform(-0.6, 0.6)).clamp(0, 1)])
    is_edit = chance.happens(EDIT_SHARE) > 0
    levels[0] = torch.where(is_edit, EDIT_LEVEL * levels[0], levels[0])
    first = distort(edit, types[0], levels[0], chance, TRAINED)
    second = distort(edit, types[1], levels[1], chance, TRAINED)
    hidden = torch.stack([_hidden(edit, first, levels[0]), _hidden(edit, second, levels[1])])
    # A second distortion on top of the first, in both.
    more = torch.randint(len(TRAINED), (count,), generator=kinds)
    both = (chance.happens(BOTH_SHARE) > 0) & ~is_edit
    added = chance.uniform(0, 0.6)
    first = torch.where(wide(both), distort(first, more, added, chance, TRAINED), first)
    second = torch.where(wide(both), distort(second, more, added, chance, TRAINED), second)
    wrong = wrong_edit(photograph, edit, other, chance)
    second = torch.where(wide(is_edit), wrong, second)
    slope = torch.where(same.to(device), SAME_TYPE_SLOPE, JUDGEMENT_SLOPE)
    answer = torch.sigmoid(slope * (levels[1] - levels[0]))
    masks = draw_masks(count, edit.shape[-1], generator)
    different = (wrong - edit).abs().mean(dim=1, keepdim=True)
    # Where the mask hides the difference there is nothing to judge.
    visible = (different * masks).sum(dim=(1, 2, 3)) / masks.sum(dim=(1, 2, 3)).clamp_min(1)
    levels = torch.where(hidden, torch.nan, levels)
    seen = torch.full((2, count), len(TRAINED), device=device)
    seen[0] = types[0].to(device)
    seen[1] = torch.where(is_edit, seen[1], types[1].to(device))
    return Judgements(
        edit * masks,
        disturb(first, chance) * masks,
        disturb(second, chance) * masks,
        torch.where(is_edit, torch.ones_like(answer), answer),
        torch.stack(
            [
                torch.where(both, torch.nan, levels[0]),
                torch.where(both | is_edit, torch.nan, levels[1]),
            ]
        ),
        seen,
        torch.where(is_edit, visible > LEAST_EDIT, ~hidden.any(dim=0)),
        groups.operators,
    )


def judgement_loss(trainer: PerceptualTrainer, judged: Judgements) -> Tensor:
    """Loss of the answers, of the distances, and of naming the edit and the distortions.

    Args:
        trainer: The metric, and the layers that name.
        judged: N judgements.

    Returns:
        A scalar.
    """
    device = judged.reference.device
    stacked = torch.cat([judged.reference, judged.first, judged.second])
    on_gpu = device.type == "cuda"
    with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu, cache_enabled=False):
        layers = trainer.features(stacked)
    parts = [layer.chunk(3) for layer in layers]
    reference, first, second = ([part[i] for part in parts] for i in range(3))
    distances = torch.stack(
        [trainer.distance(reference, first), trainer.distance(reference, second)]
    )
    odds = (distances[1] + PAIR_EPSILON).log() - (distances[0] + PAIR_EPSILON).log()
    entropy = functional.binary_cross_entropy_with_logits(
        trainer.sharpness.exp() * odds, judged.answer, reduction="none"
    )
    loss = (entropy * judged.counts).sum() / judged.counts.sum().clamp_min(1)
    known = ~judged.levels.isnan()
    # The empty frame dilutes the distance, as in the published metric.
    covered = (judged.reference.amax(dim=1) > 0).float().mean(dim=(1, 2)).clamp_min(0.2)
    wanted = SCALE * torch.where(known, judged.levels, torch.zeros_like(distances)) * covered
    apart = functional.smooth_l1_loss(distances, wanted, beta=0.1, reduction="none")
    loss = loss + SCALE_WEIGHT * (apart * known).sum() / known.sum().clamp_min(1)
    pooled = [part.float().mean(dim=(2, 3)) for part in parts[-1]]
    loss = loss + OPERATOR_WEIGHT * functional.cross_entropy(
        trainer.operator(pooled[0]), judged.operators
    )
    for alternative, types in zip(pooled[1:], judged.types, strict=True):
        both = torch.cat([pooled[0], alternative], dim=1)
        named = functional.cross_entropy(trainer.distortion(both), types)
        loss = loss + 0.5 * DISTORTION_WEIGHT * named
    return loss


def _hidden(image: Tensor, distorted: Tensor, level: Tensor) -> Tensor:
    """Whether a distortion hardly shows though its level says that it should. Shape `(N,)`."""
    return ((distorted - image).abs().mean(dim=(1, 2, 3)) < LEAST_CHANGE) & (level > 0.15)


def wrong_edit(photograph: Tensor, edit: Tensor, other: Tensor, chance: Chance) -> Tensor:
    """A wrong answer to the true edit: another edit of the head, no edit, or half of the edit."""
    kind = chance.uniform(0, 1)
    share = wide(chance.uniform(0.3, 0.7))
    half = photograph + share * (edit - photograph)
    wrong = torch.where(wide(kind) < 0.5, other, photograph)
    return torch.where(wide(kind) > 0.75, half, wrong)
