"""Train the mini matting, on cutouts that are composed with new backgrounds in every step."""

import logging
from dataclasses import asdict
from pathlib import Path

import torch
from headstyle.base.files import write_json
from headstyle.base.seeds import derived_seed
from torch import Tensor
from torch.nn import functional

from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.training_banks import Banks, banks_of
from headstyle_training.loop.checkpoints import StateCheckpoint
from headstyle_training.loop.progress import Progress, machine_name, write_history
from headstyle_training.loop.training import TrainingLoop
from headstyle_training.matting.card import write_card
from headstyle_training.matting.model import (
    MattingNet,
    export_onnx,
    new_network,
    normalized,
    rounded,
)
from headstyle_training.matting.pictures import CutoutPool
from headstyle_training.matting.scenes import BackgroundPool, compose
from headstyle_training.matting.scores import evaluate
from headstyle_training.matting.settings import MattingSettings

logger = logging.getLogger("headstyle.models")

EDGE_WEIGHT, EDGE_REACH_PX = 4.0, 5
"""How much more a pixel near the outline counts, and which distance is near."""
OVERLAP_WEIGHT, GRADIENT_WEIGHT = 1.0, 0.5


def train_matting(
    settings: MattingSettings,
    folder: Path,
    date: str = "unknown",
    checkpoint: Path | None = None,
    banks: Banks | None = None,
) -> None:
    """Train, score, and fill a folder with the model and what is known of it.

    Args:
        settings: Everything that shapes the training.
        folder: Gets `model.onnx`, `history.tsv`, `scores.json`, `contact_sheet.jpg` and
            `MODEL_CARD.md`.
        date: Day of the training, for the card.
        checkpoint: Folder for checkpoints; a training continues from the one that is there.
        banks: Heads that several trainings share; None sculpts heads for this training alone.

    Raises:
        InputError: `checkpoint` holds something else.
        FloatingPointError: the loss is no longer a number.
    """
    with banks_of(settings, settings.device, banks) as heads:
        network, loop = train_network(heads.training, settings, checkpoint)
        trained_heads = len(heads.training)
    network = rounded(network)
    export_onnx(network, folder / "model.onnx", settings.side_px)
    write_history(folder / "history.tsv", loop.progress.history)
    scores = evaluate(
        network,
        heads.unseen,
        settings.evaluation_pictures,
        settings.side_px,
        settings.seed + 1,
        folder / "contact_sheet.jpg",
    )
    known = asdict(settings) | {
        "trained_heads": trained_heads,
        "trained_iterations": loop.progress.iteration,
        "machine": machine_name(settings.device),
        "date": date,
    }
    write_json(folder / "scores.json", {"settings": known, "scores": scores})
    write_card(folder, known, scores)


def train_network(
    bank: HeadBank, settings: MattingSettings, checkpoint: Path | None = None
) -> tuple[MattingNet, TrainingLoop]:
    """Train the matting network; returns the averaged one, and the loop as it ended.

    Args:
        bank: Heads to photograph; it may still be growing. The training runs on its device.
        settings: Everything that shapes the training.
        checkpoint: Folder for checkpoints, or None.

    Raises:
        InputError: `checkpoint` holds something else.
        FloatingPointError: the loss is no longer a number.
    """
    device, batch = bank.device, settings.batch
    network = new_network(settings.seed).to(device).train().to(memory_format=torch.channels_last)
    loop = TrainingLoop(Progress(settings), [network])
    kept = StateCheckpoint(checkpoint, loop)
    kept.resume()
    # A run that goes on from a checkpoint draws something new.
    seed = derived_seed(settings.seed, "matting", loop.progress.iteration)
    cutouts = CutoutPool(bank, settings.side_px, settings.pool, seed)
    backgrounds = BackgroundPool(settings.side_px, settings.pool, seed, device)
    fresh = max(1, batch // 8)
    while len(cutouts) < settings.first_cutouts:
        cutouts.add(fresh)
        backgrounds.add(fresh)
    generator = torch.Generator(device).manual_seed(seed)
    logger.info("%d heads, %d cutouts to start with", len(bank), len(cutouts))

    def draw(iteration: int) -> tuple[Tensor, Tensor]:
        # Drawing takes longer than learning: most cutouts are shown several times.
        if iteration % 2:
            backgrounds.add(fresh)
        else:
            cutouts.add(fresh)
        behind = backgrounds.draw(batch, generator)
        images, alpha = compose(cutouts.draw(batch, generator), behind, generator)
        return normalized(images).to(memory_format=torch.channels_last), alpha

    def loss_of(inputs: Tensor, alpha: Tensor) -> Tensor:
        on_gpu = device.type == "cuda"
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu, cache_enabled=False):
            logits = network(inputs)
        return matting_loss(logits.float(), alpha)

    loop.run(draw, loss_of, save=kept.save)
    kept.save()
    [average] = loop.averaged
    assert isinstance(average, MattingNet)
    return average, loop


def matting_loss(logits: Tensor, alpha: Tensor) -> Tensor:
    """Cross-entropy, heavier near the outline, 1 - soft IoU, and L1 of the gradients.

    Args:
        logits: Logits of the network's alpha. Shape `(B, 1, H, W)`.
        alpha: The right answer, in [0, 1]. Shape `(B, 1, H, W)`.
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
