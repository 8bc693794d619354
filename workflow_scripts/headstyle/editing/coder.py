"""Images to latents and back: a pipeline's autoencoder, in batches that fit into memory."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn.functional import pad

from headstyle.base.images import RgbaImage
from headstyle.editing.acceleration import Accelerator, filled
from headstyle.editing.latents import LatentCache
from headstyle.editing.memory import DeviceMemory, even_batch, fitting_batch, sent_together

MOST_TOGETHER = 20
"""Largest batch of images; larger ones are not faster on a GPU."""


class ImageCoder:
    """Encodes images on a background to latents; decodes latents and restores the alpha."""

    def __init__(
        self,
        vae: AutoencoderKL,
        background: tuple[float, float, float],
        memory: DeviceMemory,
        accelerator: Accelerator,
    ) -> None:
        self.vae = vae
        self.memory = memory
        self.accelerator = accelerator
        self.device = torch.device(vae.device)
        self.background = torch.tensor(background, dtype=torch.float32, device=self.device)
        self.known = LatentCache()
        """Latents of photographs and renders that are already encoded."""
        self._alphas = LatentCache()
        self._fitting: dict[tuple[int, int], int] = {}

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """Channels, height and width of the latents of images of a size (height, width)."""
        height, width = (-(-length // self.factor) for length in size)
        return self.vae.config.latent_channels, height, width

    def encoded(self, images: Sequence[RgbaImage]) -> Tensor:
        """Latents of images on the background. Each image is encoded once. Shape `(B, C, h, w)`."""

        def encode(new: list[RgbaImage]) -> Tensor:
            together = self._batch_for(new[0].shape[:2], len(new))
            parts = [new[i : i + together] for i in range(0, len(new), together)]
            run = self.accelerator.fast("encoder", self._encode)
            latents = [run(filled(self._to_tensor(p), self._shape_for(together))) for p in parts]
            return torch.cat([some[: len(p)] for some, p in zip(latents, parts, strict=True)])

        return self.known.encoded(images, encode)

    def decoded(self, latents: Tensor, photographs: Sequence[RgbaImage]) -> Tensor:
        """Images with their photographs' alpha. Shape `(B, H, W, 4)`."""
        scaled = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        together = self._batch_for(photographs[0].shape[:2], len(scaled))
        run = self.accelerator.fast("decoder", self._decode)
        images = [
            run(filled(part, self._shape_for(together)))[: len(part)].float()
            for part in scaled.split(together)
        ]
        return self._cut_out(torch.cat(images), photographs)

    def _encode(self, images: Tensor) -> Tensor:
        # Take the mode, not a sample, so that only the noise of the edit is random.
        return self.vae.encode(images).latent_dist.mode()

    def _decode(self, latents: Tensor) -> Tensor:
        return self.vae.decode(latents, return_dict=False)[0]

    def _shape_for(self, together: int) -> int:
        """Size that a batch is filled up to, because compiled networks accept a single shape."""
        return together if self.accelerator.compiling else 0

    def _batch_for(self, size: tuple[int, int], count: int) -> int:
        """Number of images that are encoded or decoded together, out of `count`."""
        # One by one on the CPU, so that the bytes of an image never depend on the others.
        if self.device.type == "cpu":
            return 1
        if size not in self._fitting:

            def needed(images: int) -> int:
                shape = (images, *self.latent_shape(size))
                latents = torch.zeros(shape, device=self.device, dtype=self.vae.dtype)
                return self.memory.needed_by(lambda: self._decode(latents))

            self.memory.release()
            most = fitting_batch(needed, self.memory.free_bytes() or 0, MOST_TOGETHER)
            self._fitting[size] = even_batch(count, most)
        return self._fitting[size]

    @property
    def factor(self) -> int:
        """Pixels per latent pixel."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    def _to_tensor(self, images: Sequence[RgbaImage]) -> Tensor:
        """Images on the background in [-1, 1], padded to whole latents. Shape `(B, 3, H, W)`."""
        stacked = sent_together(images, self.device)
        alpha = stacked[..., 3:]
        laid = stacked[..., :3] * alpha + self.background * (1 - alpha)
        planes = laid.permute(0, 3, 1, 2) * 2 - 1
        down, right = (-length % self.factor for length in planes.shape[2:])
        laid = pad(planes, (0, right, 0, down), mode="replicate").to(self.vae.dtype)
        return laid.contiguous(memory_format=torch.channels_last)

    def _cut_out(self, images: Tensor, photographs: Sequence[RgbaImage]) -> Tensor:
        """Remove the padding and the background's share in transparent pixels; restore alpha."""
        height, width = photographs[0].shape[:2]
        alpha = self._alphas.encoded(photographs, self._sent_alphas)
        colors = (images.permute(0, 2, 3, 1)[:, :height, :width] + 1) / 2
        apart = colors.clamp(0, 1) - self.background
        edited = self.background + apart / alpha.clamp_min(0.05)
        return torch.cat([edited.clamp(0, 1), alpha], dim=-1)

    def _sent_alphas(self, images: Sequence[RgbaImage]) -> Tensor:
        """Images' alpha on the device. Shape `(B, H, W, 1)`."""
        return sent_together([image[..., 3:] for image in images], self.device)


def downloaded(images: Tensor) -> np.ndarray:
    """Copy a tensor from a GPU to the host's memory at the bus's full speed."""
    if images.device.type != "cuda":
        return images.numpy()
    # The allocator keeps such memory for the next batch.
    host = torch.empty(images.shape, dtype=images.dtype, pin_memory=True)
    return host.copy_(images).numpy()
