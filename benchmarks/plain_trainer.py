"""A plain training loop with the settings of gsplat's example trainer, to measure ours against.

The published hyper-parameters of 3D Gaussian splatting as gsplat 1.5 has them: its default strategy
with its default thresholds, one view an iteration, L1 and SSIM on black, no alpha loss, no random
background. The images are on the device before the clock starts. SSIM is plain operators, or
headstyle's kernels, as gsplat's example takes those of the package fused-ssim. Without a GPU, where
gsplat renders nothing, `headstyle.rendering.renderer.render` stands in, so that the loop can be
tested.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from gsplat import rasterization
from gsplat.strategy import DefaultStrategy
from headstyle.losses.photometric import photometric_loss, ssim_map
from headstyle.rendering.renderer import Splats, render
from torch import Tensor

SH_DEGREE, SH_DEGREE_EVERY = 3, 1000
SSIM_WEIGHT = 0.2
RATES = {
    "means": 1.6e-4,
    "scales": 5e-3,
    "quats": 1e-3,
    "opacities": 5e-2,
    "sh0": 2.5e-3,
    "shN": 2.5e-3 / 20,
}
# The step size of the means decays to this part over the training.
DECAY = 0.01


@dataclass
class PlainViews:
    """Training views on the device: poses, intrinsics, and colors on black, one each."""

    world_to_camera: Tensor
    intrinsics: Tensor
    images: list[Tensor]


def train(
    splats: Splats,
    views: PlainViews,
    order: Iterator[int],
    extent: float,
    iterations: int,
    on_iteration: Callable[[int, Splats], None],
    fused_loss: bool = False,
) -> Splats:
    """Train the splats in place and return them; `on_iteration` is told what was just done."""
    optimizers = {
        name: torch.optim.Adam(
            [{"params": value, "lr": RATES[name] * (extent if name == "means" else 1)}],
            eps=1e-15,
            fused=True,
        )
        for name, value in splats.items()
    }
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizers["means"], DECAY ** (1 / iterations))
    strategy = DefaultStrategy()
    strategy.check_sanity(splats, optimizers)
    state = strategy.initialize_state(scene_scale=extent)
    for step in range(iterations):
        view = next(order)
        target = views.images[view]
        colors, info = rasterize(splats, views, view, min(step // SH_DEGREE_EVERY, SH_DEGREE))
        strategy.step_pre_backward(splats, optimizers, state, step, info)
        if fused_loss:
            loss = photometric_loss(colors, target, SSIM_WEIGHT)
        else:
            loss = (1 - SSIM_WEIGHT) * (colors - target).abs().mean()
            loss = loss + SSIM_WEIGHT * (1 - ssim_map(colors, target).mean())
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        decay.step()
        strategy.step_post_backward(splats, optimizers, state, step, info)
        on_iteration(step + 1, splats)
    return splats


def rasterize(
    splats: Splats, views: PlainViews, view: int, degree: int
) -> tuple[Tensor, dict[str, Any]]:
    """One view on black `(1, H, W, 3)`, and what the strategy needs."""
    height, width = views.images[view].shape[1:3]
    pose, intrinsics = views.world_to_camera[view][None], views.intrinsics[view][None]
    if not splats["means"].is_cuda:
        rendering = render(splats, pose, intrinsics, width, height, sh_degree=degree)
        return rendering.colors, rendering.info
    colors, _, info = rasterization(
        splats["means"],
        splats["quats"],
        torch.exp(splats["scales"]),
        torch.sigmoid(splats["opacities"]),
        torch.cat([splats["sh0"], splats["shN"]], dim=1),
        pose,
        intrinsics,
        width,
        height,
        sh_degree=degree,
        packed=False,
    )
    return colors, info
