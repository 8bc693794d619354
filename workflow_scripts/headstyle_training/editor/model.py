"""The networks of the mini editor, an InstructPix2Pix of 9.2 million parameters for 256 px."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionInstructPix2PixPipeline,
    UNet2DConditionModel,
)
from diffusers.configuration_utils import ConfigMixin
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from headstyle_training.editor.tokenizer import TEXT_TOKENS, write_tokenizer

TEXT_WIDTH = 128
LATENT_CHANNELS = 4
LATENT_FACTOR = 4
"""Pixels per latent pixel along each side; with 8, four channels cannot hold a face's details."""


@dataclass
class EditorModel:
    """The parts of an InstructPix2Pix pipeline."""

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    scheduler: DDIMScheduler

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The parts that are trained, by the names of their folders."""
        return {"vae": self.vae, "text_encoder": self.text_encoder, "unet": self.unet}

    def to(self, device: torch.device | str) -> "EditorModel":
        """Move all networks."""
        for network in self.networks.values():
            network.to(device)
        return self

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token numbers of texts, padded and cut to the window. Shape `(N, TEXT_TOKENS)`, long."""
        padded = self.tokenizer(
            list(texts),
            padding="max_length",
            max_length=TEXT_TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        return padded.input_ids

    def save(self, folder: Path) -> None:
        """Write the pipeline in half precision into an empty folder, as diffusers does."""
        halves = {name: _half_copy(network) for name, network in self.networks.items()}
        pipeline = StableDiffusionInstructPix2PixPipeline(
            tokenizer=self.tokenizer,
            scheduler=self.scheduler,
            safety_checker=None,
            feature_extractor=None,
            image_encoder=None,
            requires_safety_checker=False,
            **halves,
        )
        pipeline.save_pretrained(folder, safe_serialization=True)


def mixed_precision(device: torch.device) -> torch.autocast:
    """Half precision on a GPU, full precision elsewhere.

    Converted weights are not cached: a recorded step would use those of its recording.
    """
    on_gpu = device.type == "cuda"
    return torch.autocast(device.type, torch.bfloat16, enabled=on_gpu, cache_enabled=False)


class HalfNorm(nn.GroupNorm):
    """Group normalization in the precision of its input; its sums are single precision anyway.

    Autocast would convert the input to single precision, which doubles the memory traffic of all
    layers that follow.
    """

    def forward(self, input: Tensor) -> Tensor:
        """What `nn.GroupNorm` returns."""
        weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
        with torch.autocast(input.device.type, enabled=False):
            return functional.group_norm(input, self.num_groups, weight, bias, self.eps)


def new_editor(scratch: Path, seed: int) -> EditorModel:
    """The untrained networks; `scratch` is an empty folder for the tokenizer's files."""
    tokenizer = write_tokenizer(scratch)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EditorModel(tokenizer, _text_encoder(tokenizer), _vae(), _unet(), _scheduler())


def load_editor_model(folder: Path) -> EditorModel:
    """The networks of a pipeline folder in single precision, to train on."""
    return EditorModel(
        CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
        AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32),
        DDIMScheduler.from_pretrained(folder / "scheduler"),
    )


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=TEXT_TOKENS,
            projection_dim=TEXT_WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 64, 96),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=LATENT_CHANNELS,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=256,
        # Attention over so many latent pixels would cost as much as all the rest.
        mid_block_add_attention=False,
    )


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=2 * LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(48, 80, 128, 128),
        layers_per_block=1,
        # Attention where there are few latent pixels: 16 by 16 of a square picture and fewer.
        down_block_types=("DownBlock2D",) * 2 + ("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",) * 2,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def _scheduler() -> DDIMScheduler:
    # Guidance combines predictions with weights that add up to one, so it is the same for v as for
    # epsilon; v is what few steps from much noise are learned best with (Salimans and Ho 2022).
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def _half_copy(network: nn.Module) -> nn.Module:
    # With its configuration, which holds the autoencoder's scaling factor.
    copied = copy.deepcopy(network).half()
    if isinstance(copied, ConfigMixin):
        # diffusers keeps the folder that weights came from, one of the training machine.
        copied.register_to_config(_name_or_path="")
    return copied
