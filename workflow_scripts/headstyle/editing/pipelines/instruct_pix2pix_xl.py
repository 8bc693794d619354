"""InstructPix2Pix on Stable Diffusion XL: two text encoders, and sizes as a condition.

Everything else is as in `headstyle.editing.instruct_pix2pix`: the start from the noised render, the
two guidances, batches and seeds.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor
from torch.nn.functional import pad
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from headstyle.base.errors import InputError
from headstyle.editing.instruct_pix2pix import InstructPix2Pix, load_part
from headstyle.editing.pipelines.folders import read_object


@dataclass(kw_only=True)
class InstructPix2PixXl(InstructPix2Pix):
    """The parts of an XL pipeline on one device, and their settings."""

    text_encoder_2: CLIPTextModelWithProjection
    """Second encoder of the instruction, which also gives one vector for all of it."""
    tokenizer_2: CLIPTokenizer
    """Tokenizer of the second encoder."""

    @classmethod
    def _loaded(cls, folder: Path, dtype: torch.dtype, device: str) -> dict[str, Any]:
        parts = super()._loaded(folder, dtype, device)
        trained = read_object(folder / "scheduler" / "scheduler_config.json", "editing.model")
        if "beta_start" not in trained:
            raise InputError(
                f"editing.model: the scheduler in {folder} is a {trained.get('_class_name')} "
                "without betas, which this editor does not know; name another model"
            )
        # Schedulers of other classes do not say that latents are not clipped.
        parts["scheduler"] = load_part(
            DDIMScheduler, folder / "scheduler", clip_sample=False, set_alpha_to_one=False
        )
        if parts["vae"].config.force_upcast:
            # Its activations overflow in half precision.
            parts["vae"] = parts["vae"].float()
        second = load_part(
            CLIPTextModelWithProjection,
            folder / "text_encoder_2",
            torch_dtype=dtype,
            use_safetensors=True,
        )
        return {
            **parts,
            "text_encoder_2": second.to(device),
            "tokenizer_2": load_part(CLIPTokenizer, folder / "tokenizer_2"),
        }

    def describe(self) -> dict[str, Any]:
        """The model and its settings."""
        return {**super().describe(), "pipeline": "StableDiffusionXLInstructPix2PixPipeline"}

    def embed(self, text: str) -> Tensor:
        """Embedding of a text by both encoders. Shape `(1, tokens + rows, width)`.

        The last rows hold the vector of the whole text, filled up with zeros, so that a text is one
        tensor as in the smaller model.
        """
        if text not in self._embeddings:
            first = self._encoded(self.tokenizer, self.text_encoder, text)
            second = self._encoded(self.tokenizer_2, self.text_encoder_2, text)
            tokens = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
            whole: Tensor = second.text_embeds
            width = tokens.shape[-1]
            rows = pad(whole, (0, -whole.shape[-1] % width)).reshape(1, -1, width)
            self._embeddings[text] = torch.cat([tokens, rows], dim=1)
        return self._embeddings[text]

    def _encoded(self, tokenizer: CLIPTokenizer, encoder: Any, text: str) -> Any:
        padded = tokenizer(
            text,
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return encoder(padded.input_ids.to(encoder.device), output_hidden_states=True)

    def _run_unet(self, inputs: Tensor, timesteps: Tensor, texts: Tensor) -> Tensor:
        length = int(self.text_encoder_2.config.projection_dim or 0)
        rows = -(-length // texts.shape[-1])
        tokens, whole = texts[:, :-rows], texts[:, -rows:].flatten(1)[:, :length]
        _, down, across = inputs.shape[1:]
        size = (down * self.coder.factor, across * self.coder.factor)
        # The size of the original, where it was cropped, and the size of the result [px].
        sizes = torch.tensor([[*size, 0, 0, *size]], dtype=inputs.dtype, device=inputs.device)
        conditions = {"text_embeds": whole, "time_ids": sizes.expand(len(inputs), -1)}
        predicted: Tensor = self.unet(
            inputs,
            timesteps,
            encoder_hidden_states=tokens,
            added_cond_kwargs=conditions,
            return_dict=False,
        )[0]
        return predicted
