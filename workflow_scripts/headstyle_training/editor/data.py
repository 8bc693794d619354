"""What the mini editor learns from: pictures for its autoencoder, encoded pairs after that.

Pictures are drawn ahead into pools on the device: a training that waits for each of its batches to
be rendered is three times as slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from headstyle_training.editor.model import LATENT_CHANNELS, LATENT_FACTOR, EditorModel
from headstyle_training.editor.tokenizer import TEXT_TOKENS
from headstyle_training.heads.pairs import EditBatch, PairStream
from headstyle_training.loop.progress import Progress
from headstyle_training.pictures.backgrounds import random_backgrounds

CLUTTERED_SHARE = 0.15
"""Share of the autoencoder's pictures with a background; the workflow edits pictures on black."""
PAIRS_AT_ONCE = 64
FIRST_SHARE = 0.5
"""Share of a pool that is filled before the training starts."""
RENEWALS, RENEWED_SHARE = 12, 0.15
"""A training has this many equal parts; after each, this share of the pools is renewed."""


def on_black(rgba: Tensor) -> Tensor:
    """Pictures `(B, 4, H, W)` over black, in [-1, 1]. Shape `(B, 3, H, W)`."""
    return rgba[:, :3] * rgba[:, 3:] * 2 - 1


def pictures(batch: EditBatch, generator: torch.Generator) -> Tensor:
    """Photographs and edits for the autoencoder, in [-1, 1]. Shape `(2 B, 3, H, W)`."""
    rgba = torch.cat([batch.photographs, batch.edited])
    count, _, height, width = rgba.shape
    behind = torch.zeros((count, 3, height, width), device=rgba.device)
    cluttered = int(CLUTTERED_SHARE * count)
    if cluttered:
        chosen = torch.randperm(count, generator=generator, device=rgba.device)[:cluttered]
        behind[chosen] = random_backgrounds(cluttered, height, width, generator, rgba.device)
    return (rgba[:, :3] * rgba[:, 3:] + behind * (1 - rgba[:, 3:])) * 2 - 1


def to_bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] as bytes."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte()


def from_bytes(images: Tensor) -> Tensor:
    """Bytes as images in [-1, 1]."""
    return images.float() / 127.5 - 1


class Pool(Protocol):
    """Holds up to `capacity` pairs that were drawn ahead; new ones replace the oldest."""

    capacity: int

    def add(self, pairs: int) -> None:
        """Draw pairs and add them."""


class PicturePool:
    """Pictures of one size, as bytes on the device."""

    def __init__(self, stream: PairStream, capacity: int, seed: int) -> None:
        """An empty pool for `capacity` pairs, of two pictures each."""
        self.capacity, self._stream, self._added = capacity, stream, 0
        device = stream.bank.device
        self._generator = torch.Generator(device).manual_seed(seed)
        size = (2 * capacity, 3, stream.height, stream.width)
        self._all = torch.empty(size, dtype=torch.uint8, device=device)

    def __len__(self) -> int:
        return min(self._added, 2 * self.capacity)

    def add(self, pairs: int) -> None:
        """Draw pairs and put their pictures in the place of the oldest."""
        made = to_bytes(pictures(self._stream.draw(pairs), self._generator))
        place = torch.arange(self._added, self._added + len(made), device=made.device)
        self._all[place % len(self._all)] = made
        self._added += len(made)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Random pictures in [-1, 1]. Shape `(count, 3, H, W)`."""
        chosen = torch.randint(len(self), (count,), generator=generator, device=self._all.device)
        return from_bytes(self._all[chosen])


@dataclass
class LatentPairs:
    """N encoded pairs."""

    photographs: Tensor
    """Latents of the photographs, the mode of the encoder's answer. Shape `(N, 4, h, w)`."""
    edited: Tensor
    """Latents of the true edits. Shape `(N, 4, h, w)`."""
    tokens: Tensor
    """Token numbers of the instructions. Shape `(N, TEXT_TOKENS)`."""
    concerned: Tensor
    """Share of each latent pixel that the edit may change. Shape `(N, 1, h, w)`."""
    shown: Tensor
    """Share of each latent pixel that shows the head, edited or not. Shape `(N, 1, h, w)`."""


class LatentPool:
    """The latest encoded pairs of one picture size, held on the device in half precision."""

    def __init__(self, model: EditorModel, stream: PairStream, capacity: int) -> None:
        """An empty pool that keeps at most `capacity` pairs of the stream."""
        self._model, self._stream, self.capacity = model, stream, capacity
        height, width = stream.height // LATENT_FACTOR, stream.width // LATENT_FACTOR
        device = stream.bank.device

        def empty(channels: int) -> Tensor:
            size = (capacity, channels, height, width)
            return torch.empty(size, dtype=torch.float16, device=device)

        self._all = LatentPairs(
            empty(LATENT_CHANNELS),
            empty(LATENT_CHANNELS),
            torch.zeros((capacity, TEXT_TOKENS), dtype=torch.long, device=device),
            empty(1),
            empty(1),
        )
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    @torch.no_grad()
    def add(self, pairs: int) -> None:
        """Draw pairs, encode them, and put them in the place of the oldest."""
        batch = self._stream.draw(pairs)
        device = batch.photographs.device
        either = torch.maximum(batch.photographs[:, 3:], batch.edited[:, 3:])
        # In the precision that the workflow encodes in.
        with torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
            first, second = (
                self._model.vae.encode(on_black(rgba)).latent_dist.mode()
                for rgba in (batch.photographs, batch.edited)
            )
        added = LatentPairs(
            first,
            second,
            self._model.tokens(batch.instructions).to(device),
            functional.avg_pool2d(batch.concerned[:, None].float(), LATENT_FACTOR),
            functional.avg_pool2d(either, LATENT_FACTOR),
        )
        place = torch.arange(self._added, self._added + pairs, device=device) % self.capacity
        for part in fields(LatentPairs):
            held = getattr(self._all, part.name)
            held[place] = getattr(added, part.name).to(held.dtype)
        self._added += pairs

    def draw(self, count: int, generator: torch.Generator) -> LatentPairs:
        """Random pairs of the pool, in single precision."""
        device = self._all.tokens.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)
        parts = (getattr(self._all, part.name)[chosen] for part in fields(LatentPairs))
        return LatentPairs(*(p.float() if p.is_floating_point() else p for p in parts))


def take_in(pool: Pool, pairs: int) -> None:
    """Add pairs, a few at a time."""
    for start in range(0, pairs, PAIRS_AT_ONCE):
        pool.add(min(PAIRS_AT_ONCE, pairs - start))


class Renewal:
    """Renews pools now and then, so that a training sees heads that were sculpted meanwhile."""

    def __init__(self, progress: Progress, pools: Sequence[Pool]) -> None:
        """Fill a share of each pool.

        Args:
            progress: How far the training is.
            pools: One pool for each picture size.
        """
        self._progress, self._pools = progress, pools
        self._next = self._part + 1
        for pool in pools:
            take_in(pool, max(1, round(FIRST_SHARE * pool.capacity)))

    def __call__(self) -> None:
        """Renew the pools when it is time; to be called in every iteration."""
        if self._part >= self._next:
            self._next = self._part + 1
            for pool in self._pools:
                take_in(pool, max(1, round(RENEWED_SHARE * pool.capacity)))

    @property
    def _part(self) -> int:
        return int(self._progress.done * RENEWALS)


def turn(iteration: int, sizes: int) -> int:
    """The place of the picture size of an iteration: three of four times the first size, 0."""
    return 0 if sizes == 1 or iteration % 4 else 1 + iteration // 4 % (sizes - 1)
