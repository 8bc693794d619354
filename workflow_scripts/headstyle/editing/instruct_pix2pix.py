"""InstructPix2Pix (Brooks et al. 2023) on the components of a diffusers pipeline.

The edit starts from the avatar's render plus noise. It is conditioned on the original photograph
and on the instruction, as in Instruct-NeRF2NeRF (Haque et al. 2023). Views with the same seed share
one noise field. Images are composited on a background before the edit, and the background is
removed after it.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer
from transformers import logging as transformers_logging

from headstyle.base.errors import InputError, first_line
from headstyle.base.images import RgbaImage
from headstyle.editing import acceleration
from headstyle.editing.base import Instruction, View, one_each
from headstyle.editing.coder import ImageCoder, downloaded
from headstyle.editing.guidance import PREDICTIONS, Guidance, used_predictions
from headstyle.editing.memory import (
    GIB,
    DeviceMemory,
    check_weights_fit,
    even_batch,
    fitting_batch,
    sent,
)
from headstyle.editing.solvers import Steps, denoise, make_steps
from headstyle.editing.weights import (
    license_of,
    parameters_in,
    pipeline_files,
    pipeline_folder,
    words_beyond,
)

logger = logging.getLogger("headstyle.editing")

MOST_TOGETHER = 40
"""Largest batch of views; larger ones are not faster on a GPU."""
TOGETHER_ON_CPU = 9
MEMORY_TO_SHARE = 16 * GIB


@dataclass
class InstructPix2Pix:
    """The parts of a pipeline on one device, and their settings."""

    unet: UNet2DConditionModel
    """Network that predicts the noise."""
    vae: AutoencoderKL
    """Autoencoder between images and latents."""
    text_encoder: CLIPTextModel
    """Encoder of the instruction."""
    tokenizer: CLIPTokenizer
    """Tokenizer of the text encoder."""
    scheduler: DDIMScheduler
    """Noise schedule, as in the network's training."""
    diffusion_steps: int
    """Number of denoising steps."""
    negative_prompt: str
    """Text that the edit is guided away from."""
    batch_size: int | None = None
    """Views edited together. None takes as many as fit. If memory runs out, it is halved."""
    background: tuple[float, float, float] = (0, 0, 0)
    """Color behind the head during the edit, sRGB in [0, 1]."""
    solver: str = "ddim"
    """One of `solvers.SOLVERS`."""
    guidance_every: int = 1
    """Steps from one full guidance to the next; above 1 it is approximated."""
    model: str = ""
    """Name of the model, for `describe`."""
    revision: str | None = None
    """Revision of the model, for `describe`."""
    compile: str = "never"
    """Whether to compile the networks: never, auto, always or max."""
    max_memory_gb: float | None = None
    """Largest memory on a GPU [GiB]; None sets no limit."""
    license: str = "unknown"
    """License of the model, for `describe`."""
    memory: DeviceMemory = field(init=False)
    """Memory of the UNet's device."""

    def __post_init__(self) -> None:
        self.device = torch.device(self.unet.device)
        self.memory = DeviceMemory(self.device, self.max_memory_gb)
        # Avatars that share batches are all in memory at the same time.
        self.shares_batches = self.memory.total_bytes >= MEMORY_TO_SHARE
        self._embeddings: dict[str, Tensor] = {}
        acceleration.prepare_networks(self.unet, self.vae)
        self.accelerator = acceleration.Accelerator(self.device, self.compile)
        self.coder = ImageCoder(self.vae, self.background, self.memory, self.accelerator)
        self._fitting: dict[tuple[int, int], int] = {}
        self._used: set[int] = set()

    @classmethod
    def from_config(cls, editing: Mapping[str, Any], device: str) -> "InstructPix2Pix":
        """Load the pipeline of the config's section `editing`; from local files only.

        Raises:
            InputError: the model is missing, lacks a part, or is no InstructPix2Pix model.
        """
        model, revision = editing["model"], editing["revision"]
        files = pipeline_files(model, revision)
        half = editing["dtype"] == "float16" and torch.device(device).type == "cuda"
        dtype = torch.float16 if half else torch.float32
        check_weights_fit(
            "editing.model",
            {str(file): parameters_in(file) for file in files if file.suffix == ".safetensors"},
            dtype,
            device,
            "set editing.dtype to float16, take a smaller model or a device with more memory",
        )
        return cls(
            **cls._loaded(pipeline_folder(model, revision), dtype, device),
            diffusion_steps=editing["diffusion_steps"],
            negative_prompt=editing["negative_prompt"],
            batch_size=editing.get("batch_size"),
            background=tuple(editing["background"]),
            solver=editing.get("solver", "ddim"),
            guidance_every=editing.get("guidance_every", 1),
            model=model,
            revision=revision,
            compile=editing.get("compile", "never"),
            max_memory_gb=editing.get("max_memory_gb"),
            license=license_of(model, revision),
        )

    @classmethod
    def _loaded(cls, folder: Path, dtype: torch.dtype, device: str) -> dict[str, Any]:
        """The parts of a pipeline folder, by the names of the fields."""
        network = {"torch_dtype": dtype, "use_safetensors": True}
        return {
            "unet": load_part(UNet2DConditionModel, folder / "unet", **network).to(device),
            "vae": load_part(AutoencoderKL, folder / "vae", **network).to(device),
            "text_encoder": load_part(CLIPTextModel, folder / "text_encoder", **network).to(device),
            "tokenizer": load_part(CLIPTokenizer, folder / "tokenizer"),
            "scheduler": load_part(DDIMScheduler, folder / "scheduler"),
        }

    def describe(self) -> dict[str, Any]:
        """The model and its settings."""
        return {
            "editor": "instruct_pix2pix",
            "model": self.model,
            "revision": self.revision,
            "license": self.license,
            "diffusion_steps": self.diffusion_steps,
            "solver": self.solver,
            "guidance_every": self.guidance_every,
            "negative_prompt": self.negative_prompt,
            "background": list(self.background),
            "dtype": str(self.unet.dtype).removeprefix("torch."),
        }

    def describe_machine(self) -> dict[str, Any]:
        """Device, batch sizes, and the largest memory that was allocated on the device."""
        return {
            "device": str(self.device),
            "batch_sizes": sorted(self._used),
            "compiled": self.accelerator.working(),
            "peak_memory_bytes": self.memory.peak_bytes(),
        }

    def expect(self, views: int) -> None:
        """Announce how many views will be edited. For many views, the networks are compiled."""
        self.accelerator.expected_views += views

    @torch.inference_mode()
    def edit(
        self, views: Sequence[View], instructions: Instruction | Sequence[Instruction]
    ) -> list[RgbaImage]:
        """The edited views, in the given order. Views of one size are edited in batches.

        Raises:
            InputError: not even one view fits into the GPU's memory.
        """
        chosen = one_each(views, instructions)
        edited: dict[int, RgbaImage] = {}
        for batch in self._batches(views):
            images = self._edit_batch([views[i] for i in batch], [chosen[i] for i in batch])
            edited.update(zip(batch, images, strict=True))
            logger.info("%d of %d views edited", len(edited), len(views))
        return [edited[i] for i in range(len(views))]

    def embed(self, text: str) -> Tensor:
        """Embedding of a text, shape `(1, tokens, width)`. Warns if the end of the text is cut."""
        if text not in self._embeddings:
            if beyond := words_beyond(self.tokenizer, text):
                logger.warning("the text encoder does not see the end of the prompt: %s", beyond)
            padded = self.tokenizer(
                text,
                padding="max_length",
                max_length=self.tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            )
            ids = padded.input_ids.to(self.text_encoder.device)
            self._embeddings[text] = self.text_encoder(ids)[0]
        return self._embeddings[text]

    def _batches(self, views: Sequence[View]) -> Iterator[list[int]]:
        """Indices of views of one size, as many as fit together."""
        by_size: dict[tuple[int, int], list[int]] = {}
        for i, view in enumerate(views):
            by_size.setdefault(view.photograph.shape[:2], []).append(i)
        for size, indices in by_size.items():
            while indices:
                # Read it each time, because it is lowered when memory runs out.
                together = min(len(indices), self._batch_for(size, len(indices)))
                yield indices[:together]
                indices = indices[together:]

    def _batch_for(self, size: tuple[int, int], count: int) -> int:
        """Number of views of a size that are edited together, if `count` are left."""
        if self.batch_size is not None:
            return self.batch_size
        if self.device.type == "cpu":
            return TOGETHER_ON_CPU
        if size not in self._fitting:
            self.memory.release()
            free = self.memory.free_bytes() or 0
            most = fitting_batch(lambda n: self._needed(size, n), free, MOST_TOGETHER)
            # Keep the size for all later batches, because a compiled network accepts a single
            # shape.
            self._fitting[size] = even_batch(count, most)
            logger.info("views of %dx%d px: %d in a batch", *size[::-1], self._fitting[size])
        return self._fitting[size]

    def _needed(self, size: tuple[int, int], count: int) -> int:
        """Memory of one denoising step of `count` views [bytes]."""
        latents = torch.zeros((count, *self.coder.latent_shape(size)), device=self.device)
        nothing = self.embed(self.negative_prompt).expand(3 * count, -1, -1)
        times = torch.zeros(3 * count, dtype=torch.long, device=self.device)
        inputs = torch.cat([latents, latents], dim=1).repeat(3, 1, 1, 1).to(self.unet.dtype)
        return self.memory.needed_by(lambda: self._run_unet(inputs, times, nothing))

    def _edit_batch(
        self, views: Sequence[View], instructions: Sequence[Instruction]
    ) -> list[RgbaImage]:
        _, down, across = self.coder.latent_shape(views[0].photograph.shape[:2])
        try:
            with acceleration.fused_attention(self.unet, down * across):
                edited = self._diffuse(views, instructions)
        except torch.OutOfMemoryError:
            if len(views) == 1:
                height, width = views[0].photograph.shape[:2]
                raise InputError(
                    f"one view of {width}x{height} px does not fit into the GPU's memory; set "
                    "images.size_px lower, editing.dtype to float16 or editing.max_memory_gb higher"
                ) from None
            edited = None
        # This is outside of the handler, where no reference keeps the memory of the failed batch.
        if edited is None:
            self.memory.release()
            half = (len(views) + 1) // 2
            self.batch_size = half
            logger.warning("out of GPU memory with %d views; continuing with %d", len(views), half)
            return [
                *self._edit_batch(views[:half], instructions[:half]),
                *self._edit_batch(views[half:], instructions[half:]),
            ]
        self._used.add(len(views))
        return edited

    def _diffuse(
        self, views: Sequence[View], instructions: Sequence[Instruction]
    ) -> list[RgbaImage]:
        """Edit one batch of views of one size. Only its end waits for the device."""
        size, count = views[0].photograph.shape[:2], len(views)
        if self.accelerator.compiling and count < self._batch_for(size, count):
            # Fill up the last batch, because a compiled network accepts a single shape.
            more = self._batch_for(size, count) - count
            views = [*views, *[views[-1]] * more]
            instructions = [*instructions, *[instructions[-1]] * more]
        # Do all of the host's work first, so that the device does not wait between the networks.
        levels = [instruction.noise_level for instruction in instructions]
        steps = make_steps(self.scheduler, self.diffusion_steps, levels, self.device)
        texts = self._texts(instructions)
        # An autoencoder may need a wider number type than the UNet.
        condition = self.coder.encoded([v.photograph for v in views]).to(self.unet.dtype)
        renders = self.coder.encoded([view.render for view in views])
        latents = self._start(renders, instructions, steps)
        predict = self._guided(condition, texts, instructions)
        latents = denoise(latents, steps, predict, self.solver)
        edited = self.coder.decoded(latents, [view.photograph for view in views])
        return list(downloaded(edited[:count]))

    def _start(self, renders: Tensor, instructions: Sequence[Instruction], steps: Steps) -> Tensor:
        """The renders' latents at the noise of the first step, float32."""
        fields: dict[int, Tensor] = {}
        for instruction in instructions:
            if instruction.seed not in fields:
                generator = torch.Generator().manual_seed(instruction.seed)
                # Draw on the CPU, so that the noise is the same on every machine.
                drawn = torch.randn(renders.shape[1:], generator=generator)
                fields[instruction.seed] = sent(drawn, self.device)
        noise = torch.stack([fields[instruction.seed] for instruction in instructions])
        scaled = renders.float() * self.vae.config.scaling_factor
        levels = sent(torch.tensor([i.noise_level for i in instructions]), self.device)
        # At full noise, the render has no influence, as in diffusers' pipeline.
        return torch.where(levels[:, None, None, None] < 1, steps.noised(scaled, noise), noise)

    def _texts(self, instructions: Sequence[Instruction]) -> Tensor:
        """Embeddings of the instructions, then of the negative prompt twice. `(3 B, tokens, C)`."""
        prompts = torch.cat([self.embed(instruction.text) for instruction in instructions])
        nothing = self.embed(self.negative_prompt).expand(len(prompts), -1, -1)
        return torch.cat([prompts, nothing, nothing])

    def _guided(
        self, condition: Tensor, texts: Tensor, instructions: Sequence[Instruction]
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """A function of latents and time steps that returns the guided prediction.

        One call of the UNet computes all predictions that a step needs.
        """
        used = self._used_predictions(instructions)
        guidances = [[i.text_guidance, i.image_guidance] for i in instructions]
        on_text, on_image = sent(torch.tensor(guidances), self.device).T[:, :, None, None, None]
        guidance = Guidance(on_text, on_image, used, self.guidance_every)
        conditions = (condition, condition, torch.zeros_like(condition))
        parts = texts.chunk(3)
        graphs = acceleration.graphs_help(self.device, len(instructions))
        name = "unet with graphs" if graphs else "unet"
        run = self.accelerator.fast(name, self._run_unet, graphs)

        def predict(latents: Tensor, timesteps: Tensor) -> Tensor:
            asked = guidance.asked
            repeated = latents.repeat(len(asked), 1, 1, 1).to(self.unet.dtype)
            inputs = torch.cat([repeated, torch.cat([conditions[i] for i in asked])], dim=1)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            prompts = torch.cat([parts[i] for i in asked])
            found = run(inputs, timesteps.repeat(len(asked)), prompts).float().chunk(len(asked))
            return guidance.combined(dict(zip(asked, found, strict=True)))

        return predict

    def _used_predictions(self, instructions: Sequence[Instruction]) -> list[int]:
        """The predictions that at least one view needs; all for a compiled network."""
        if self.accelerator.compiling:
            return list(PREDICTIONS)  # A compiled network is compiled anew for another shape.
        return used_predictions([(i.text_guidance, i.image_guidance) for i in instructions])

    def _run_unet(self, inputs: Tensor, timesteps: Tensor, texts: Tensor) -> Tensor:
        return self.unet(inputs, timesteps, encoder_hidden_states=texts, return_dict=False)[0]


def load_part(part: Any, folder: Path, **options: Any) -> Any:
    """A part of a pipeline, loaded from its folder as the class `part`.

    Raises:
        InputError: the folder holds something else.
    """
    # These parts load in seconds. A bar of their tensors would stand between the run's lines.
    transformers_logging.disable_progress_bar()
    try:
        return part.from_pretrained(folder, local_files_only=True, **options)
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"editing.model: {folder} cannot be loaded as {part.__name__} ({reason}); "
            "provide it again"
        ) from error
