"""Train the mini editor and write its pipeline folder, scores and model card.

python -m headstyle.learning.train_editor --minutes-autoencoder 5 --minutes-denoiser 9 \
    --heads 6000 --workers 15 --date 2026-11-21 --out FOLDER
"""

import argparse
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

FIRST_TRAINING_SEED = 1000
FIRST_EVALUATION_SEED = 100


@dataclass(frozen=True)
class EditorSettings:
    """Everything that shapes the mini editor's training."""

    minutes_autoencoder: float = 5.0
    minutes_denoiser: float = 9.0
    heads: int = 6000
    """Distinct heads to train on, as far as they are sculpted in time."""
    evaluation_heads: int = 48
    coarseness: float = 2.0
    workers: int = 15
    """Processes that sculpt heads."""
    first_heads: int = 64
    """Heads to wait for before the training starts."""
    pool: int = 24_000
    """Encoded pairs kept of each picture size."""
    first_pairs: int = 6_000
    batch_autoencoder: int = 32
    batch_denoiser: int = 256
    refresh: int = 64
    height: int = 256
    widths: tuple[int, ...] = (176, 256)
    seed: int = 0


def train_editor(settings: EditorSettings, folder: Path, device: str, date: str) -> None:
    """Train on fresh heads and fill an empty folder with the pipeline and what is known of it."""
    # Imported here because the worker processes import this module too.
    from headstyle.learning.editor_card import write_card
    from headstyle.learning.editor_data import LatentPool
    from headstyle.learning.editor_model import new_editor
    from headstyle.learning.editor_scores import evaluate
    from headstyle.learning.editor_training import Stage, train_autoencoder, train_denoiser
    from headstyle.learning.head_bank import HeadBank
    from headstyle.learning.pairs import PairStream

    log = logging.getLogger("headstyle.learning")
    unseen = range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + settings.evaluation_heads)
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + settings.heads)
    with tempfile.TemporaryDirectory() as scratch:
        model = new_editor(Path(scratch), settings.seed).to(device)
    autoencoder = Stage(settings.minutes_autoencoder, 8e-4, settings.batch_autoencoder)
    denoiser = Stage(settings.minutes_denoiser, 6e-4, settings.batch_denoiser)
    with HeadBank(unseen, settings.coarseness, settings.workers, device) as test_bank:
        test_bank.wait_for(len(unseen))
    with HeadBank(seeds, settings.coarseness, settings.workers, device) as bank:
        bank.wait_for(settings.first_heads)
        streams = [
            PairStream(bank, settings.height, width, settings.seed + k)
            for k, width in enumerate(settings.widths)
        ]
        log.info("autoencoder, %d heads", len(bank))
        train_autoencoder(model, streams, autoencoder, settings.seed)
        pools = [LatentPool(model, stream, settings.pool) for stream in streams]
        for pool in pools:
            while len(pool) < settings.first_pairs:
                pool.add(settings.refresh)
        log.info("denoiser, %d heads", len(bank))
        train_denoiser(model, pools, denoiser, settings.seed, settings.refresh)
        heads = len(bank)
        log.info("evaluation, %d heads were trained on", heads)
        model.save(folder)
        stages = {"autoencoder": autoencoder.history, "denoiser": denoiser.history}
        scores = evaluate(folder, bank, test_bank, settings.seed, device)
    write_card(folder, asdict(settings) | {"heads": heads}, stages, scores, date)


def main() -> None:
    """Parse the command line and train."""
    import torch

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("headstyle").setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description="Train the mini editor.")
    defaults = EditorSettings(workers=os.cpu_count() or 1)
    for name, value in asdict(defaults).items():
        if not isinstance(value, tuple):
            option = f"--{name.replace('_', '-')}"
            parser.add_argument(option, type=type(value), default=value)
    parser.add_argument("--widths", type=int, nargs="+", default=defaults.widths)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--date", default="unknown")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = vars(parser.parse_args())
    out, device, date = (options.pop(name) for name in ("out", "device", "date"))
    options["widths"] = tuple(options["widths"])
    out.mkdir(parents=True, exist_ok=True)
    train_editor(EditorSettings(**options), out, device, date)


if __name__ == "__main__":
    main()
