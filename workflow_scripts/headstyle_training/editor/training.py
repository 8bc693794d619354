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
from headstyle.base.seeds import derived_seed
from headstyle.losses.photometric import ssim_map
from torch import Tensor, nn
from torch.nn import functional

from headstyle_training.editor.data import (
    LatentPairs,
    LatentPool,
    PicturePool,
    Renewal,
    turn,
)
from headstyle_training.editor.model import LATENT_CHANNELS, LATENT_FACTOR, EditorModel
from headstyle_training.editor.stage import Average, Stage
from headstyle_training.editor.tokenizer import NEGATIVE_PROMPTS

logger = logging.getLogger("headstyle_training")

KL_WEIGHT = 2e-8
"""Of the sum over a picture's latents, 11,000 of them: 2e-7 left one of four channels unused."""
GRADIENT_WEIGHT, SSIM_WEIGHT = 0.5, 0.15
BACKGROUND_WEIGHT, HEAD_WEIGHT, CONCERNED_WEIGHT = 0.2, 0.8, 2.0
"""How much a latent pixel counts, how much more if it shows the head, and if the edit concerns it.
"""
LARGEST_EMPHASIS = 4.0
"""So many times more what an edit concerns counts, if it is that much smaller than the head."""
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
    use_half_norms(vae)
    device = next(vae.parameters()).device
    seed = derived_seed(seed, "autoencoder", stage.iteration)
    generator = torch.Generator(device).manual_seed(seed)
    renew, average = Renewal(stage, pools), Average([vae])

    def draw(iteration: int) -> tuple[Tensor, Tensor]:
        renew()
        images = pools[turn(iteration, len(pools))].draw(stage.batch, generator)
        height, width = (side // LATENT_FACTOR for side in images.shape[2:])
        size = (stage.batch, LATENT_CHANNELS, height, width)
        return images, torch.randn(size, generator=generator, device=device)

    def loss_of(images: Tensor, noise: Tensor) -> Tensor:
        with mixed_precision(device):
            posterior = vae.encode(images).latent_dist
            decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        return reconstruction_loss(decoded.float(), images) + KL_WEIGHT * posterior.kl().mean()

    def report() -> None:
        save(dataclasses.replace(model, vae=average.averages[0]))

    stage.run(list(vae.parameters()), draw, loss_of, average, report)
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
    use_half_norms(model.unet)
    parameters = [p for network in networks for p in network.requires_grad_(True).parameters()]
    device = parameters[0].device
    seed = derived_seed(seed, "denoiser", stage.iteration)
    generator = torch.Generator(device).manual_seed(seed)
    nothing = model.tokens(NEGATIVE_PROMPTS).to(device)
    alphas = model.scheduler.alphas_cumprod.to(device)
    scale = model.vae.config.scaling_factor
    renew, average = Renewal(stage, pools), Average(networks)

    def draw(iteration: int) -> tuple[Tensor, ...]:
        renew()
        pairs = pools[turn(iteration, len(pools))].draw(stage.batch, generator)
        given = conditions(pairs, nothing, generator)
        noised, velocity, steps = noised_latents(pairs, given.target, alphas, scale, generator)
        inputs = torch.cat([noised, given.image], dim=1)
        return inputs, steps, given.tokens, velocity, pixel_weights(pairs)

    def loss_of(
        inputs: Tensor, steps: Tensor, tokens: Tensor, velocity: Tensor, weights: Tensor
    ) -> Tensor:
        with mixed_precision(device):
            states = model.text_encoder(tokens)[0]
            predicted = model.unet(inputs, steps, encoder_hidden_states=states).sample
        return ((predicted.float() - velocity).square() * weights).mean() / weights.mean()

    def report() -> None:
        unet, text_encoder = average.averages
        save(dataclasses.replace(model, unet=unet, text_encoder=text_encoder))

    stage.run(parameters, draw, loss_of, average, report)
    average.apply()
    for network in networks:
        network.eval().requires_grad_(False)


def mixed_precision(device: torch.device) -> torch.autocast:
    """Half precision on a GPU; the converted weights are not kept, as recorded steps need it."""
    on_gpu = device.type == "cuda"
    return torch.autocast(device.type, torch.bfloat16, enabled=on_gpu, cache_enabled=False)


class HalfNorm(nn.GroupNorm):
    """Group normalization in the precision of its input; its sums are single precision anyway.

    Autocast would convert the input, and twice the memory would pass through all that follows.
    """

    def forward(self, input: Tensor) -> Tensor:
        """What `nn.GroupNorm` returns."""
        weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
        with torch.autocast(input.device.type, enabled=False):
            return functional.group_norm(input, self.num_groups, weight, bias, self.eps)


def use_half_norms(network: nn.Module) -> None:
    """Let a network's group normalizations be `HalfNorm`; the weights stay as they are."""
    for module in network.modules():
        if type(module) is nn.GroupNorm:
            module.__class__ = HalfNorm


def pixel_weights(pairs: LatentPairs) -> Tensor:
    """How much each latent pixel counts. Shape `(N, 1, h, w)`.

    What an edit concerns counts the more the smaller it is: a mouth is a hundredth of a picture.
    """
    share = pairs.concerned.mean(dim=(1, 2, 3)) / pairs.shown.mean(dim=(1, 2, 3)).clamp_min(1e-6)
    emphasis = CONCERNED_WEIGHT * (1 / share.clamp_min(1e-6)).clamp(1, LARGEST_EMPHASIS)
    return BACKGROUND_WEIGHT + HEAD_WEIGHT * pairs.shown + _wide(emphasis) * pairs.concerned


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
