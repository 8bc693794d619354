"""Train the mini editor and write its pipeline folder, scores and model card.

python -m headstyle_training.editor.train --minutes-autoencoder 6 --minutes-denoiser 14 \
    --heads 4000 --workers 15 --date 2026-11-21 --out FOLDER --resume FOLDER
"""

import argparse
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstyle_training.editor.checkpoints import Checkpoint
    from headstyle_training.editor.model import EditorModel
    from headstyle_training.editor.stage import Stage
    from headstyle_training.heads.bank import HeadBank
    from headstyle_training.heads.pairs import PairStream
    from headstyle_training.heads.training_banks import Banks

LEARNING_RATE_AUTOENCODER, LEARNING_RATE_DENOISER = 8e-4, 5e-4


@dataclass(frozen=True)
class EditorSettings:
    """Everything that shapes the mini editor's training."""

    minutes_autoencoder: float = 6.0
    minutes_denoiser: float = 14.0
    heads: int = 4000
    """Distinct heads to train on, as far as they are sculpted in time."""
    evaluation_heads: int = 48
    evaluation_pictures: int = 24
    """Of each edit and text."""
    coarseness: float = 2.0
    workers: int = 15
    """Processes that sculpt heads."""
    first_heads: int = 96
    """Heads to wait for before the training starts."""
    picture_pool: int = 8000
    """Pairs of pictures of the first size kept for the autoencoder; a third as many of others."""
    pool: int = 30_000
    """Encoded pairs of the first size kept for the denoiser; a third as many of others."""
    batch_autoencoder: int = 32
    """Pictures."""
    batch_denoiser: int = 256
    """Pairs; with fewer a large GPU waits for its next kernels."""
    judge_pictures: int = 12_000
    judge_minutes: float = 0.75
    height: int = 256
    widths: tuple[int, ...] = (176, 256)
    seed: int = 0
    start: str | None = None
    """Pipeline folder of an earlier mini editor whose weights are gone on from."""
    iterations: int | None = None
    """Of each part of the training; ends it instead of the time."""


def train_editor(
    settings: EditorSettings,
    folder: Path,
    device: str,
    date: str = "unknown",
    checkpoint: Path | None = None,
    banks: "Banks | None" = None,
) -> None:
    """Train on fresh heads; the folder becomes the pipeline with what is known of it.

    Args:
        settings: All of the training.
        folder: Replaced as a whole by pipeline, `MODEL_CARD.md` and `evaluation/`.
        device: cuda or cpu.
        date: For the card.
        checkpoint: Folder to go on from, if it holds a checkpoint, and to write checkpoints to.
        banks: The heads; None sculpts them for this training alone.
    """
    # Imported here because the worker processes import this module too.
    from headstyle.base.files import whole_folder

    from headstyle_training.editor.card import write_card
    from headstyle_training.editor.checkpoints import Checkpoint
    from headstyle_training.editor.scores import Effort, evaluate_folder
    from headstyle_training.editor.stage import Stage
    from headstyle_training.heads.training_banks import banks_of
    from headstyle_training.loop.timed_training import machine_name

    stages = {
        "autoencoder": Stage(
            settings.minutes_autoencoder,
            LEARNING_RATE_AUTOENCODER,
            settings.batch_autoencoder,
            iterations=settings.iterations,
        ),
        "denoiser": Stage(
            settings.minutes_denoiser,
            LEARNING_RATE_DENOISER,
            settings.batch_denoiser,
            iterations=settings.iterations,
        ),
    }
    before = minutes_of(Path(settings.start)) if settings.start else 0.0
    kept = Checkpoint(checkpoint, stages)
    effort = Effort(
        settings.evaluation_pictures,
        settings.judge_pictures,
        settings.judge_minutes,
        settings.iterations,
    )
    with banks_of(settings, device, banks) as heads:
        model = _trained(settings, heads.training, kept, stages, device)
        known = asdict(settings) | {
            "start": settings.start and Path(settings.start).name,
            "minutes_before": before,
            "trained_heads": len(heads.training),
            "machine": machine_name(device),
            "date": date,
        }
        with whole_folder(folder) as partial:
            model.save(partial)
            scores = evaluate_folder(
                partial, heads.training, heads.unseen, settings.seed, device, effort
            )
            histories = {name: stage.history for name, stage in stages.items()}
            write_card(partial, known, histories, scores)


