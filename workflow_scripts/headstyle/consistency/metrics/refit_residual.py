"""Re-fit residual: how much of the views a single splat scene cannot explain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstyle.base.errors import InputError
from headstyle.base.settings import Setting
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene, mean_over_overlap
from headstyle.rendering.renderer import render
from headstyle.training.trainer import LearningRates, SplatTrainer, TrainingSettings, random_order
from headstyle.training.trainers import make_trainer

SETTINGS = (
    Setting(
        "refit_iterations",
        300,
        {"type": "integer", "minimum": 1},
        meaning="Steps of each of the two fits of refit_residual.",
    ),
)
# Larger steps than in a whole training, as the fit is short and starts near its end.
RATES = LearningRates(
    means=5e-4, means_final=5e-5, scales=1e-2, quats=3e-3, opacities=5e-2, sh0=1e-2, shN=5e-4
)
FOLDS = 2
SEED = 0


class RefitResidual(Metric):
    """RMSE of the target view against a splat scene fitted to the views of the other half.

    Every second view belongs to one half. A scene is fitted to each half and rendered in the views
    of the other half. The fit starts from the unedited splats and keeps their number. No scene can
    show what contradicts itself between views, so that part stays as RMSE (sRGB). It is taken over
    the part of the view's foreground that the render covers. Each half takes `refit_iterations`
    steps, which is slow, so there is no ceiling.
    """

    name = "refit_residual"
    units = "sRGB, 0 to 1"
    warp = "corrected"
    has_ceiling = False

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._residuals: Tensor | None = None

    def prepare(self, scene: Scene) -> None:
        if scene.splats is None:
            raise InputError(
                "refit_residual starts from the splats of the unedited scene, which are missing; "
                "give them, or take it out of metrics.names"
            )
        count = len(scene.cameras)
        if count < 2 * FOLDS:
            raise InputError(
                f"refit_residual needs at least {2 * FOLDS} views, there are {count}; take it out "
                "of metrics.names"
            )
        self._residuals = torch.full((count,), torch.nan, dtype=torch.float64, device=self.device)
        for fold in range(FOLDS):
            held = [view for view in range(count) if view % FOLDS == fold]
            fitted = [view for view in range(count) if view % FOLDS != fold]
            trainer = fit(scene, fitted, self.settings["refit_iterations"], self.device)
            for view in held:
                self._residuals[view] = residual(trainer, scene, view)

    def __call__(self, batch: PairBatch) -> Tensor:
        assert self._residuals is not None, "prepare() comes first"
        return self._residuals[list(batch.targets)]


def fit(scene: Scene, views: Sequence[int], iterations: int, device: torch.device) -> SplatTrainer:
    """Fit the scene's splats to some of its views, one view at a time in random order."""
    assert scene.splats is not None
    settings = TrainingSettings(
        iterations=iterations,
        sh_degree=3,
        sh_degree_every=0,
        ssim_weight=0.2,
        scale_regularization=0.1,
        scale_max_ratio=10,
        alpha_weight=0.1,
        min_initial_splats=0,
        max_splats=None,
        holdout=0,
        refine=None,
        learning_rates=RATES,
    )
    names = [scene.cameras.names[view] for view in views]
    targets = {
        name: np.dstack([scene.colors[view].cpu().numpy(), scene.foreground[view].cpu().numpy()])
        for name, view in zip(names, views, strict=True)
    }
    cameras = scene.cameras.select(names)
    trainer = make_trainer(scene.splats, cameras, targets, settings, SEED, device)
    for _, view in zip(range(iterations), random_order(range(len(views)), SEED), strict=False):
        trainer.step([view])
    return trainer


@torch.no_grad()
def residual(trainer: SplatTrainer, scene: Scene, view: int) -> Tensor:
    """RMSE of a view against the render, over the foreground that the render covers; a scalar."""
    width, height = scene.cameras.sizes[view].tolist()
    pose, intrinsics = (
        torch.as_tensor(matrices[view : view + 1], dtype=torch.float32, device=trainer.device)
        for matrices in (scene.cameras.world_to_camera, scene.cameras.intrinsics)
    )
    rendering = render(trainer.splats, pose, intrinsics, width, height)
    alpha = rendering.alphas
    covered = scene.foreground[view][None] & (alpha > 0.5)
    colors = (rendering.colors / alpha.clamp(min=0.5)[..., None]).clamp(0, 1)
    squares = (colors - scene.colors[view][None]).square().mean(dim=3)
    return mean_over_overlap(squares, covered).sqrt()[0]
