"""InstructPix2Pix's networks in full size with random weights, and the original's loop on them."""

from typing import Any

import torch
from accelerate import cpu_offload_with_hook
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from headstyle.editing.base import View
from headstyle.editing.weights import pipeline_folder
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer


def make_networks(toy: bool, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """UNet, VAE and text encoder of Stable Diffusion 1.5 for InstructPix2Pix, or the mini ones."""
    tokens = 77
    folder = pipeline_folder("mini", None)
    if toy:
        parts = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
        networks = {n: p.from_pretrained(folder / n, torch_dtype=dtype) for n, p in parts.items()}
        tokens = networks["text_encoder"].config.max_position_embeddings
    else:
        torch.manual_seed(0)
        with torch.device(device):
            networks = full_size_networks()
        # No noise is predicted, so that random weights do not blow the latents up.
        torch.nn.init.zeros_(networks["unet"].conv_out.weight)
        torch.nn.init.zeros_(networks["unet"].conv_out.bias)
        networks = {name: network.to(dtype).eval() for name, network in networks.items()}
    return networks | {
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer", model_max_length=tokens),
        "scheduler": DDIMScheduler(
            **{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
            **{"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1},
        ),
    }


def full_size_networks() -> dict[str, Any]:
    """860 M, 84 M and 123 M parameters, as configured in Stable Diffusion 1.5."""
    unet = UNet2DConditionModel(
        sample_size=64,
        in_channels=8,
        block_out_channels=(320, 640, 1280, 1280),
        down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
        cross_attention_dim=768,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        sample_size=512,
    )
    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12)
    text.num_attention_heads, text.projection_dim = 12, 768
    return {"unet": unet, "vae": vae, "text_encoder": CLIPTextModel(text)}


@torch.inference_mode()
def edit_as_the_original(networks: dict[str, Any], view: View, texts: Any, steps: int) -> Any:
    """One view by the loop of Instruct-GS2GS (its `InstructPix2Pix.edit_image`), at full noise."""
    unet, vae = networks["unet"], networks["vae"]
    scheduler = DDIMScheduler.from_config(networks["scheduler"].config)
    scheduler.set_timesteps(steps)

    def encoded(image: Any) -> Any:
        planes = torch.from_numpy(image[..., :3]).permute(2, 0, 1)[None] * 2 - 1
        return vae.encode(planes.to(texts.device, vae.dtype)).latent_dist.mode()

    start, condition = encoded(view.render), encoded(view.photograph)
    conditions = torch.cat([condition, condition, torch.zeros_like(condition)])
    latents = start * vae.config.scaling_factor
    latents = scheduler.add_noise(latents, torch.randn_like(latents), scheduler.timesteps[:1])
    for timestep in scheduler.timesteps:
        inputs = torch.cat([torch.cat([latents] * 3), conditions], dim=1)
        predicted = unet(inputs, timestep, encoder_hidden_states=texts).sample
        text, image, nothing = predicted.chunk(3)
        noise = nothing + 7.5 * (text - image) + 2.0 * (image - nothing)
        latents = scheduler.step(noise, timestep, latents).prev_sample
    images = vae.decode(latents / vae.config.scaling_factor).sample
    return (images / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()


def offload_as_the_original(networks: dict[str, Any], device: str) -> None:
    """Keep UNet and autoencoder in the host's memory while the other one works.

    Instruct-GS2GS asks its diffusers pipeline for this (`enable_model_cpu_offload`) whenever it
    edits in half precision; here are the same hooks on the same networks.
    """
    for network in (networks["unet"], networks["vae"]):
        network.to("cpu")
    _, unet = cpu_offload_with_hook(networks["unet"], device)
    cpu_offload_with_hook(networks["vae"], device, prev_module_hook=unet)