def minutes_of(folder: Path) -> float:
    """How long an editor was trained, with the trainings whose weights it went on from.

    Raises:
        InputError: the folder does not say.
    """
    from headstyle.base.errors import InputError
    from headstyle.base.files import read_json

    scores = folder / "evaluation" / "scores.json"
    known = read_json(scores).get("settings", {})
    try:
        own = known["minutes_autoencoder"] + known["minutes_denoiser"]
    except KeyError as key:
        raise InputError(f"{scores} does not tell {key}; start from another editor") from None
    return own + known.get("minutes_before", 0.0)


def _trained(
    settings: EditorSettings,
    bank: "HeadBank",
    kept: "Checkpoint",
    stages: "dict[str, Stage]",
    device: str,
) -> "EditorModel":
    """Both stages, as far as the checkpoint has not been through them."""
    import torch

    from headstyle_training.editor.data import LatentPool, PicturePool
    from headstyle_training.editor.model import load_editor_model, new_editor
    from headstyle_training.editor.training import train_autoencoder, train_denoiser

    log = logging.getLogger("headstyle_training")
    model = kept.resume()
    if model is None and settings.start is not None:
        model = load_editor_model(Path(settings.start))
    if model is None:
        with tempfile.TemporaryDirectory() as scratch:
            model = new_editor(Path(scratch), settings.seed)
    model.to(device)
    torch.backends.cudnn.benchmark = True
    autoencoder, denoiser = stages["autoencoder"], stages["denoiser"]
    if autoencoder.done < 1:
        log.info("autoencoder, %d heads", len(bank))
        pools = [
            PicturePool(stream, _capacity(settings.picture_pool, k), settings.seed + k)
            for k, stream in enumerate(_streams(settings, bank, autoencoder))
        ]
        train_autoencoder(model, pools, autoencoder, settings.seed, kept.save)
        kept.save(model, at_once=True)
        del pools
    if denoiser.done < 1:
        log.info("denoiser, %d heads", len(bank))
        streams = _streams(settings, bank, denoiser)
        latents = [
            LatentPool(model, stream, _capacity(settings.pool, k))
            for k, stream in enumerate(streams)
        ]
        train_denoiser(model, latents, denoiser, settings.seed, kept.save)
        kept.save(model, at_once=True)
    return model


def _streams(settings: EditorSettings, bank: "HeadBank", stage: "Stage") -> "list[PairStream]":
    """Pairs of each size; others when a training goes on."""
    from headstyle.base.seeds import derived_seed

    from headstyle_training.heads.pairs import PairStream

    return [
        PairStream(
            bank,
            settings.height,
            width,
            derived_seed(settings.seed, "pairs", k, stage.iteration),
            full_strength=True,
        )
        for k, width in enumerate(settings.widths)
    ]


def _capacity(first: int, place: int) -> int:
    return first if place == 0 else max(1, first // 3)


def main() -> None:
    """Parse the command line and train."""
    import torch

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("headstyle").setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description="Train the mini editor.")
    defaults = EditorSettings(workers=os.cpu_count() or 1)
    for name, value in asdict(defaults).items():
        if not isinstance(value, tuple):
            kind = int if value is None else type(value)
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
    parser.add_argument("--widths", type=int, nargs="+", default=defaults.widths)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="folder of checkpoints to go on from")
    parser.add_argument("--date", default="unknown")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = vars(parser.parse_args())
    out, resume, date, device = (options.pop(n) for n in ("out", "resume", "date", "device"))
    options["widths"] = tuple(options["widths"])
    train_editor(EditorSettings(**options), out, device, date, resume)


if __name__ == "__main__":
    main()
