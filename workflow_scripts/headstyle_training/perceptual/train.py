"""Train the mini perceptual metric and write its weights, scores and model card.

python -m headstyle_training.perceptual.train --minutes 5 --heads 3000 --workers 15 \
    --date 2026-11-21 --out FOLDER --resume FOLDER
"""

import argparse
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstyle_training.heads.training_banks import Banks


@dataclass(frozen=True)
class PerceptualSettings:
    """Everything that shapes the mini perceptual metric's training."""

    minutes: float = 5.0
    heads: int = 3000
    """Distinct heads to train on, as far as they are sculpted in time."""
    evaluation_heads: int = 48
    evaluation_judgements: int = 600
    """Of each task."""
    coarseness: float = 2.0
    workers: int = 15
    """Processes that sculpt heads."""
    first_heads: int = 96
    """Heads to wait for before the training starts."""
    first_groups: int = 1000
    pool: int = 12_000
    """Groups of pictures kept on the device."""
    batch: int = 128
    side_px: int = 192
    crop_px: int = 128
    seed: int = 0
    iterations: int | None = None
    """Ends the training earlier."""


def train_perceptual(
    settings: PerceptualSettings,
    folder: Path,
    device: str,
    date: str = "unknown",
    checkpoint: Path | None = None,
    banks: "Banks | None" = None,
) -> None:
    """Train on fresh heads and fill a folder with the model and what is known of it.

    Args:
        settings: All of the training.
        folder: Gets `model.safetensors`, `history.tsv`, `scores.json`, `contact_sheet.jpg` and
            `MODEL_CARD.md`.
        device: cuda or cpu.
        date: For the card.
        checkpoint: Folder to go on from, if it holds a checkpoint, and to write checkpoints to.
        banks: The heads; None sculpts them for this training alone.
    """
    # Imported here because the worker processes import this module too.
    from headstyle.base.files import write_json
    from headstyle.losses.lpips_networks import load_mini

    from headstyle_training.heads.training_banks import banks_of
    from headstyle_training.loop.timed_training import machine_name, write_history
    from headstyle_training.perceptual.card import write_card
    from headstyle_training.perceptual.model import save_metric
    from headstyle_training.perceptual.scores import evaluate
    from headstyle_training.perceptual.training import train_metric

    with banks_of(settings, device, banks) as heads:
        network, training = train_metric(
            heads.training,
            settings.minutes,
            settings.batch,
            settings.first_groups,
            settings.pool,
            settings.side_px,
            settings.crop_px,
            settings.seed,
            checkpoint,
            settings.iterations,
        )
        trained_heads = len(heads.training)
    save_metric(network, folder / "model.safetensors")
    write_history(folder / "history.tsv", training.history)
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
        "trained_iterations": training.iteration,
        "machine": machine_name(device),
        "date": date,
    }
    write_json(folder / "scores.json", {"settings": known, "scores": scores})
    write_card(folder, known, scores)


def main() -> None:
    """Parse the command line and train."""
    import torch

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("headstyle").setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description="Train the mini perceptual metric.")
    defaults = asdict(PerceptualSettings(workers=os.cpu_count() or 1))
    for name, value in defaults.items():
        kind = int if value is None else type(value)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="folder of checkpoints to go on from")
    parser.add_argument("--date", default="unknown")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = vars(parser.parse_args())
    out, resume, date, device = (options.pop(n) for n in ("out", "resume", "date", "device"))
    out.mkdir(parents=True, exist_ok=True)
    train_perceptual(PerceptualSettings(**options), out, device, date, resume)


if __name__ == "__main__":
    main()
