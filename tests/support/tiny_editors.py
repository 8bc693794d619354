"""Random pipelines of today's editors, a few hundred kilobytes each, in the format of diffusers."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxKontextPipeline,
    FluxTransformer2DModel,
    LongCatImageEditPipeline,
    LongCatImageTransformer2DModel,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from tiny_pipeline import bytes_to_letters, write_tokenizer
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
)
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}"
)


def qwen_tokenizer() -> Qwen2Tokenizer:
    """A tokenizer of Qwen's kind without merges: every byte is a token."""
    vocabulary = {letter: i for i, letter in enumerate(bytes_to_letters())}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    tokenizer.chat_template = CHAT
    return tokenizer


def write_flux2_klein(folder: Path, *, is_distilled: bool = False) -> Path:
    """Write a FLUX.2 [klein] pipeline into `folder` and return it."""
    tokenizer = qwen_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(tokenizer),
                hidden_size=8,
                intermediate_size=8,
                # The pipeline reads the layers 9, 18 and 27.
                num_hidden_layers=28,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=4,
            )
        )
        transformer = Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=24,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        )
        vae = AutoencoderKLFlux2(
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=32,
        )
    pipeline = Flux2KleinPipeline(
        scheduler=_scheduler(),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=_loud(transformer),
        is_distilled=is_distilled,
    )
    pipeline.save_pretrained(folder)
    return folder


def write_qwen_image_edit(folder: Path) -> Path:
    """Write a Qwen-Image-Edit pipeline into `folder` and return it."""
    tokenizer = qwen_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=16,
            axes_dims_rope=(8, 4, 4),
        )
        vae = AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        )
        encoder = _vision_encoder(tokenizer)
    QwenImageEditPlusPipeline(
        scheduler=_scheduler(),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        processor=_processor(tokenizer),
        transformer=_loud(transformer),
    ).save_pretrained(folder)
    return folder


def write_longcat(folder: Path) -> Path:
    """Write a LongCat-Image-Edit pipeline into `folder` and return it."""
    tokenizer = qwen_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = LongCatImageTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            axes_dims_rope=(8, 4, 4),
        )
        vae = _vae(latent_channels=16)
        encoder = _vision_encoder(tokenizer)
    LongCatImageEditPipeline(
        scheduler=_scheduler(),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        text_processor=_processor(tokenizer),
        transformer=_loud(transformer),
    ).save_pretrained(folder)
    return folder


def write_flux_kontext(folder: Path) -> Path:
    """Write a FLUX.1 Kontext pipeline into `folder` and return it."""
    tokenizer = write_tokenizer(folder / "scratch_tokenizer")
    letters = [(letter, 0.0) for letter in bytes_to_letters()]
    second = T5TokenizerFast(vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=24,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        second_encoder = T5EncoderModel(
            T5Config(vocab_size=len(second), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        )
        transformer = FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            guidance_embeds=True,
            axes_dims_rope=(8, 4, 4),
        )
        vae = _vae(latent_channels=4)
    FluxKontextPipeline(
        scheduler=_scheduler(),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        text_encoder_2=second_encoder,
        tokenizer_2=second,
        transformer=_loud(transformer),
    ).save_pretrained(folder)
    return folder


WRITERS = {
    "flux2_klein": write_flux2_klein,
    "flux_kontext": write_flux_kontext,
    "longcat": write_longcat,
    "qwen_image_edit": write_qwen_image_edit,
}


def _loud(transformer: torch.nn.Module) -> torch.nn.Module:
    """The network with larger weights, so that a picture changes more than rounding does."""
    with torch.no_grad():
        for weights in transformer.parameters():
            if weights.ndim > 1:
                weights.mul_(3)
    return transformer


def _scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)


def _vae(latent_channels: int) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=0.5,
        shift_factor=0.1,
    )


def _processor(tokenizer: Qwen2Tokenizer) -> Qwen2VLProcessor:
    pixels = {"min_pixels": 28 * 28, "max_pixels": 56 * 56}
    return Qwen2VLProcessor(
        Qwen2VLImageProcessor(**pixels), tokenizer, Qwen2VLVideoProcessor(**pixels)
    )


def _vision_encoder(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    named = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
            },
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": 16,
                "fullatt_block_indexes": [0],
            },
            **named,
        )
    )
