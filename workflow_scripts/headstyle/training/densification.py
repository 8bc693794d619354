"""Adding and removing splats while they are trained: gsplat's default strategy, repaired.

Between refinements it only adds up statistics on the device and never waits for it.
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

    Where more splats ask to be split or duplicated than there is room for, those with the largest
    gradients are.
    """

    max_splats: int | None = None

    def observes(self, iteration: int) -> bool:
        """Whether the strategy wants the absolute gradients of this iteration."""
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
        """Note the gradients of an iteration, and refine and reset when it is time.

        Args:
            splats: The scene, changed in place with its optimizers.
            optimizers: One per tensor of the scene.
            state: From `initialize_state`.
            iteration: Counted from 0.
            infos: Of the iteration's renderings, after the backward pass.
            rate: Not used (the step size of the means).
            seed: Of the positions of split splats.
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
            # Each splat that grows makes one more; those without room have no gradient to show.
            state["grad2d"][order[room:]] = 0
        return super()._grow_gs(params, optimizers, state, step)


@torch.no_grad()
def add_gradients(state: dict[str, Any], infos: list[dict[str, Any]]) -> None:
    """Add to each splat's sum of image gradients and to the count of views that see it.

    As gsplat: the absolute gradients of all views of an iteration, in units of half the image and
    times the views. Nothing here depends on values, so that the host need not wait for the device.
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
        # Zero where the splat is not seen.
        size = torch.hypot(across * half[0], down * half[1])
        seen = (info["radii"] > 0).all(dim=-1)
        for key, values in (("grad2d", size), ("count", seen)):
            # The sum of one row is the row, for one kernel less.
            state[key] += values[0] if len(values) == 1 else values.sum(dim=0)


def reset_opacities(splats: Splats, optimizers: Optimizers, value: float) -> None:
    """Lower all opacities to at most `value` and forget their optimizer's moments.

    gsplat 1.5.3's own strategy never does (`step % every == 0 & step > 0` is always false there).
    """
    reset_opa(params=splats, optimizers=optimizers, state={}, value=value)


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Let what draws from the global generators, as gsplat does, depend on `seed` alone."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
