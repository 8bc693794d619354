"""Train the mini editor's text encoder and denoiser on encoded pairs.

The denoiser learns the three predictions that InstructPix2Pix (Brooks et al. 2023) combines: with
photograph and instruction, with the photograph alone, and with neither. It also learns to start
from a photograph that is not edited yet, under much noise, as Instruct-NeRF2NeRF (Haque et al.
2023) does.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from headstyle.base.seeds import derived_seed
from headstyle.editing.channel_norm import replace_group_norms
from torch import Tensor

from headstyle_training.editor.data import LatentPairs, LatentPool, Renewal, turn
from headstyle_training.editor.model import EditorModel, HalfNorm, mixed_precision
from headstyle_training.editor.tokenizer import NEGATIVE_PROMPTS
from headstyle_training.loop.progress import Progress
from headstyle_training.loop.training import TrainingLoop

BACKGROUND_WEIGHT = 0.2
"""Weight of every latent pixel in the loss."""
HEAD_WEIGHT = 0.8
"""Added weight of a latent pixel that shows the head."""
CONCERNED_WEIGHT = 2.0
"""Added weight of a latent pixel that the edit may change, if the edit concerns the whole head."""
LARGEST_EMPHASIS = 4.0
"""Largest factor of `CONCERNED_WEIGHT`, for edits that concern a small part of the head."""
NO_TEXT, NO_TEXT_NO_IMAGE, NO_IMAGE = 0.12, 0.05, 0.05
"""Shares of the pairs that are shown without instruction, without both, without photograph."""
UNEDITED_START_SHARE, UNEDITED_START_FROM = 0.5, 550
"""Among pairs noised to this time step or further, the share that starts from the photograph."""


def train_denoiser(
    model: EditorModel,
    pools: Sequence[LatentPool],
    progress: Progress,
    save: Callable[[EditorModel], None] = lambda model: None,
) -> None:
    """Train text encoder and UNet on encoded pairs.

    Args:
        model: The networks, the autoencoder already trained; text encoder and UNet are trained in
            place.
        pools: One pool for each picture size.
        progress: How far the training is; it ends where this is done.
        save: Called now and then with the averaged model.

    Raises:
        FloatingPointError: the loss is no longer a number.
    """
    settings = progress.settings
    networks = [model.unet.train(), model.text_encoder.train()]
    replace_group_norms(model.unet, HalfNorm)
    for network in networks:
        network.requires_grad_(True)
    device = next(model.unet.parameters()).device
    seed = derived_seed(settings.seed, "denoiser", progress.iteration)
    generator = torch.Generator(device).manual_seed(seed)
    nothing = model.tokens(NEGATIVE_PROMPTS).to(device)
    alphas = model.scheduler.alphas_cumprod.to(device)
    scale = model.vae.config.scaling_factor
    renew, loop = Renewal(progress, pools), TrainingLoop(progress, networks)

    def draw(iteration: int) -> tuple[Tensor, ...]:
        renew()
        pairs = pools[turn(iteration, len(pools))].draw(settings.batch, generator)
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

    def save_average() -> None:
        unet, text_encoder = loop.averaged
        assert isinstance(text_encoder, type(model.text_encoder))
        save(dataclasses.replace(model, unet=unet, text_encoder=text_encoder))

    loop.run(draw, loss_of, save=save_average)
    loop.use_average()
    for network in networks:
        network.eval().requires_grad_(False)


def pixel_weights(pairs: LatentPairs) -> Tensor:
    """Weight of each latent pixel in the loss. Shape `(N, 1, h, w)`.

    The smaller the part of the head that an edit concerns, the more each of its pixels counts, up
    to `LARGEST_EMPHASIS` times: a mouth is a hundredth of a picture.
    """
    share = pairs.concerned.mean(dim=(1, 2, 3)) / pairs.shown.mean(dim=(1, 2, 3)).clamp_min(1e-6)
    emphasis = CONCERNED_WEIGHT * (1 / share.clamp_min(1e-6)).clamp(1, LARGEST_EMPHASIS)
    return BACKGROUND_WEIGHT + HEAD_WEIGHT * pairs.shown + _wide(emphasis) * pairs.concerned


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is told about N pairs, and what it should answer."""

    image: Tensor
    """Latents of the photograph, 0 where it is left out. Shape `(N, 4, h, w)`."""
    tokens: Tensor
    """Tokens of the instruction, or of a text that means no instruction. `(N, TEXT_TOKENS)`."""
    target: Tensor
    """Unscaled latents of the edit; without instruction those of the photograph. `(N, 4, h, w)`."""


def conditions(pairs: LatentPairs, nothing: Tensor, generator: torch.Generator) -> Conditions:
    """Leave out the text, the image, or both, of some pairs.

    Without an instruction the photograph is the target, so that an edit without guidance on the
    text returns the photograph. Without photograph and instruction the target is any head, edited
    or not.

    Args:
        pairs: N encoded pairs.
        nothing: Tokens of texts that mean no instruction, the empty text first. `(K, TEXT_TOKENS)`.
        generator: Draws what is left out.
    """
    count, device = len(pairs.tokens), pairs.tokens.device

    def chance() -> Tensor:
        return torch.rand(count, generator=generator, device=device)

    drawn = chance()
    no_text = drawn < NO_TEXT + NO_TEXT_NO_IMAGE
    no_image = (drawn >= NO_TEXT) & (drawn < NO_TEXT + NO_TEXT_NO_IMAGE + NO_IMAGE)
    unedited = no_text & (~no_image | (chance() < 0.5))
    # Half of the time it is the empty text, which has the same meaning as the others.
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

    Under much noise some latents come from the photograph instead of the target, because the
    workflow starts an edit from a render that is not edited yet.

    Args:
        pairs: N encoded pairs.
        target: Unscaled latents of what the denoiser should answer. Shape `(N, 4, h, w)`.
        alphas: The scheduler's cumulative products of alpha. Shape `(T,)`.
        scale: Factor of the latents that are denoised.
        generator: Draws time steps and noise.

    Returns:
        Noised latents and velocity `(N, 4, h, w)`, time steps `(N,)`.
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
    # The noise that, added to the target, gives the same noised latents.
    noise = (noised - signal * clean) / noise_level
    return noised, signal * noise - noise_level * clean, steps


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
