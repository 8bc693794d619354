"""Train the mini editor: first its autoencoder, then its text encoder and denoiser."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from headstyle.base.errors import InputError
from headstyle.base.files import read_json, whole_folder
from headstyle.base.seeds import derived_seed

from headstyle_training.editor.autoencoder import train_autoencoder
from headstyle_training.editor.card import write_card
from headstyle_training.editor.checkpoints import PipelineCheckpoint
from headstyle_training.editor.data import LatentPool, PicturePool
from headstyle_training.editor.denoiser import train_denoiser
from headstyle_training.editor.model import EditorModel, load_editor_model, new_editor
from headstyle_training.editor.scores import Effort, evaluate_folder
from headstyle_training.editor.settings import EditorSettings
from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.pairs import PairStream
from headstyle_training.heads.training_banks import Banks, banks_of
from headstyle_training.loop.progress import Progress, machine_name

logger = logging.getLogger("headstyle.models")


def train_editor(
    settings: EditorSettings,
    folder: Path,
    date: str = "unknown",
    checkpoint: Path | None = None,
    banks: Banks | None = None,
) -> None:
    """Train, score, and replace a folder by the pipeline and what is known of it.

    Args:
        settings: Everything that shapes the training.
        folder: Replaced as a whole by pipeline, `MODEL_CARD.md` and `evaluation/`.
        date: Day of the training, for the card.
        checkpoint: Folder for checkpoints; a training continues from the one that is there.
        banks: Heads that several trainings share; None sculpts heads for this training alone.

    Raises:
        InputError: `checkpoint` or the settings' `start` holds something else.
        FloatingPointError: the loss is no longer a number.
    """
    parts = {name: Progress(part) for name, part in settings.parts().items()}
    before = minutes_of(Path(settings.start)) if settings.start else 0.0
    kept = PipelineCheckpoint(checkpoint, parts)
    effort = Effort(
        pictures=settings.evaluation_pictures,
        judge_pictures=settings.judge_pictures,
        judge_minutes=settings.judge_minutes,
        judge_iterations=settings.iterations,
    )
    with banks_of(settings, settings.device, banks) as heads:
        model = trained_model(settings, heads.training, kept, parts)
        known = asdict(settings) | {
            "start": settings.start and Path(settings.start).name,
            "minutes_autoencoder": settings.minutes_autoencoder,
            "minutes_denoiser": settings.minutes_denoiser,
            "minutes_before": before,
            "trained_heads": len(heads.training),
            "machine": machine_name(settings.device),
            "date": date,
        }
        with whole_folder(folder) as partial:
            model.save(partial)
            scores = evaluate_folder(
                partial, heads.training, heads.unseen, settings.seed, settings.device, effort
            )
            histories = {name: part.history for name, part in parts.items()}
            write_card(partial, known, histories, scores)


def minutes_of(folder: Path) -> float:
    """How long an editor was trained, with the trainings whose weights it started from [min].

    Raises:
        InputError: the folder does not say.
    """
    scores = folder / "evaluation" / "scores.json"
    known = read_json(scores).get("settings", {})
    try:
        own = known["minutes_autoencoder"] + known["minutes_denoiser"]
    except KeyError as key:
        raise InputError(f"{scores} does not tell {key}; start from another editor") from None
    return own + known.get("minutes_before", 0.0)


def trained_model(
    settings: EditorSettings,
    bank: HeadBank,
    kept: PipelineCheckpoint,
    parts: Mapping[str, Progress],
) -> EditorModel:
    """Train both parts, as far as the checkpoint has not been through them.

    Args:
        settings: Everything that shapes the training.
        bank: Heads to photograph; it may still be growing.
        kept: The training's checkpoint.
        parts: How far `autoencoder` and `denoiser` are.

    Raises:
        InputError: the checkpoint's folder holds something else.
        FloatingPointError: the loss is no longer a number.
    """
    model = kept.resume() or _first_model(settings)
    model.to(settings.device)
    torch.backends.cudnn.benchmark = True
    autoencoder, denoiser = parts["autoencoder"], parts["denoiser"]
    if autoencoder.done < 1:
        logger.info("autoencoder, %d heads", len(bank))
        pools = [
            PicturePool(stream, _capacity(settings.picture_pool, k), settings.seed + k)
            for k, stream in enumerate(_streams(settings, bank, autoencoder))
        ]
        train_autoencoder(model, pools, autoencoder, kept.save)
        kept.save(model)
        del pools
    if denoiser.done < 1:
        logger.info("denoiser, %d heads", len(bank))
        streams = _streams(settings, bank, denoiser)
        latents = [
            LatentPool(model, stream, _capacity(settings.pool, k))
            for k, stream in enumerate(streams)
        ]
        train_denoiser(model, latents, denoiser, kept.save)
        kept.save(model)
    return model


def _first_model(settings: EditorSettings) -> EditorModel:
    """The networks that a training starts from: those of an earlier editor, or untrained ones."""
    if settings.start is not None:
        return load_editor_model(Path(settings.start))
    with tempfile.TemporaryDirectory() as scratch:
        return new_editor(Path(scratch), settings.seed)


def _streams(settings: EditorSettings, bank: HeadBank, part: Progress) -> list[PairStream]:
    """Pairs of each size; other ones when a training goes on."""
    return [
        PairStream(
            bank,
            settings.height,
            width,
            derived_seed(settings.seed, "pairs", k, part.iteration),
            full_strength=True,
        )
        for k, width in enumerate(settings.widths)
    ]


def _capacity(first: int, place: int) -> int:
    """How many pairs of a size to keep: of all but the first a third."""
    return first if place == 0 else max(1, first // 3)
