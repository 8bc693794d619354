"""What the mini editor learns from: pictures for its autoencoder, encoded pairs after that."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from headstyle.learning.backgrounds import random_backgrounds
from headstyle.learning.editor_model import LATENT_CHANNELS, LATENT_FACTOR, EditorModel
from headstyle.learning.editor_tokenizer import TEXT_TOKENS
from headstyle.learning.pairs import EditBatch, PairStream

CLUTTERED_SHARE = 0.15
"""Of the pictures for the autoencoder; the others lie on black, as the workflow edits them."""


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


@dataclass
class LatentPairs:
    """N encoded pairs."""

    photographs: Tensor
    """Latents as the encoder gives them (its mode). Shape `(N, 4, h, w)`."""
    edited: Tensor
    """Likewise, of the true edits."""
    tokens: Tensor
    """Of the instructions. Shape `(N, TEXT_TOKENS)`."""
    concerned: Tensor
    """Share of each latent pixel that the edit may change. Shape `(N, 1, h, w)`."""


class LatentPool:
    """The latest encoded pairs of one picture size, held on the device in half precision."""

    def __init__(self, model: EditorModel, stream: PairStream, capacity: int) -> None:
        """An empty pool that keeps at most `capacity` pairs of the stream."""
        self._model, self._stream, self._capacity = model, stream, capacity
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
        )
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    @torch.no_grad()
    def add(self, count: int) -> None:
        """Draw pairs, encode them, and put them in the place of the oldest."""
        batch = self._stream.draw(count)
        device = batch.photographs.device
        place = torch.arange(self._added, self._added + count, device=device) % self._capacity
        for pool, rgba in (
            (self._all.photographs, batch.photographs),
            (self._all.edited, batch.edited),
        ):
            mode = self._model.vae.encode(on_black(rgba)).latent_dist.mode()
            pool[place] = mode.half()
        self._all.tokens[place] = self._model.tokens(batch.instructions).to(device)
        concerned = batch.concerned[:, None].float()
        self._all.concerned[place] = functional.avg_pool2d(concerned, LATENT_FACTOR).half()
        self._added += count

    def draw(self, count: int, generator: torch.Generator) -> LatentPairs:
        """Random pairs of the pool, in single precision."""
        device = self._all.tokens.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)
        return LatentPairs(
            self._all.photographs[chosen].float(),
            self._all.edited[chosen].float(),
            self._all.tokens[chosen],
            self._all.concerned[chosen].float(),
        )


def latent_scale(latents: Sequence[Tensor]) -> float:
    """The factor that gives latents a standard deviation of 1."""
    return float(1 / torch.cat([part.flatten() for part in latents]).std())
