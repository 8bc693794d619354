"""Adding and removing splats during the training: gsplat's default strategy with its errors fixed.

Between refinements it only accumulates statistics on the device and never waits for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy
from gsplat.strategy.ops import reset_opa
from torch import Tensor

from headstyle.base.devices import has_triton
from headstyle.rendering.renderer import Splats

Optimizers = dict[str, torch.optim.Optimizer]


@dataclass
class CappedStrategy(DefaultStrategy):  # type: ignore[misc]  # gsplat has no types
    """gsplat's default strategy that never grows beyond `max_splats` splats.

    If more splats qualify to be split or duplicated than the limit allows, those with the largest
    gradients are chosen.
    """

    max_splats: int | None = None
    """Largest number of splats; None sets no limit."""

    def observes(self, iteration: int) -> bool:
        """Whether the strategy needs the absolute gradients of this iteration."""
        return iteration < self.refine_stop_iter

    def acts(self, iteration: int) -> bool:
        """Whether the scene is refined or its opacities are reset after this iteration."""
        if not self.observes(iteration):
            return False
        return self._refines(iteration) or self._resets(iteration)

    def _refines(self, iteration: int) -> bool:
        return (
            iteration > self.refine_start_iter
            and iteration % self.refine_every == 0
            and iteration % self.reset_every >= self.pause_refine_after_reset
        )

    def _resets(self, iteration: int) -> bool:
        return iteration > 0 and iteration % self.reset_every == 0

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
        """Add up the gradients of an iteration; refine and reset in the iterations set for it.

        Args:
            splats: The scene, changed in place with its optimizers.
            optimizers: One optimizer per tensor of the scene.
            state: State from `initialize_state`.
            iteration: Number of the iteration, from 0.
            infos: `Rendering.info` of the iteration's renderings, after the backward pass.
            rate: Step size of the means. This strategy does not use it.
            seed: Seed of the positions of split splats.
        """
        if not self.observes(iteration):
            return
        add_gradients(state, infos)
        if self._refines(iteration):
            with seeded(splats["means"].device, seed):
                self._grow_gs(splats, optimizers, state, iteration)
                self._prune_gs(splats, optimizers, state, iteration)
            state["grad2d"].zero_()
            state["count"].zero_()
        if self._resets(iteration):
            reset_opacities(splats, optimizers, 2 * self.prune_opa)

    @torch.no_grad()
    def _grow_gs(
        self, params: Any, optimizers: Any, state: dict[str, Any], step: int
    ) -> tuple[int, int]:
        if self.max_splats is not None:
            room = max(self.max_splats - len(params["means"]), 0)
            mean = state["grad2d"] / state["count"].clamp_min(1)
            order = torch.argsort(mean, descending=True, stable=True)
            # Each split or duplication adds one splat. Beyond the limit, a gradient of 0 prevents
            # it.
            state["grad2d"][order[room:]] = 0
        return super()._grow_gs(params, optimizers, state, step)


@torch.no_grad()
def add_gradients(state: dict[str, Any], infos: list[dict[str, Any]]) -> None:
    """Add to each splat's sum of image gradients and to the count of views that see it.

    As in gsplat, these are the absolute gradients of all views of an iteration, in units of half
    the image, times the number of views. No branch depends on values, so the host need not wait for
    the device.
    """
    views = sum(info["n_cameras"] for info in infos)
    for info in infos:
        gradients: Tensor = info["means2d"].absgrad
        if state["grad2d"] is None:
            state["grad2d"] = gradients.new_zeros(gradients.shape[1])
            state["count"] = gradients.new_zeros(gradients.shape[1])
        half = (views * info["width"] / 2, views * info["height"] / 2)
        if gradients.is_cuda and has_triton():
            from headstyle.losses.triton_steps import add_lengths

            add_lengths(gradients, info["radii"], state["grad2d"], state["count"], half)
            continue
        across, down = gradients.unbind(-1)
        # The gradient is 0 for a splat that the view does not see.
        size = torch.hypot(across * half[0], down * half[1])
        seen = (info["radii"] > 0).all(dim=-1)
        for key, values in (("grad2d", size), ("count", seen)):
            # A single view needs no sum, which saves a kernel.
            state[key] += values[0] if len(values) == 1 else values.sum(dim=0)


def reset_opacities(splats: Splats, optimizers: Optimizers, value: float) -> None:
    """Lower all opacities to at most `value` and forget their optimizer's moments.

    gsplat 1.5.3's own strategy never does this: its condition `step % every == 0 & step > 0` is
    always false.
    """
    reset_opa(params=splats, optimizers=optimizers, state={}, value=value)


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the global random generators, which gsplat uses, and restore their state at the end."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
