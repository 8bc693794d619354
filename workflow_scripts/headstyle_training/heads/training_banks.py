"""The heads that a training learns from, and those that it is judged by."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.photographer import prepare
from headstyle_training.heads.settings import HeadSettings

FIRST_TRAINING_SEED = 1000
"""Heads of smaller seeds are never trained on."""
FIRST_EVALUATION_SEED = 100


@dataclass(frozen=True)
class Banks:
    """Heads to train on, which may still be growing in number, and unseen ones."""

    training: HeadBank
    unseen: HeadBank


def banks_of(
    settings: HeadSettings, device: str, shared: Banks | None = None, cache: Path | None = None
) -> AbstractContextManager[Banks]:
    """A training's heads, closed at the end of a `with` block unless they are shared.

    Args:
        settings: How many heads of which coarseness, and how many to wait for.
        device: Where they are held.
        shared: Banks that several trainings use; they stay open.
        cache: Folder that keeps sculpted heads, or None.
    """
    return nullcontext(shared) if shared is not None else opened_banks(settings, device, cache)


@contextmanager
def opened_banks(settings: HeadSettings, device: str, cache: Path | None = None) -> Iterator[Banks]:
    """New banks: all unseen heads and `first_heads` to train on are there when it yields."""
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + settings.heads)
    unseen_seeds = range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + settings.evaluation_heads)
    common: dict[str, Any] = {
        "coarseness": settings.coarseness,
        "workers": settings.workers,
        "device": device,
        "cache": cache,
    }
    # While heads are sculpted, which takes as long.
    preparing = threading.Thread(target=prepare, args=(device,), name="photographer", daemon=True)
    preparing.start()
    with HeadBank(unseen_seeds, **common) as unseen:
        unseen.wait_for(len(unseen_seeds))
    with HeadBank(seeds, **common) as training:
        training.wait_for(settings.first_heads)
        preparing.join()
        yield Banks(training, unseen)
