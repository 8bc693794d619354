"""A random InstructPix2Pix pipeline of a few hundred kilobytes, in the format of diffusers."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionXLInstructPix2PixPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)
from transformers.models.clip.tokenization_clip import VOCAB_FILES_NAMES


def bytes_to_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte, in GPT-2's order."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [b for b in range(256) if b not in kept]
    return [chr(b) for b in kept] + [chr(256 + i) for i in range(len(moved))]


def write_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer without merges: every byte is a token, so any script can be read."""
    letters = bytes_to_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    vocabulary = folder / VOCAB_FILES_NAMES["vocab_file"]
    vocabulary.write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / VOCAB_FILES_NAMES["merges_file"]).write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=24)
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_tiny_xl_pipeline(folder: Path) -> Path:
    """Write a pipeline on Stable Diffusion XL into `folder` and return it."""
    write_tiny_pipeline(folder, context=64, **XL_CONDITIONS)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    parts = StableDiffusionInstructPix2PixPipeline.from_pretrained(
        folder, safety_checker=None
    ).components
    with torch.random.fork_rng():
        torch.manual_seed(1)
        # A vector for the whole text that is wider than an embedding, as it may be.
        second = CLIPTextModelWithProjection(_text_config(tokenizer, projection_dim=80))
    shutil.rmtree(folder)
    StableDiffusionXLInstructPix2PixPipeline(
        **{name: parts[name] for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")},
        text_encoder_2=second,
        tokenizer_2=tokenizer,
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


XL_CONDITIONS = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + 80,
}


def _text_config(tokenizer: CLIPTokenizer, projection_dim: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=24,
        projection_dim=projection_dim,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def write_tiny_pipeline(
    folder: Path, *, unet_channels: int = 8, context: int = 32, **conditions: object
) -> Path:
    """Write the pipeline into `folder` and return it. The weights are the same every time."""
    tokenizer = write_tokenizer(folder / "scratch_tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text_encoder = CLIPTextModel(_text_config(tokenizer, projection_dim=32))
        unet = UNet2DConditionModel(
            sample_size=8,
            in_channels=unet_channels,
            out_channels=4,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=context,
            attention_head_dim=8,
            norm_num_groups=8,
            **conditions,
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 8, 16),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=64,
        )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    StableDiffusionInstructPix2PixPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder
