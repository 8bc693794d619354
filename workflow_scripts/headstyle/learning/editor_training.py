"""How the mini editor is trained: first the autoencoder, then the text encoder and the denoiser.

The denoiser learns InstructPix2Pix's conditional, image-only and unconditional predictions (Brooks
et al. 2023) from encoded pairs, and besides what Instruct-NeRF2NeRF (Haque et al. 2023) starts
from: a picture that is not edited yet under much noise.
"""

import copy
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstyle.learning.editor_data import LatentPairs, LatentPool, latent_scale, on_black, pictures
from headstyle.learning.editor_model import EditorModel
from headstyle.learning.editor_tokenizer import NEGATIVE_PROMPTS
from headstyle.learning.pairs import PairStream
from headstyle.losses import ssim_map

logger = logging.getLogger("headstyle.learning")

KL_WEIGHT = 1e-6
GRADIENT_WEIGHT, SSIM_WEIGHT = 0.5, 0.15
CONCERNED_WEIGHT = 3.0
"""How much more a latent pixel counts that the edit concerns."""
# Shares of the batches in which parts of the condition are left out.
NO_TEXT, NO_TEXT_NO_IMAGE, NO_IMAGE = 0.12, 0.05, 0.05
UNEDITED_START_SHARE, UNEDITED_START_FROM = 0.5, 550
"""Of the pairs noised to this time step or further, the share that starts from the photograph."""
EMA_DECAY = 0.998
REPORT_EVERY = 100
RECENT = 200
"""Batches of pictures that are shown again in between: drawing takes as long as learning."""


@dataclass
class Stage:
    """One of the two trainings, for as long as it has time, and what it reported."""

    minutes: float
    learning_rate: float
    batch: int
    history: list[dict[str, float]] = field(default_factory=list)

    def run(self, parameters: Sequence[nn.Parameter], loss_of: Callable[[int], Tensor]) -> None:
        """Minimize `loss_of(iteration)` with AdamW until the time is over.

        The learning rate rises over the first 300 iterations and falls as a cosine of the time.
        """
        optimizer = torch.optim.AdamW(
            parameters, self.learning_rate, betas=(0.9, 0.99), weight_decay=1e-3, fused=_fused()
        )
        started, iteration, sums = time.monotonic(), 0, 0.0
        while (spent := (time.monotonic() - started) / (60 * self.minutes)) < 1:
            rate = 0.5 * (1 + torch.cos(torch.tensor(spent * torch.pi)).item())
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * min(1, (iteration + 1) / 300) * rate
            loss = loss_of(iteration)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            sums = sums + loss.detach()
            iteration += 1
            if iteration % REPORT_EVERY == 0:
                self._report(iteration, float(sums) / REPORT_EVERY, spent, started)
                sums = 0.0

    def _report(self, iteration: int, loss: float, spent: float, started: float) -> None:
        seconds = time.monotonic() - started
        self.history.append({"iteration": iteration, "loss": loss, "seconds": seconds})
        left = 60 * self.minutes * (1 - spent)
        logger.info("iteration %d, loss %.4f, about %.0f s left", iteration, loss, left)


class Average:
    """Exponential moving average of the weights of some networks."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self._networks = networks
        self._averages = [copy.deepcopy(network).requires_grad_(False) for network in networks]

    @torch.no_grad()
    def update(self, iteration: int) -> None:
        """Move the averages towards the weights; young averages follow more quickly."""
        decay = min(EMA_DECAY, (1 + iteration) / (10 + iteration))
        for average, network in zip(self._averages, self._networks, strict=True):
            old, new = list(average.parameters()), list(network.parameters())
            torch._foreach_lerp_(old, [p.detach() for p in new], 1 - decay)

    def apply(self) -> None:
        """Give the networks the averaged weights."""
        for average, network in zip(self._averages, self._networks, strict=True):
            network.load_state_dict(average.state_dict())


def train_autoencoder(
    model: EditorModel, streams: Sequence[PairStream], stage: Stage, seed: int
) -> None:
    """Train the VAE on photographs and edits, and set its scaling factor."""
    vae = model.vae.train().requires_grad_(True)
    device = next(vae.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    average = Average([vae])

    recent: deque[Tensor] = deque(maxlen=RECENT)
    for stream in streams:  # The renderer is compiled here, before the time counts.
        recent.append(pictures(stream.draw(stage.batch // 2), generator))

    def loss_of(iteration: int) -> Tensor:
        if iteration % 2:
            images = recent[int(torch.randint(len(recent), (), generator=chance))]
        else:
            stream = streams[iteration // 2 % len(streams)]
            images = pictures(stream.draw(stage.batch // 2), generator)
            recent.append(images)
        with torch.autocast(device.type, torch.bfloat16):
            posterior = vae.encode(images).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=generator, device=device)
            decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        average.update(iteration)
        return reconstruction_loss(decoded.float(), images) + KL_WEIGHT * posterior.kl().mean()

    stage.run(list(vae.parameters()), loss_of)
    average.apply()
    vae.eval().requires_grad_(False)
    with torch.no_grad():
        latents = [
            vae.encode(on_black(stream.draw(64).edited)).latent_dist.mode() for stream in streams
        ]
    vae.register_to_config(scaling_factor=latent_scale(latents))


def reconstruction_loss(decoded: Tensor, images: Tensor) -> Tensor:
    """L1 of colors and of their differences to the neighbors, and 1 - SSIM; in [-1, 1] images."""
    loss = functional.l1_loss(decoded, images)
    for dim in (2, 3):
        edges = functional.l1_loss(decoded.diff(dim=dim), images.diff(dim=dim))
        loss = loss + GRADIENT_WEIGHT * edges
    unit = [(image.permute(0, 2, 3, 1) + 1) / 2 for image in (decoded, images)]
    return loss + SSIM_WEIGHT * (1 - ssim_map(*unit).mean())


def train_denoiser(
    model: EditorModel, pools: Sequence[LatentPool], stage: Stage, seed: int, refresh: int
) -> None:
    """Train text encoder and UNet on the pools, which take in `refresh` new pairs now and then."""
    networks = [model.unet.train(), model.text_encoder.train()]
    parameters = [p for network in networks for p in network.requires_grad_(True).parameters()]
    device = parameters[0].device
    generator = torch.Generator(device).manual_seed(seed)
    nothing = model.tokens(NEGATIVE_PROMPTS).to(device)
    alphas = model.scheduler.alphas_cumprod.to(device)
    scale = model.vae.config.scaling_factor
    average = Average(networks)

    def loss_of(iteration: int) -> Tensor:
        pool = pools[iteration % len(pools)]
        if refresh and iteration % 8 < len(pools):
            pool.add(refresh)
        pairs = pool.draw(stage.batch, generator)
        given = conditions(pairs, nothing, generator)
        noised, velocity, steps = noised_latents(pairs, given.target, alphas, scale, generator)
        with torch.autocast(device.type, torch.bfloat16):
            states = model.text_encoder(given.tokens)[0]
            inputs = torch.cat([noised, given.image], dim=1)
            predicted = model.unet(inputs, steps, encoder_hidden_states=states).sample
        average.update(iteration)
        weights = 1 + CONCERNED_WEIGHT * pairs.concerned
        squares = (predicted.float() - velocity).square() * weights
        return squares.mean() / weights.mean()

    stage.run(parameters, loss_of)
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


def _fused() -> bool:
    return torch.cuda.is_available()
