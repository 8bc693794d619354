"""How the mini editor is trained: first the autoencoder, then the text encoder and the denoiser.

The denoiser learns InstructPix2Pix's conditional, image-only and unconditional predictions (Brooks
et al. 2023) from encoded pairs, and besides what Instruct-NeRF2NeRF (Haque et al. 2023) starts
from: a picture that is not edited yet under much noise.
"""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from headstyle.learning.editor_data import (
    LatentPairs,
    LatentPool,
    PicturePool,
    Renewal,
    turn,
)
from headstyle.learning.editor_model import EditorModel
from headstyle.learning.editor_stage import Average, Stage
from headstyle.learning.editor_tokenizer import NEGATIVE_PROMPTS
from headstyle.losses import ssim_map
from headstyle.seeds import derived_seed

logger = logging.getLogger("headstyle.learning")

KL_WEIGHT = 2e-8
"""Of the sum over a picture's latents, 11,000 of them: 2e-7 left one of four channels unused."""
GRADIENT_WEIGHT, SSIM_WEIGHT = 0.5, 0.15
BACKGROUND_WEIGHT, HEAD_WEIGHT, CONCERNED_WEIGHT = 0.2, 0.8, 2.0
"""How much a latent pixel counts, how much more if it shows the head, and if the edit concerns it.
"""
# Shares of the batches in which parts of the condition are left out.
NO_TEXT, NO_TEXT_NO_IMAGE, NO_IMAGE = 0.12, 0.05, 0.05
UNEDITED_START_SHARE, UNEDITED_START_FROM = 0.5, 550
"""Of the pairs noised to this time step or further, the share that starts from the photograph."""
SCALE_PICTURES = 256


def train_autoencoder(
    model: EditorModel,
    pools: Sequence[PicturePool],
    stage: Stage,
    seed: int,
    save: Callable[[EditorModel], None] = lambda model: None,
) -> None:
    """Train the VAE on photographs and edits, and standardize its latents.

    Args:
        model: What is trained.
        pools: One for each picture size.
        stage: How long.
        seed: Of all that is drawn.
        save: Called now and then with the averaged model.
    """
    vae = model.vae.train().requires_grad_(True)
    device = next(vae.parameters()).device
    seed = derived_seed(seed, "autoencoder", stage.iteration)
    generator = torch.Generator(device).manual_seed(seed)
    renew, average = Renewal(stage, pools), Average([vae])

    def loss_of(iteration: int) -> Tensor:
        renew()
        images = pools[turn(iteration, len(pools))].draw(stage.batch, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            posterior = vae.encode(images).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=generator, device=device)
            decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        average.update(iteration)
        return reconstruction_loss(decoded.float(), images) + KL_WEIGHT * posterior.kl().mean()

    def report() -> None:
        save(dataclasses.replace(model, vae=average.averages[0]))

    stage.run(list(vae.parameters()), loss_of, report)
    average.apply()
    vae.eval().requires_grad_(False)
    with torch.no_grad():
        shown = pools[0].draw(SCALE_PICTURES, generator).split(stage.batch)
        standardize(vae, torch.cat([vae.encode(images).latent_dist.mode() for images in shown]))


