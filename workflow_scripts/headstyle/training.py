"""Optimization of a splat scene to images: one loop for baselines and avatars.

3D Gaussian splatting (Kerbl et al. 2023) with gsplat's default densification; foregrounds are
composited on a random background, which, with a loss on alpha, keeps splats inside the masks.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstyle.cameras import Cameras
from headstyle.densification import CappedStrategy, join_views, reset_opacities
from headstyle.errors import InputError
from headstyle.images import RgbaImage
from headstyle.losses import photometric_loss, psnr
from headstyle.rendering import Rendering, Splats, check_splats, render

# As in splatfacto, the splats' shapes are regularized at every tenth iteration.
REGULARIZE_EVERY = 10
# On a GPU looking at the loss waits for it, so it is looked at now and then.
CHECK_EVERY_ON_GPU = 50


@dataclass(frozen=True)
class RefineSettings:
    """When splats are added and removed (gsplat's default strategy)."""

    start: int
    """First iteration that refines, exclusive."""
    stop: int
    """No splat is added, removed or reset from this iteration on."""
    every: int
    """Iterations between refinements."""
    reset_opacity_every: int
    """Iterations between resets of the opacities to twice `cull_opacity`."""
    cull_opacity: float
    """Splats below this opacity are removed."""
    densify_gradient: float
    """Splats whose mean absolute image gradient exceeds this are split or duplicated."""
    densify_size: float
    """Splats larger than this fraction of the scene's extent are split, others duplicated."""


@dataclass(frozen=True)
class LearningRates:
    """Adam's step sizes; those of the means are per unit of the scene's extent."""

    means: float
    means_final: float
    scales: float
    quats: float
    opacities: float
    sh0: float
    shN: float  # noqa: N815 (gsplat's name)


@dataclass(frozen=True)
class TrainingSettings:
    """The `baseline` section of the configuration; avatars replace what differs."""

    iterations: int
    sh_degree: int
    sh_degree_every: int
    """Iterations after which the degree in use rises by one; 0 uses all degrees at once."""
    ssim_weight: float
    scale_regularization: float
    scale_max_ratio: float
    alpha_weight: float
    min_initial_splats: int
    max_splats: int | None
    holdout_every: int
    refine: RefineSettings | None
    """None keeps the splats' number."""
    learning_rates: LearningRates

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrainingSettings":
        """Settings from the `baseline` section, with its `refine` and `learning_rates`."""
        section = dict(config)
        section["refine"] = RefineSettings(**section["refine"])
        section["learning_rates"] = LearningRates(**section["learning_rates"])
        return cls(**section)

    def without_refinement(self) -> "TrainingSettings":
        """The same settings for a scene whose number of splats stays."""
        return replace(self, refine=None)


@dataclass(frozen=True)
class HistoryRow:
    """The state of a training after one iteration."""

    iteration: int
    loss: float
    psnr: float
    splats: int
    seconds: float


class SplatTrainer:
    """Optimizes splats toward the target images of calibrated views.

    Owns the splats, their Adam optimizers (fresh), and the densification. Everything random comes
    from `seed`; on the CPU two runs give the same bytes.
    """

    def __init__(
        self,
        splats: Splats,
        cameras: Cameras,
        targets: Mapping[str, RgbaImage],
        settings: TrainingSettings,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        """Start from `splats` (copied to `device`) with one target per view of `cameras`.

        Raises:
            ValueError: a target is missing or has another size than its camera.
        """
        self.settings = settings
        self.cameras = cameras
        self.device = torch.device(device)
        self.sh_degree = check_splats(splats)
        self.splats = Splats(
            {
                name: torch.nn.Parameter(value.detach().clone().to(self.device))
                for name, value in splats.items()
            }
        )
        self.iteration = 0
        """Iterations done."""
        self.history: list[HistoryRow] = []
        self.extent = scene_extent(cameras)
        self.optimizers = _optimizers(self.splats, settings.learning_rates, self.extent)
        self.strategy = _strategy(settings, len(cameras))
        self.strategy_state = (
            self.strategy.initialize_state(scene_scale=self.extent) if self.strategy else {}
        )
        self._poses = torch.as_tensor(cameras.world_to_camera, dtype=torch.float32).to(self.device)
        self._intrinsics = torch.as_tensor(cameras.intrinsics, dtype=torch.float32).to(self.device)
        self._targets: dict[str, Tensor] = {}
        self.replace_targets(targets)
        missing = [name for name in cameras.names if name not in self._targets]
        if missing:
            raise ValueError(f"view {missing[0]} has no target")
        self._seed = seed
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._started = time.monotonic()

    def replace_targets(self, targets: Mapping[str, RgbaImage]) -> None:
        """Train the given views toward other images from now on (straight alpha, `(H, W, 4)`)."""
        for name, image in targets.items():
            width, height = self.cameras.sizes[self.cameras.index(name)]
            if image.shape != (height, width, 4):
                raise ValueError(
                    f"target of view {name} is {image.shape}, expected {(height, width, 4)}"
                )
            target = torch.tensor(np.asarray(image, dtype=np.float32), device=self.device)
            # Kept premultiplied, as the renderer's colors are.
            target[..., :3] *= target[..., 3:]
            self._targets[name] = target

    @property
    def active_sh_degree(self) -> int:
        """Degree of the harmonics in use at this iteration."""
        every = self.settings.sh_degree_every
        return min(self.sh_degree, self.iteration // every) if every else self.sh_degree

    def step(self, views: Sequence[int]) -> Tensor:
        """One iteration on the given views (indices into `cameras`), rendered in one batch.

        Views of different sizes make one batch per size. Returns the loss, a detached scalar: the
        mean over the views plus the regularizers.

        Raises:
            InputError: the loss is not finite.
        """
        self._set_learning_rate_of_means()
        background = torch.rand(3, generator=self._generator, device=self.device)
        loss, renderings = torch.zeros((), device=self.device), []
        for group in self._groups_of_one_size(views):
            rendering = self._render(group, background)
            renderings.append(rendering)
            share = len(group) / len(views)
            loss = loss + share * self._image_loss(rendering, group, background)
        loss = loss + self._shape_loss()
        loss.backward()
        self._check(loss)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._refine(renderings)
        self.iteration += 1
        return loss.detach()

    def record(self, loss: Tensor, views: Sequence[int]) -> HistoryRow:
        """Add a row to the history, with the mean PSNR of `views` on black as they are now."""
        with torch.no_grad():
            values = [float(self._psnr(view)) for view in views]
        row = HistoryRow(
            self.iteration,
            float(loss),
            float(np.mean(values)),
            len(self.splats["means"]),
            time.monotonic() - self._started,
        )
        self.history.append(row)
        return row

    def _psnr(self, view: int) -> Tensor:
        colors = self._render([view], torch.zeros(3, device=self.device)).colors[0]
        return psnr(colors, self._target([view])[0, ..., :3])

    def _render(self, group: Sequence[int], background: Tensor) -> Rendering:
        width, height = (int(length) for length in self.cameras.sizes[group[0]])
        return render(
            self.splats,
            self._poses[list(group)],
            self._intrinsics[list(group)],
            width,
            height,
            sh_degree=self.active_sh_degree,
            background=background,
            absolute_gradients=self._refining,
        )

    def _target(self, group: Sequence[int]) -> Tensor:
        return torch.stack([self._targets[self.cameras.names[i]] for i in group])

    def _image_loss(self, rendering: Rendering, group: Sequence[int], background: Tensor) -> Tensor:
        target = self._target(group)
        alphas = target[..., 3]
        composite = target[..., :3] + (1 - alphas[..., None]) * background
        loss = photometric_loss(rendering.colors, composite, self.settings.ssim_weight)
        if self.settings.alpha_weight:
            loss = loss + self.settings.alpha_weight * (rendering.alphas - alphas).abs().mean()
        return loss

    def _shape_loss(self) -> Tensor | float:
        """Penalty on elongated splats (PhysGaussian, Xie et al. 2024)."""
        weight, limit = self.settings.scale_regularization, self.settings.scale_max_ratio
        if not weight or self.iteration % REGULARIZE_EVERY:
            return 0.0
        scales = self.splats["scales"]
        ratios = torch.exp(scales.amax(dim=1) - scales.amin(dim=1))
        return weight * (ratios.clamp_min(limit) - limit).mean()

    def _groups_of_one_size(self, views: Sequence[int]) -> list[list[int]]:
        groups: dict[tuple[int, ...], list[int]] = {}
        for view in views:
            groups.setdefault(tuple(self.cameras.sizes[view].tolist()), []).append(view)
        return list(groups.values())

    def _set_learning_rate_of_means(self) -> None:
        rates, progress = self.settings.learning_rates, self.iteration / self.settings.iterations
        decay = (rates.means_final / rates.means) ** min(progress, 1.0)
        self.optimizers["means"].param_groups[0]["lr"] = rates.means * self.extent * decay

    def _check(self, loss: Tensor) -> None:
        if self.device.type == "cuda" and self.iteration % CHECK_EVERY_ON_GPU:
            return
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(
                f"training stopped at iteration {self.iteration} of {self.settings.iterations}: "
                f"the loss became {value}; lower baseline.learning_rates or check the views"
            )

    @property
    def _refining(self) -> bool:
        refine = self.settings.refine
        return refine is not None and self.iteration < refine.stop

    def _refine(self, renderings: list[Rendering]) -> None:
        refine = self.settings.refine
        if self.strategy is None or refine is None or not self._refining:
            return
        # gsplat draws the new positions from the global generator.
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self._seed + self.iteration)
            self.strategy.step_post_backward(
                self.splats,
                self.optimizers,
                self.strategy_state,
                self.iteration,
                join_views([rendering.info for rendering in renderings]),
            )
        if self.iteration and self.iteration % refine.reset_opacity_every == 0:
            reset_opacities(self.splats, self.optimizers, 2 * refine.cull_opacity)


def scene_extent(cameras: Cameras) -> float:
    """Radius of the cameras around their center times 1.1, in world units (as in 3DGS)."""
    centers = cameras.centers
    return 1.1 * float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())


def shuffled_views(views: Sequence[int], seed: int) -> Iterator[int]:
    """The views in random order without end, each once before any comes again."""
    generator = np.random.default_rng(seed)
    while True:
        yield from (views[i] for i in generator.permutation(len(views)))


def split_views(count: int, holdout_every: int) -> tuple[list[int], list[int]]:
    """Views to train on and views held out: every n-th from the first on; n = 0 holds out none.

    Raises:
        InputError: nothing is left to train on.
    """
    held = [i for i in range(count) if holdout_every and i % holdout_every == 0]
    training = [i for i in range(count) if i not in held]
    if not training:
        raise InputError(
            f"baseline.holdout_every = {holdout_every} leaves none of {count} views to train on; "
            "raise it or set it to 0"
        )
    return training, held


def _optimizers(
    splats: Splats, rates: LearningRates, extent: float
) -> dict[str, torch.optim.Optimizer]:
    sizes = {name: getattr(rates, name) * (extent if name == "means" else 1) for name in splats}
    return {
        name: torch.optim.Adam(
            [{"params": [splats[name]], "lr": sizes[name], "name": name}], eps=1e-15, fused=True
        )
        for name in splats
    }


def _strategy(settings: TrainingSettings, views: int) -> CappedStrategy | None:
    refine = settings.refine
    if refine is None:
        return None
    return CappedStrategy(
        prune_opa=refine.cull_opacity,
        grow_grad2d=refine.densify_gradient,
        grow_scale3d=refine.densify_size,
        refine_start_iter=refine.start,
        refine_stop_iter=refine.stop,
        reset_every=refine.reset_opacity_every,
        refine_every=refine.every,
        # After a reset every view is seen once before splats are judged by their opacity.
        pause_refine_after_reset=min(views + refine.every, refine.reset_opacity_every - 1),
        absgrad=True,
        max_splats=settings.max_splats,
    )
