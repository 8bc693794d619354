"""Train the mini editor's autoencoder, and standardize its latents."""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from diffusers import AutoencoderKL
from headstyle.base.seeds import derived_seed
from headstyle.editing.channel_norm import replace_group_norms
from headstyle.losses.photometric import ssim_map
from torch import Tensor
from torch.nn import functional

from headstyle_training.editor.data import PicturePool, Renewal, turn
from headstyle_training.editor.model import (
    LATENT_CHANNELS,
    LATENT_FACTOR,
    EditorModel,
    HalfNorm,
    mixed_precision,
)
from headstyle_training.loop.progress import Progress
from headstyle_training.loop.training import TrainingLoop

KL_WEIGHT = 2e-8
"""Weight of the sum over the 11,000 latents of a picture; 2e-7 left a channel of four unused."""
GRADIENT_WEIGHT, SSIM_WEIGHT = 0.5, 0.15
SCALE_PICTURES = 256
"""Pictures whose latents are standardized."""


def train_autoencoder(
    model: EditorModel,
    pools: Sequence[PicturePool],
    progress: Progress,
    save: Callable[[EditorModel], None] = lambda model: None,
) -> None:
    """Train the VAE on photographs and edits, and standardize its latents.

    Args:
        model: The networks; the VAE is trained in place.
        pools: One pool for each picture size.
        progress: How far the training is; it ends where this is done.
        save: Called now and then with the averaged model.

    Raises:
        FloatingPointError: the loss is no longer a number.
    """
    settings = progress.settings
    vae = model.vae.train().requires_grad_(True)
    replace_group_norms(vae, HalfNorm)
    device = next(vae.parameters()).device
    seed = derived_seed(settings.seed, "autoencoder", progress.iteration)
    generator = torch.Generator(device).manual_seed(seed)
    renew, loop = Renewal(progress, pools), TrainingLoop(progress, [vae])

    def draw(iteration: int) -> tuple[Tensor, Tensor]:
        renew()
        images = pools[turn(iteration, len(pools))].draw(settings.batch, generator)
        height, width = (side // LATENT_FACTOR for side in images.shape[2:])
        size = (settings.batch, LATENT_CHANNELS, height, width)
        return images, torch.randn(size, generator=generator, device=device)

    def loss_of(images: Tensor, noise: Tensor) -> Tensor:
        with mixed_precision(device):
            posterior = vae.encode(images).latent_dist
            decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        return reconstruction_loss(decoded.float(), images) + KL_WEIGHT * posterior.kl().mean()

    def save_average() -> None:
        save(dataclasses.replace(model, vae=loop.averaged[0]))

    loop.run(draw, loss_of, save=save_average)
    loop.use_average()
    vae.eval().requires_grad_(False)
    with torch.no_grad():
        shown = pools[0].draw(SCALE_PICTURES, generator).split(settings.batch)
        standardize(vae, torch.cat([vae.encode(images).latent_dist.mode() for images in shown]))


@torch.no_grad()
def standardize(vae: AutoencoderKL, latents: Tensor) -> None:
    """Give each channel of the latents mean 0 and deviation 1; decoded pictures stay the same.

    The denoiser sees a photograph's latents unscaled. The latents that it denoises are scaled by
    the factor in the VAE's configuration, which becomes 1.

    Args:
        vae: Its two convolutions next to the latents are changed in place.
        latents: Latents of some pictures, as it encodes them. Shape `(N, C, h, w)`.
    """
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    count, before, after = len(mean), vae.quant_conv, vae.post_quant_conv
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= deviation[:, None, None]
    # The first half of the channels are means, the second logarithms of variances.
    before.weight[:count] /= deviation[:, None, None, None]
    before.bias[:count] = (before.bias[:count] - mean) / deviation
    before.bias[count:] -= 2 * deviation.log()
    vae.register_to_config(scaling_factor=1.0)


def reconstruction_loss(decoded: Tensor, images: Tensor) -> Tensor:
    """L1 of the colors, L1 of their gradients, and 1 - SSIM, added with their weights.

    Args:
        decoded: Images in [-1, 1]. Shape `(B, 3, H, W)`.
        images: The originals, likewise.

    Returns:
        A scalar, 0 for equal images.
    """
    loss = functional.l1_loss(decoded, images)
    for dim in (2, 3):
        edges = functional.l1_loss(decoded.diff(dim=dim), images.diff(dim=dim))
        loss = loss + GRADIENT_WEIGHT * edges
    unit = [(image.permute(0, 2, 3, 1) + 1) / 2 for image in (decoded, images)]
    return loss + SSIM_WEIGHT * (1 - ssim_map(*unit).mean())