@torch.no_grad()
def standardize(vae: AutoencoderKL, latents: Tensor) -> None:
    """Give each channel of the latents mean 0 and deviation 1, without a change of any picture.

    The denoiser is shown a photograph's latents as they are; those to be denoised are scaled by the
    factor in the VAE's configuration, which becomes 1.

    Args:
        vae: Its two convolutions next to the latents are changed.
        latents: What it makes of some pictures. Shape `(N, C, h, w)`.
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
    """L1 of colors and of their differences to the neighbors, and 1 - SSIM; in [-1, 1] images."""
    loss = functional.l1_loss(decoded, images)
    for dim in (2, 3):
        edges = functional.l1_loss(decoded.diff(dim=dim), images.diff(dim=dim))
        loss = loss + GRADIENT_WEIGHT * edges
    unit = [(image.permute(0, 2, 3, 1) + 1) / 2 for image in (decoded, images)]
    return loss + SSIM_WEIGHT * (1 - ssim_map(*unit).mean())


def train_denoiser(
    model: EditorModel,
    pools: Sequence[LatentPool],
    stage: Stage,
    seed: int,
    save: Callable[[EditorModel], None] = lambda model: None,
) -> None:
    """Train text encoder and UNet on encoded pairs.

    Args:
        model: What is trained; its autoencoder is.
        pools: One for each picture size.
        stage: How long.
        seed: Of all that is drawn.
        save: Called now and then with the averaged model.
    """
    networks = [model.unet.train(), model.text_encoder.train()]
    parameters = [p for network in networks for p in network.requires_grad_(True).parameters()]
    device = parameters[0].device
    seed = derived_seed(seed, "denoiser", stage.iteration)
    generator = torch.Generator(device).manual_seed(seed)
    nothing = model.tokens(NEGATIVE_PROMPTS).to(device)
    alphas = model.scheduler.alphas_cumprod.to(device)
    scale = model.vae.config.scaling_factor
    renew, average = Renewal(stage, pools), Average(networks)

    def loss_of(iteration: int) -> Tensor:
        renew()
        pairs = pools[turn(iteration, len(pools))].draw(stage.batch, generator)
        given = conditions(pairs, nothing, generator)
        noised, velocity, steps = noised_latents(pairs, given.target, alphas, scale, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            states = model.text_encoder(given.tokens)[0]
            inputs = torch.cat([noised, given.image], dim=1)
            predicted = model.unet(inputs, steps, encoder_hidden_states=states).sample
        average.update(iteration)
        weights = BACKGROUND_WEIGHT + HEAD_WEIGHT * pairs.shown + CONCERNED_WEIGHT * pairs.concerned
        return ((predicted.float() - velocity).square() * weights).mean() / weights.mean()

    def report() -> None:
        unet, text_encoder = average.averages
        save(dataclasses.replace(model, unet=unet, text_encoder=text_encoder))

    stage.run(parameters, loss_of, report)
    average.apply()
    for network in networks:
        network.eval().requires_grad_(False)


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is told, and what it should make of it."""

    image: Tensor
    """Latents of the photograph, 0 where left out."""
    tokens: Tensor
    """Of the instruction, of a text that stands for none where left out."""
    target: Tensor
    """Unscaled latents: the edit; without an instruction the photograph."""


def conditions(pairs: LatentPairs, nothing: Tensor, generator: torch.Generator) -> Conditions:
    """Leave out text, image, or both, of some pairs.

    Without an instruction the photograph stays as it is, so that no guidance on the text returns
    it; without photograph and instruction any head, edited or not, will do.
    """
    count, device = len(pairs.tokens), pairs.tokens.device

    def chance() -> Tensor:
        return torch.rand(count, generator=generator, device=device)

    drawn = chance()
    no_text = drawn < NO_TEXT + NO_TEXT_NO_IMAGE
    no_image = (drawn >= NO_TEXT) & (drawn < NO_TEXT + NO_TEXT_NO_IMAGE + NO_IMAGE)
    unedited = no_text & (~no_image | (chance() < 0.5))
    # Half of the time the empty text, which all others stand for.
    which = torch.randint(len(nothing), (count,), generator=generator, device=device)
    which = torch.where(chance() < 0.5, 0, which)
    return Conditions(
        image=torch.where(_wide(no_image), 0, pairs.photographs),
        tokens=torch.where(no_text[:, None], nothing[which], pairs.tokens),
        target=torch.where(_wide(unedited), pairs.photographs, pairs.edited),
    )


def noised_latents(
    pairs: LatentPairs, target: Tensor, alphas: Tensor, scale: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Noised latents, the velocity that leads from them to the target, and their time steps.

    Under much noise some latents are the photograph's instead of the target's: an edit starts from
    a render that is not edited yet.
    """
    count, device = len(target), target.device
    steps = torch.randint(len(alphas), (count,), generator=generator, device=device)
    signal = _wide(alphas[steps].sqrt())
    noise_level = _wide((1 - alphas[steps]).sqrt())
    noise = torch.randn(target.shape, generator=generator, device=device)
    chance = torch.rand(count, generator=generator, device=device)
    unedited = (steps >= UNEDITED_START_FROM) & (chance < UNEDITED_START_SHARE)
    start = torch.where(_wide(unedited), pairs.photographs, target) * scale
    clean = target * scale
    noised = signal * start + noise_level * noise
    # The noise that would have led from the target to here.
    noise = (noised - signal * clean) / noise_level
    return noised, signal * noise - noise_level * clean, steps


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
