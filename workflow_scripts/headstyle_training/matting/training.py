"""How the mini matting is trained: on cutouts composed anew with backgrounds in every iteration."""

import logging
from pathlib import Path

import torch
from headstyle.base.seeds import derived_seed
from torch import Tensor
from torch.nn import functional

from headstyle_training.heads.bank import HeadBank
from headstyle_training.loop.timed_training import TimedTraining
from headstyle_training.matting.model import MattingNet, new_network, normalized
from headstyle_training.matting.pictures import CutoutPool
from headstyle_training.matting.scenes import BackgroundPool, compose

logger = logging.getLogger("headstyle_training")

EDGE_WEIGHT, EDGE_REACH_PX = 4.0, 5
"""How much more a pixel near the outline counts, and what is near."""
OVERLAP_WEIGHT, GRADIENT_WEIGHT = 1.0, 0.5


def train_network(
    bank: HeadBank,
    minutes: float,
    batch: int,
    first_cutouts: int,
    pool: int,
    side_px: int,
    seed: int,
    checkpoint: Path | None = None,
    iterations: int | None = None,
    learning_rate: float = 2e-3,
) -> tuple[MattingNet, TimedTraining]:
    """Train the matting network; returns the averaged one and what the training recorded.

    Args:
        bank: Heads to photograph; may still be growing.
        minutes: Of training, without the first cutouts.
        batch: Photographs of each iteration; an eighth as many cutouts and backgrounds are new.
        first_cutouts: To make before the training starts.
        pool: Cutouts, and as many backgrounds, to keep.
        side_px: Height and width of the photographs.
        seed: Of everything drawn.
        checkpoint: Folder for checkpoints, or None.
        iterations: Ends the training after so many.
        learning_rate: The highest.
    """
    device = bank.device
    network = new_network(seed).to(device).train().to(memory_format=torch.channels_last)
    training = TimedTraining(network, minutes, learning_rate, checkpoint, iterations)
    # A run that goes on from a checkpoint draws something new.
    seed = derived_seed(seed, "matting", training.iteration)
    cutouts = CutoutPool(bank, side_px, pool, seed)
    backgrounds = BackgroundPool(side_px, pool, seed, device)
    fresh = max(1, batch // 8)
    while len(cutouts) < first_cutouts:
        cutouts.add(fresh)
        backgrounds.add(fresh)
    generator = torch.Generator(device).manual_seed(seed)
    logger.info("%d heads, %d cutouts to start with", len(bank), len(cutouts))

    def loss_of(iteration: int) -> Tensor:
        # Drawing takes longer than learning: most cutouts are shown several times.
        if iteration % 2:
            backgrounds.add(fresh)
        else:
            cutouts.add(fresh)
        behind = backgrounds.draw(batch, generator)
        images, alpha = compose(cutouts.draw(batch, generator), behind, generator)
        inputs = normalized(images).to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = network(inputs)
        return matting_loss(logits.float(), alpha)

    return training.run(loss_of), training


def matting_loss(logits: Tensor, alpha: Tensor) -> Tensor:
    """Cross-entropy, heavier near the outline, 1 - soft IoU, and L1 of the gradients.

    Args:
        logits: Shape `(B, 1, H, W)`.
        alpha: What should be found, in [0, 1]. Shape `(B, 1, H, W)`.
    """
    reach = 2 * EDGE_REACH_PX + 1
    grown = functional.max_pool2d(alpha, reach, 1, EDGE_REACH_PX)
    shrunk = -functional.max_pool2d(-alpha, reach, 1, EDGE_REACH_PX)
    weight = 1 + EDGE_WEIGHT * (grown - shrunk)
    entropy = functional.binary_cross_entropy_with_logits(logits, alpha, weight)
    found = torch.sigmoid(logits)
    both = (found * alpha).sum(dim=(1, 2, 3))
    either = (found + alpha - found * alpha).sum(dim=(1, 2, 3))
    # One pixel more in both: where there is nothing to be found, a little is a little wrong.
    overlap = 1 - ((both + 1) / (either + 1)).mean()
    gradients = sum(
        ((found.diff(dim=dim) - alpha.diff(dim=dim)).abs().mean() for dim in (2, 3)),
        start=logits.new_zeros(()),
    )
    return entropy + OVERLAP_WEIGHT * overlap + GRADIENT_WEIGHT * gradients
