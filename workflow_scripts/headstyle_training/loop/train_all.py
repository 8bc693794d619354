"""Train the three small models one after the other on one set of heads, as on a rented GPU.

python -m headstyle_training.loop.train_all --out FOLDER --date 2026-11-21

Sculpting heads keeps all cores busy, so the trainings share them, and the heads are kept in
FOLDER/heads. A model is whole as soon as its folder is there; a second call of the same command,
after the first was interrupted, leaves whole models alone and goes on from FOLDER/checkpoints.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from headstyle_training.editor.train import EditorSettings, train_editor
from headstyle_training.matting.train import MattingSettings, train_matting
from headstyle_training.perceptual.train import PerceptualSettings, train_perceptual

MODELS = ("perceptual", "matting", "editor")
"""In the order of training: the editor needs most heads, and they grow in number meanwhile."""
AUTOENCODER_SHARE = 0.3
"""Of the minutes for the editor."""
SOON_THERE = 400
"""Kept heads that are read in a quarter of a minute."""


@dataclass(frozen=True)
class AllSettings:
    """The settings of the three trainings; the editor's tell which heads all of them share."""

    perceptual: PerceptualSettings
    matting: MattingSettings
    editor: EditorSettings


def train_all(
    settings: AllSettings,
    out: Path,
    device: str,
    date: str = "unknown",
    only: tuple[str, ...] = MODELS,
    keep_heads: bool = True,
) -> None:
    """Train what is not there yet.

    Args:
        settings: All of the trainings.
        out: Gets a folder for each model, and `checkpoints/` and `heads/`.
        device: cuda or cpu.
        date: For the cards.
        only: Which models.
        keep_heads: Whether to write heads to disk for a later call.
    """
    # Imported here because the worker processes import this module too.
    from headstyle.base.files import whole_folder

    from headstyle_training.heads.training_banks import opened_banks

    log = logging.getLogger("headstyle_training")
    trainings: dict[str, Callable[..., None]] = {
        "perceptual": partial(train_perceptual, settings.perceptual),
        "matting": partial(train_matting, settings.matting),
        "editor": partial(train_editor, settings.editor),
    }
    missing = [name for name in MODELS if name in only and not (out / name).exists()]
    if not missing:
        log.info("%s: nothing is left to train", out)
        return
    cache = out / "heads" if keep_heads else None
    with opened_banks(_patient(settings.editor, cache), device, cache) as banks:
        for name in missing:
            log.info("training %s, %d heads so far", name, len(banks.training))
            with whole_folder(out / name) as folder:
                trainings[name](
                    folder,
                    device,
                    date=date,
                    checkpoint=out / "checkpoints" / name,
                    banks=banks,
                )
            log.info("%s is whole", out / name)


def _patient(settings: EditorSettings, cache: Path | None) -> EditorSettings:
    """Wait for half of the heads that an earlier call kept, up to what is soon there."""
    kept = len(list(cache.glob("head_*.npz"))) if cache else 0
    wanted = max(settings.first_heads, min(kept // 2, SOON_THERE))
    return replace(settings, first_heads=min(settings.heads, wanted))


def settings_for(
    minutes_editor: float,
    minutes_matting: float,
    minutes_perceptual: float,
    heads: int,
    workers: int,
    seed: int,
    start_editor: str | None = None,
) -> AllSettings:
    """Settings for so many minutes of each training."""
    shared = {"heads": heads, "workers": workers, "seed": seed}
    editor = EditorSettings(
        minutes_autoencoder=round(AUTOENCODER_SHARE * minutes_editor, 2),
        minutes_denoiser=round((1 - AUTOENCODER_SHARE) * minutes_editor, 2),
        start=start_editor,
        **shared,
    )
    return AllSettings(
        replace(PerceptualSettings(**shared), minutes=minutes_perceptual),
        replace(MattingSettings(**shared), minutes=minutes_matting),
        editor,
    )


def main() -> None:
    """Parse the command line and train."""
    import torch

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("headstyle").setLevel(logging.INFO)
    # Ended by `timeout`, the processes that sculpt are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description="Train the three small models.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes-editor", type=float, default=20)
    parser.add_argument("--minutes-matting", type=float, default=5)
    parser.add_argument("--minutes-perceptual", type=float, default=4)
    parser.add_argument("--heads", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start-editor", help="folder of a mini editor to go on from")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--date", default="unknown")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = vars(parser.parse_args())
    out, device, date, only = (options.pop(n) for n in ("out", "device", "date", "only"))
    train_all(settings_for(**options), out, device, date, tuple(only))


if __name__ == "__main__":
    main()
