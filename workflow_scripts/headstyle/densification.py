"""Adding and removing splats while they are trained: gsplat's default strategy, repaired."""

from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy
from gsplat.strategy.ops import reset_opa
from torch import Tensor

from headstyle.rendering import Splats


@dataclass
class CappedStrategy(DefaultStrategy):
    """gsplat's default strategy that never grows beyond `max_splats` splats.

    Where more splats ask to be split or duplicated than there is room for, those with the largest
    gradients are.
    """

    max_splats: int | None = None

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


def reset_opacities(
    splats: Splats, optimizers: dict[str, torch.optim.Optimizer], value: float
) -> None:
    """Lower all opacities to at most `value` and forget their optimizer's moments.

    gsplat 1.5.3's own strategy never does (`step % every == 0 & step > 0` is always false there).
    """
    reset_opa(params=splats, optimizers=optimizers, state={}, value=value)


def join_views(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """One `info` for gsplat's strategy from batches of views of different sizes.

    gsplat multiplies the image gradients by half the image's width and height; batches of another
    size are scaled so that this becomes right for them too.
    """
    if len(infos) == 1:
        return infos[0]
    first = infos[0]
    gradients = []
    for info in infos:
        gradient: Tensor = info["means2d"].absgrad.clone()
        gradient[..., 0] *= info["width"] / first["width"]
        gradient[..., 1] *= info["height"] / first["height"]
        gradients.append(gradient)
    means2d = torch.cat([info["means2d"].detach() for info in infos])
    means2d.absgrad = torch.cat(gradients)  # type: ignore[attr-defined]
    return {
        "means2d": means2d,
        "radii": torch.cat([info["radii"] for info in infos]),
        "width": first["width"],
        "height": first["height"],
        "n_cameras": sum(info["n_cameras"] for info in infos),
        "gaussian_ids": None,
    }
