"""Train the mini perceptual metric on two-alternative judgements."""

import logging
from dataclasses import asdict, fields
from pathlib import Path

import torch
from headstyle.base.files import write_json
from headstyle.base.seeds import derived_seed
from headstyle.losses.lpips_networks import load_mini
from torch import Tensor, nn

from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.training_banks import Banks, banks_of
from headstyle_training.loop.checkpoints import StateCheckpoint
from headstyle_training.loop.progress import Progress, machine_name, write_history
from headstyle_training.loop.training import TrainingLoop
from headstyle_training.perceptual.card import write_card
from headstyle_training.perceptual.judgements import Judgements, draw_judgements, judgement_loss
from headstyle_training.perceptual.model import PerceptualTrainer, save_metric
from headstyle_training.perceptual.pictures import GroupPool
from headstyle_training.perceptual.scores import evaluate
from headstyle_training.perceptual.settings import PerceptualSettings

logger = logging.getLogger("headstyle.models")


def train_perceptual(
    settings: PerceptualSettings,
    folder: Path,
    date: str = "unknown",
    checkpoint: Path | None = None,
    banks: Banks | None = None,
) -> None:
    """Train, score, and fill a folder with the metric and what is known of it.

    Args:
        settings: Everything that shapes the training.
        folder: Gets `model.safetensors`, `history.tsv`, `scores.json`, `contact_sheet.jpg` and
            `MODEL_CARD.md`.
        date: Day of the training, for the card.
        checkpoint: Folder for checkpoints; a training continues from the one that is there.
        banks: Heads that several trainings share; None sculpts heads for this training alone.

    Raises:
        InputError: `checkpoint` holds something else.
        FloatingPointError: the loss is no longer a number.
    """
    with banks_of(settings, settings.device, banks) as heads:
        network, loop = train_metric(heads.training, settings, checkpoint)
        trained_heads = len(heads.training)
    save_metric(network, folder / "model.safetensors")
    write_history(folder / "history.tsv", loop.progress.history)
    scores = evaluate(
        load_mini(folder / "model.safetensors"),
        heads.unseen,
        settings.evaluation_judgements,
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


def train_metric(
    bank: HeadBank, settings: PerceptualSettings, checkpoint: Path | None = None
) -> tuple[nn.Module, TrainingLoop]:
    """Train; returns the averaged network of the lpips package, and the loop as it ended.

    Args:
        bank: Heads to photograph; it may still be growing. The training runs on its device.
        settings: Everything that shapes the training.
        checkpoint: Folder for checkpoints, or None.

    Raises:
        InputError: `checkpoint` holds something else.
        FloatingPointError: the loss is no longer a number.
    """
    device, batch = bank.device, settings.batch
    trainer = PerceptualTrainer(settings.seed).to(device)
    loop = TrainingLoop(Progress(settings), [trainer])
    kept = StateCheckpoint(checkpoint, loop)
    kept.resume()
    # A run that goes on from a checkpoint draws something new.
    seed = derived_seed(settings.seed, "perceptual", loop.progress.iteration)
    groups = GroupPool(bank, settings.side_px, settings.pool, seed)
    fresh = max(1, batch // 16)
    while len(groups) < settings.first_groups:
        groups.add(fresh)
    generator = torch.Generator(device).manual_seed(seed)
    kinds = torch.Generator().manual_seed(seed)
    logger.info("%d heads, %d groups of pictures to start with", len(bank), len(groups))

    def draw(iteration: int) -> tuple[Tensor, ...]:
        # Drawing takes longer than learning: most pictures are shown many times.
        if iteration % 4 == 0:
            groups.add(fresh)
        drawn = groups.draw(batch, settings.crop_px, generator)
        judged = draw_judgements(drawn, generator, kinds)
        return tuple(getattr(judged, field.name) for field in fields(Judgements))

    def loss_of(*parts: Tensor) -> Tensor:
        return judgement_loss(trainer, Judgements(*parts))

    loop.run(draw, loss_of, trainer.clamp, kept.save)
    kept.save()
    [average] = loop.averaged
    assert isinstance(average, PerceptualTrainer)
    return average.metric, loop
