"""Which heads a model is trained on. Nothing here needs torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """How many heads a training sculpts, and how fine they are."""

    heads: int
    """Distinct heads to train on, as far as they are sculpted in time."""
    evaluation_heads: int = 48
    """Heads that are kept from the training, to score the model on."""
    coarseness: float = 2.0
    """As in `sculpt_head`; 2 makes discs about 1.6 mm apart."""
    workers: int = 15
    """Processes that sculpt heads; 0 sculpts in the training's own process."""
    first_heads: int = 96
    """Heads to wait for before the training starts."""


@dataclass(frozen=True, kw_only=True)
class PairCheck:
    """How training pairs are looked at, and how long their speed is measured."""

    heads: int = 64
    first_seed: int = 1000
    coarseness: float = 2.0
    """As in `sculpt_head`; 2 makes discs about 1.6 mm apart."""
    workers: int = 0
    """Processes that sculpt heads; 0 sculpts in this one."""
    batch: int = 64
    """Pairs drawn at once."""
    height: int = 256
    """Height of the pictures [px]."""
    width: int = 256
    """Width of the pictures [px]."""
    seconds: float = 20.0
    """How long to draw pairs, and how long to draw backgrounds [s]."""
    rows: int = 12
    """Rows of the contact sheet."""
    columns: int = 3
    """Columns of the contact sheet."""
