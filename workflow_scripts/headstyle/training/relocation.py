"""Splats as samples of a Markov chain: gsplat's strategy `mcmc`, on every device.

Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo" (NeurIPS 2024). Splats that
became transparent move onto opaque ones. New splats are added up to a limit. Noise is added to all
positions in every iteration. gsplat's class holds the settings; the operations are written anew,
because gsplat's own need CUDA.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy import MCMCStrategy
from gsplat.strategy.ops import _update_param_with_optimizer
from torch import Tensor

from headstyle.rendering.renderer import Splats
from headstyle.training.densification import Optimizers, seeded

# Largest number of splats at one place; a larger number counts as this one (as in gsplat).
MOST_AT_ONE_PLACE = 51
# Noise moves splats whose opacity is below about this (eq. 10 of the paper).
STILL_OPACITY, STEEPNESS = 0.005, 100


@dataclass
class RelocatingStrategy(MCMCStrategy):  # type: ignore[misc]  # gsplat has no types
    """gsplat's strategy `mcmc` with the project's interface."""

    def initialize_state(self, scene_scale: float = 1.0) -> dict[str, Any]:
        """An empty state: the strategy keeps nothing between iterations."""
        return {}

    def observes(self, iteration: int) -> bool:
        """False: the strategy does not use gradients."""
        return False

    def acts(self, iteration: int) -> bool:
        """Whether splats are relocated and added after this iteration."""
        due = self.refine_start_iter < iteration < self.refine_stop_iter
        return due and iteration % self.refine_every == 0

    def after_step(
        self,
        splats: Splats,
        optimizers: Optimizers,
        state: dict[str, Any],
        iteration: int,
        infos: list[dict[str, Any]],
        rate: float,
        seed: int,
    ) -> None:
        """Relocate and add splats if it is time; add noise, times `rate`, to the means."""
        with seeded(splats["means"].device, seed):
            if self.acts(iteration):
                self._relocate_gs(splats, optimizers)
                self._add_new_gs(splats, optimizers)
            disturb_means(splats, rate * self.noise_lr)

    @torch.no_grad()
    def _relocate_gs(self, params: Any, optimizers: Any, binoms: Any = None) -> int:
        opacities = torch.sigmoid(params["opacities"])
        dead = torch.where(opacities <= self.min_opacity)[0]
        alive = torch.where(opacities > self.min_opacity)[0]
        if len(dead) and len(alive):
            chosen = alive[torch.multinomial(opacities[alive], len(dead), replacement=True)]
            _share(params, optimizers, chosen, self.min_opacity, dead)
        return len(dead)

    @torch.no_grad()
    def _add_new_gs(self, params: Any, optimizers: Any, binoms: Any = None) -> int:
        count = len(params["means"])
        added = max(0, min(self.cap_max, int(1.05 * count)) - count)
        if added:
            weights = torch.sigmoid(params["opacities"])
            chosen = torch.multinomial(weights, added, replacement=True)
            _share(params, optimizers, chosen, self.min_opacity, None)
        return added


def shared_opacity_and_scale(opacities: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity and scale of equal splats at one place that together look like a single splat.

    Args:
        opacities: Opacity of the single splat, in (0, 1). Shape `(N,)`.
        copies: Number of splats that replace it, at least 1. Shape `(N,)`.

    Returns:
        The opacity of each, and the factor of its scales (eq. 9 of the paper). Shape `(N,)` each.
    """
    counts = copies.clamp(1, MOST_AT_ONE_PLACE)
    before = opacities.double()
    after = -torch.expm1(torch.log1p(-before) / counts)
    # The sum over i = 1..n of the binomials C(i - 1, k) is C(n, k + 1).
    table = torch.tensor(
        [
            [math.comb(n, k + 1) * (-1) ** k / math.sqrt(k + 1) for k in range(MOST_AT_ONE_PLACE)]
            for n in range(MOST_AT_ONE_PLACE + 1)
        ],
        dtype=torch.float64,
        device=opacities.device,
    )
    powers = after[:, None] ** torch.arange(1, MOST_AT_ONE_PLACE + 1, device=opacities.device)
    factor = before / (table[counts.long()] * powers).sum(dim=1)
    return after.to(opacities), factor.to(opacities)


@torch.no_grad()
def disturb_means(splats: Splats, size: float) -> None:
    """Add noise to the means of nearly transparent splats, shaped like them (eq. 8)."""
    opacities = torch.sigmoid(splats["opacities"])
    weight = torch.sigmoid(STEEPNESS * (STILL_OPACITY - opacities)) * size
    rotation = rotations(splats["quats"])
    noise = torch.randn_like(splats["means"]) * weight[:, None]
    # The covariance R S S R^T times the noise.
    local = torch.einsum("nij,ni->nj", rotation, noise) * torch.exp(2 * splats["scales"])
    splats["means"] += torch.einsum("nij,nj->ni", rotation, local)


def rotations(quats: Tensor) -> Tensor:
    """Rotation matrices `(N, 3, 3)` of wxyz quaternions of any length `(N, 4)`."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=-1).reshape(-1, 3, 3)


def _share(
    splats: Splats, optimizers: Optimizers, chosen: Tensor, least: float, places: Tensor | None
) -> None:
    """Replace the `chosen` splats by equal copies; store the copies at `places` or append them."""
    count = len(splats["means"])
    copies = torch.bincount(chosen, minlength=count)[chosen] + 1
    opacity, factor = shared_opacity_and_scale(torch.sigmoid(splats["opacities"][chosen]), copies)
    opacity = opacity.clamp(least, 1 - torch.finfo(torch.float32).eps)
    changed = {
        "opacities": torch.logit(opacity),
        "scales": splats["scales"][chosen] + torch.log(factor)[:, None],
    }

    def new_values(name: str, values: Tensor) -> torch.nn.Parameter:
        values = values.detach().clone()
        if name in changed:
            values[chosen] = changed[name]
        if places is None:
            values = torch.cat([values, values[chosen]])
        else:
            values[places] = values[chosen]
        return torch.nn.Parameter(values)

    def new_moments(key: str, moments: Tensor) -> Tensor:
        moments = moments.clone()
        moments[chosen] = 0
        if places is None:
            return torch.cat([moments, moments.new_zeros((len(chosen), *moments.shape[1:]))])
        moments[places] = 0
        return moments

    _update_param_with_optimizer(new_values, new_moments, splats, optimizers)
