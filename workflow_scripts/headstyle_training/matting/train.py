"""Train the mini matting and write its ONNX file, scores and model card.

python -m headstyle_training.matting.train --minutes 6 --heads 3000 --workers 15 \
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
class MattingSettings:
    """Everything that shapes the mini matting's training."""

    minutes: float = 6.0
    heads: int = 3000
    """Distinct heads to train on, as far as they are sculpted in time."""
    evaluation_heads: int = 48
    evaluation_pictures: int = 192
    """Of each kind."""
    coarseness: float = 2.0
    workers: int = 15
    """Processes that sculpt heads."""
    first_heads: int = 96
    """Heads to wait for before the training starts."""
    first_cutouts: int = 1200
    pool: int = 12_000
    """Cutouts, and as many backgrounds, kept on the device."""
    batch: int = 64
    side_px: int = 320
    seed: int = 0
    iterations: int | None = None
    """Ends the training earlier."""


def train_matting(
    settings: MattingSettings,
    folder: Path,
    device: str,
    date: str = "unknown",
    checkpoint: Path | None = None,
    banks: "Banks | None" = None,
) -> None:
    """Train on fresh heads and fill a folder with the model and what is known of it.

    Args:
        settings: All of the training.
        folder: Gets `model.onnx`, `history.tsv`, `scores.json`, `contact_sheet.jpg` and
            `MODEL_CARD.md`.
        device: cuda or cpu.
        date: For the card.
        checkpoint: Folder to go on from, if it holds a checkpoint, and to write checkpoints to.
        banks: The heads; None sculpts them for this training alone.
    """
    # Imported here because the worker processes import this module too.
    from headstyle.base.files import write_json

    from headstyle_training.heads.training_banks import banks_of
    from headstyle_training.loop.timed_training import machine_name, write_history
    from headstyle_training.matting.card import write_card
    from headstyle_training.matting.model import export_onnx, rounded
    from headstyle_training.matting.scores import evaluate
    from headstyle_training.matting.training import train_network

    with banks_of(settings, device, banks) as heads:
        network, training = train_network(
            heads.training,
            settings.minutes,
            settings.batch,
            settings.first_cutouts,
            settings.pool,
            settings.side_px,
            settings.seed,
            checkpoint,
            settings.iterations,
        )
        trained_heads = len(heads.training)
    network = rounded(network)
    export_onnx(network, folder / "model.onnx", settings.side_px)
    write_history(folder / "history.tsv", training.history)
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
    parser = argparse.ArgumentParser(description="Train the mini matting.")
    defaults = asdict(MattingSettings(workers=os.cpu_count() or 1))
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
    train_matting(MattingSettings(**options), out, device, date, resume)


if __name__ == "__main__":
    main()
