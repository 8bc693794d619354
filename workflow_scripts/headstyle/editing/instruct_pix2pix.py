"""InstructPix2Pix (Brooks et al. 2023) on the components of a diffusers pipeline.

The edit starts from the avatar's render, noised to a part of the full noise, and is conditioned on
the original photograph and on the instruction, as in Instruct-NeRF2NeRF (Haque et al. 2023). All
views share one noise field. Images are laid over one background before and cut out again after.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import pad
from transformers import CLIPTextModel, CLIPTokenizer

from headstyle.editing.base import Instruction, View, with_alpha
from headstyle.editing.weights import pipeline_files, pipeline_folder
from headstyle.errors import InputError
from headstyle.images import Image, RgbaImage, composite

logger = logging.getLogger("headstyle.editing")


@dataclass
class InstructPix2Pix:
    """The parts of a pipeline, on one device, and how to use them."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    diffusion_steps: int
    negative_prompt: str
    batch_size: int | None
    """Views edited together; None takes all of one size. Halved when memory runs out."""
    background: tuple[float, float, float] = (0, 0, 0)
    """Color behind the head while it is edited, sRGB in [0, 1]."""
    model: str = ""
    revision: str | None = None

    @classmethod
    def from_config(cls, editing: Mapping[str, Any], device: str) -> "InstructPix2Pix":
        """Load the pipeline of the config's section `editing`; from local files only.

        Raises:
            InputError: the model is missing, lacks a part, or is not an InstructPix2Pix one.
        """
        model, revision = editing["model"], editing["revision"]
        pipeline_files(model, revision)
        folder = pipeline_folder(model, revision)
        half = editing["dtype"] == "float16" and torch.device(device).type == "cuda"
        network = {"torch_dtype": torch.float16 if half else torch.float32, "use_safetensors": True}
        return cls(
            unet=_load(UNet2DConditionModel, folder / "unet", **network).to(device),
            vae=_load(AutoencoderKL, folder / "vae", **network).to(device),
            text_encoder=_load(CLIPTextModel, folder / "text_encoder", **network).to(device),
            tokenizer=_load(CLIPTokenizer, folder / "tokenizer"),
            scheduler=_load(DDIMScheduler, folder / "scheduler"),
            diffusion_steps=editing["diffusion_steps"],
            negative_prompt=editing["negative_prompt"],
            batch_size=editing["batch_size"],
            background=tuple(editing["background"]),
            model=model,
            revision=revision,
        )

    def describe(self) -> dict[str, Any]:
        """The model and how it is used."""
        return {
            "editor": "instruct_pix2pix",
            "model": self.model,
            "revision": self.revision,
            "diffusion_steps": self.diffusion_steps,
            "negative_prompt": self.negative_prompt,
            "background": list(self.background),
            "dtype": str(self.unet.dtype).removeprefix("torch."),
        }

    @torch.inference_mode()
    def edit(self, views: Sequence[View], instruction: Instruction) -> list[RgbaImage]:
        """The edited views, in the given order. Views of one size are edited in batches.

        Raises:
            InputError: not even one view fits into the GPU's memory.
        """
        # (3, tokens, width): the prompt, and nothing twice, in the order of `_guided_noise`.
        prompt, nothing = self.embed(instruction.text), self.embed(self.negative_prompt)
        embeddings = torch.cat([prompt, nothing, nothing])
        edited: dict[int, RgbaImage] = {}
        for batch in self._batches(views):
            images = self._edit_batch([views[i] for i in batch], embeddings, instruction)
            edited.update(zip(batch, images, strict=True))
            logger.info("%d of %d views edited", len(edited), len(views))
        return [edited[i] for i in range(len(views))]

    def embed(self, text: str) -> Tensor:
        """The text encoder's states. Shape `(1, tokens, width)`. Says what does not fit in."""
        longest = self.tokenizer.model_max_length
        ids = self.tokenizer(text).input_ids
        if len(ids) > longest:
            cut = self.tokenizer.decode(ids[longest - 1 : -1])
            logger.warning("the text encoder reads %d tokens and does not see: %s", longest, cut)
        padded = self.tokenizer(
            text, padding="max_length", max_length=longest, truncation=True, return_tensors="pt"
        )
        return self.text_encoder(padded.input_ids.to(self.text_encoder.device))[0]

    def _batches(self, views: Sequence[View]) -> Iterator[list[int]]:
        """Indices of views of one size, at most `batch_size` of them."""
        by_size: dict[tuple[int, ...], list[int]] = {}
        for i, view in enumerate(views):
            by_size.setdefault(view.photograph.shape, []).append(i)
        for indices in by_size.values():
            while indices:
                # Read anew each time, as running out of memory lowers it.
                size = self.batch_size or len(indices)
                yield indices[:size]
                indices = indices[size:]

    def _edit_batch(
        self, views: Sequence[View], embeddings: Tensor, instruction: Instruction
    ) -> list[RgbaImage]:
        try:
            decoded = self._diffuse(
                self._to_tensor([composite(v.render, self.background) for v in views]),
                self._to_tensor([composite(v.photograph, self.background) for v in views]),
                embeddings,
                instruction,
            )
        except torch.cuda.OutOfMemoryError:
            if len(views) == 1:
                raise InputError(
                    f"one view of {views[0].photograph.shape[1]}x{views[0].photograph.shape[0]} px "
                    "does not fit into the GPU's memory; set images.size_px lower or "
                    "editing.dtype to float16"
                ) from None
            decoded = None
        # Outside of the handler, where nothing holds on to the memory of the failed batch.
        if decoded is None:
            torch.cuda.empty_cache()
            half = (len(views) + 1) // 2
            self.batch_size = half
            logger.warning("out of GPU memory with %d views; going on with %d", len(views), half)
            return [
                *self._edit_batch(views[:half], embeddings, instruction),
                *self._edit_batch(views[half:], embeddings, instruction),
            ]
        return [self._cut_out(*pair) for pair in zip(decoded, views, strict=True)]

    def _diffuse(
        self, renders: Tensor, photographs: Tensor, embeddings: Tensor, instruction: Instruction
    ) -> Image:
        """Edit a batch of images in [-1, 1], shape `(B, 3, H, W)`, into sRGB `(B, H, W, 3)`."""
        condition = self._encode(photographs)
        scheduler = self.partial_schedule(instruction.noise_level)
        generator = torch.Generator().manual_seed(instruction.seed)
        noise = torch.randn((1, *condition.shape[1:]), generator=generator).to(condition.device)
        latents = noise.expand_as(condition) * scheduler.init_noise_sigma
        if instruction.noise_level < 1:
            scale = self.vae.config.scaling_factor
            start = scheduler.timesteps[:1].expand(len(condition))
            latents = scheduler.add_noise(self._encode(renders).float() * scale, latents, start)
        for timestep in scheduler.timesteps:
            epsilon = self._guided_noise(latents, condition, timestep, embeddings, instruction)
            latents = scheduler.step(epsilon, timestep, latents).prev_sample
        decoded = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype))
        images = (decoded.sample.float() + 1) / 2
        return images.permute(0, 2, 3, 1).clamp(0, 1).cpu().numpy()

    def _guided_noise(
        self,
        latents: Tensor,
        condition: Tensor,
        timestep: Tensor,
        embeddings: Tensor,
        instruction: Instruction,
    ) -> Tensor:
        """ε = ε(∅,∅) + s_I (ε(I,∅) − ε(∅,∅)) + s_P (ε(I,P) − ε(I,∅)), Brooks et al., eq. 3."""
        conditions = torch.cat([condition, condition, torch.zeros_like(condition)])
        inputs = torch.cat([torch.cat([latents] * 3).to(self.unet.dtype), conditions], dim=1)
        texts = embeddings.repeat_interleave(len(latents), dim=0)
        predicted = self.unet(inputs, timestep, encoder_hidden_states=texts).sample.float()
        both, image_only, neither = predicted.chunk(3)
        return (
            neither
            + instruction.image_guidance * (image_only - neither)
            + instruction.text_guidance * (both - image_only)
        )

    def partial_schedule(self, noise_level: float) -> DDIMScheduler:
        """All diffusion steps spread over the first `noise_level` of the training's time steps."""
        scheduler = DDIMScheduler.from_config(self.scheduler.config)
        full = scheduler.config.num_train_timesteps
        # Changed after construction, so that the noise of each time step stays the trained one.
        part = max(self.diffusion_steps, round(noise_level * full))
        scheduler.register_to_config(num_train_timesteps=min(part, full))
        scheduler.set_timesteps(self.diffusion_steps, device=self.unet.device)
        return scheduler

    def _encode(self, images: Tensor) -> Tensor:
        # The mode, not a sample: the noise of the edit is the only randomness.
        return self.vae.encode(images).latent_dist.mode()

    def _to_tensor(self, images: Sequence[Image]) -> Tensor:
        """Images in [-1, 1], padded to whole latent pixels. Shape `(B, 3, H, W)`."""
        stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) * 2 - 1
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        down, right = (-size % factor for size in stacked.shape[2:])
        return pad(stacked, (0, right, 0, down), mode="replicate").to(
            self.vae.device, self.vae.dtype
        )

    def _cut_out(self, image: Image, view: View) -> RgbaImage:
        """Take off the padding and half-transparent pixels' share of background, restore alpha."""
        alpha = view.photograph[..., 3:]
        image = image[: alpha.shape[0], : alpha.shape[1]]
        background = np.float32(self.background)
        edited = background + (image - background) / np.maximum(alpha, 0.05)
        return with_alpha(edited, view.photograph)


def _load(part: Any, folder: Path, **options: Any) -> Any:
    try:
        return part.from_pretrained(folder, local_files_only=True, **options)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"editing.model: {folder} cannot be loaded as {part.__name__} ({reason}); "
            "provide it again"
        ) from error
