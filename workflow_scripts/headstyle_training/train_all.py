"""Train the three small models one after the other on one set of heads.

Sculpting heads keeps all cores busy, so the trainings share the heads, which are kept in
`FOLDER/heads`. A model's folder appears when the model is whole. After an interruption, a second
call leaves whole models alone and continues from `FOLDER/checkpoints`.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from headstyle.base.files import whole_folder

from headstyle_training.editor.settings import EditorSettings
from headstyle_training.editor.train import train_editor
from headstyle_training.heads.training_banks import opened_banks
from headstyle_training.matting.train import train_matting
from headstyle_training.perceptual.train import train_perceptual
from headstyle_training.settings import MODELS, AllSettings

logger = logging.getLogger("headstyle.models")

SOON_READ = 400
"""Kept heads that are read in a quarter of a minute."""


def train_all(
    settings: AllSettings,
    out: Path,
    date: str = "unknown",
    only: tuple[str, ...] = MODELS,
    keep_heads: bool = True,
) -> None:
    """Train the models that are not there yet.

    Args:
        settings: Settings of all trainings; the editor's tell which heads all of them share.
        out: Gets a folder for each model, and `checkpoints/` and `heads/`.
        date: Day of the training, for the cards.
        only: Which models to train.
        keep_heads: Whether to write heads to disk for a later call.

    Raises:
        InputError: a folder of checkpoints holds something else.
        FloatingPointError: a loss is no longer a number.
    """
    trainings: dict[str, Callable[..., None]] = {
        "perceptual": partial(train_perceptual, settings.perceptual),
        "matting": partial(train_matting, settings.matting),
        "editor": partial(train_editor, settings.editor),
    }
    missing = [name for name in MODELS if name in only and not (out / name).exists()]
    if not missing:
        logger.info("%s: nothing is left to train", out)
        return
    editor = settings.editor
    cache = out / "heads" if keep_heads else None
    with opened_banks(_patient(editor, cache), editor.device, cache) as banks:
        for name in missing:
            logger.info("training %s, %d heads so far", name, len(banks.training))
            with whole_folder(out / name) as folder:
                kept = out / "checkpoints" / name
                trainings[name](folder, date=date, checkpoint=kept, banks=banks)
            logger.info("%s is whole", out / name)


def _patient(settings: EditorSettings, cache: Path | None) -> EditorSettings:
    """Wait for half of the heads that an earlier call kept, up to what is read soon."""
    kept = len(list(cache.glob("head_*.npz"))) if cache else 0
    wanted = max(settings.first_heads, min(kept // 2, SOON_READ))
    return replace(settings, first_heads=min(settings.heads, wanted))
