"""Denoising by deterministic solvers: all views of a batch at once, each at its own noise level.

The coefficients of all steps are copied to the device before the first step, so that no step waits
for the host. DDIM is Song et al. 2021, eq. 12 with sigma = 0. DPM-Solver++ (2M) is Lu et al. 2022,
"DPM-Solver++", algorithm 2. It needs about half as many steps for a similar edit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from headstyle.editing.memory import sent

SOLVERS = ("ddim", "dpm_solver")
"""Values of `editing.solver`."""


@dataclass(frozen=True)
class Steps:
    """The steps from noise to image, one column per view."""

    timesteps: Tensor
    """Time steps of the trained diffusion. Shape `(S, B)`."""
    alphas: Tensor
    """Cumulative products of 1 - beta: per step and after the last. Shape `(S + 1, B, 1, 1, 1)`."""
    prediction_type: str
    """What the network predicts: `epsilon`, `v_prediction` or `sample`."""
    clip_range: float | None
    """Clean latents are clamped to +- this after each prediction; None does not clamp."""

    def noised(self, latents: Tensor, noise: Tensor) -> Tensor:
        """Clean latents plus the noise of the first step. Shapes `(B, C, H, W)`."""
        alpha = self.alphas[0]
        return alpha.sqrt() * latents + (1 - alpha).sqrt() * noise

    def split(self, latents: Tensor, output: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Clean latents and noise that follow from the network's output at a step."""
        alpha = self.alphas[step]
        signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
        if self.prediction_type == "epsilon":
            clean, noise = (latents - sigma * output) / signal, output
        elif self.prediction_type == "v_prediction":
            clean = signal * latents - sigma * output
            noise = signal * output + sigma * latents
        else:
            clean, noise = output, (latents - signal * output) / sigma
        if self.clip_range is not None:
            clean = clean.clamp(-self.clip_range, self.clip_range)
        return clean, noise


def make_steps(
    scheduler: DDIMScheduler, count: int, noise_levels: Sequence[float], device: torch.device
) -> Steps:
    """`count` steps spread over the first `noise_level` of the training's time steps, per view.

    Args:
        scheduler: The pipeline's scheduler, configured as in its training.
        count: Number of diffusion steps.
        noise_levels: One noise level per view, in (0, 1].
        device: Device on which the views are denoised.
    """
    config = scheduler.config
    ways = {level: _way(partial_scheduler(scheduler, count, level)) for level in set(noise_levels)}
    timesteps = torch.stack([ways[level][0] for level in noise_levels], dim=1)
    alphas = torch.stack([ways[level][1] for level in noise_levels], dim=1)
    return Steps(
        sent(timesteps, device),
        sent(alphas[:, :, None, None, None], device),
        config.prediction_type,
        config.clip_sample_range if config.clip_sample else None,
    )


def partial_scheduler(scheduler: DDIMScheduler, count: int, noise_level: float) -> DDIMScheduler:
    """A scheduler whose steps lie in the first part of the training's time steps."""
    partial = DDIMScheduler.from_config(scheduler.config)
    full = partial.config.num_train_timesteps
    # Changed after construction, so that each time step keeps the noise of the training.
    part = max(count, round(noise_level * full))
    partial.register_to_config(num_train_timesteps=min(part, full))
    partial.set_timesteps(count)
    return partial


def _way(scheduler: DDIMScheduler) -> tuple[Tensor, Tensor]:
    """Time steps `(S,)`, and the cumulative alphas from the first one to the end `(S + 1,)`."""
    timesteps = scheduler.timesteps.long()
    stride = scheduler.config.num_train_timesteps // len(timesteps)
    after = int(timesteps[-1]) - stride
    last = scheduler.alphas_cumprod[after] if after >= 0 else scheduler.final_alpha_cumprod
    alphas = [scheduler.alphas_cumprod[t] for t in timesteps.tolist()]
    return timesteps, torch.stack([*alphas, last]).float()


def denoise(
    latents: Tensor, steps: Steps, predict: Callable[[Tensor, Tensor], Tensor], solver: str
) -> Tensor:
    """Clean latents from noised ones.

    Args:
        latents: Latents at the noise of the first step, float32. Shape `(B, C, H, W)`.
        steps: The steps, with one column per view.
        predict: Function that returns the guided prediction from latents and time steps `(B,)`.
        solver: One of `SOLVERS`.
    """
    update = _dpm_solver if solver == "dpm_solver" else _ddim
    before: Tensor | None = None
    for step in range(len(steps.timesteps)):
        output = predict(latents, steps.timesteps[step])
        clean, noise = steps.split(latents, output, step)
        latents = update(steps, step, latents, clean, noise, before)
        before = clean
    return latents


def _ddim(
    steps: Steps, step: int, latents: Tensor, clean: Tensor, noise: Tensor, before: Tensor | None
) -> Tensor:
    # Each step combines the clean image with the noise of the next step.
    alpha = steps.alphas[step + 1]
    return alpha.sqrt() * clean + (1 - alpha).sqrt() * noise


def _dpm_solver(
    steps: Steps, step: int, latents: Tensor, clean: Tensor, noise: Tensor, before: Tensor | None
) -> Tensor:
    # The first step is of first order, because there is no earlier step. The last one is too,
    # because its log SNR may be infinite.
    if before is None or step == len(steps.timesteps) - 1:
        return _ddim(steps, step, latents, clean, noise, before)
    last, now, then = (_log_snr(steps.alphas[i]) for i in (step - 1, step, step + 1))
    ratio = (now - last) / (then - now)
    extrapolated = clean + (clean - before) / (2 * ratio)
    alpha, alpha_then = steps.alphas[step], steps.alphas[step + 1]
    kept = ((1 - alpha_then) / (1 - alpha)).sqrt()
    return kept * latents - alpha_then.sqrt() * torch.expm1(now - then) * extrapolated


def _log_snr(alpha: Tensor) -> Tensor:
    return 0.5 * (torch.log(alpha) - torch.log1p(-alpha))
