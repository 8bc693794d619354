"""Optimization of a splat scene to images: one loop for baselines and avatars.

The method is 3D Gaussian splatting (Kerbl et al. 2023) with gsplat's densification strategies. The
foregrounds are composited on a background, as a rule of a random color. Together with a loss on
alpha, this keeps splats inside the masks. An iteration on a GPU waits for the device only once:
while gsplat counts the splats in the tiles.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.base.progress import Timed
from headstyle.losses.photometric import on_background, photometric_loss, psnr
from headstyle.rendering.renderer import Rendering, Splats, check_splats, render
from headstyle.training.densification import CappedStrategy
from headstyle.training.exposure import Exposures
from headstyle.training.optimizers import adam, adam_step
from headstyle.training.relocation import RelocatingStrategy
from headstyle.training.resident_views import Batch, ResidentViews
from headstyle.training.settings import LearningRates, RefineSettings, TrainingSettings

__all__ = [
    "DivergedError",
    "HistoryRow",
    "LearningRates",
    "RefineSettings",
    "SplatTrainer",
    "TrainingSettings",
    "random_order",
    "scene_extent",
]

# As in splatfacto, the splats' shapes are regularized at every tenth iteration.
REGULARIZE_EVERY = 10
# Iterations between checks of all splats, and on a GPU of the loss. A check waits for the device.
CHECK_EVERY = 50
# A larger loss, on images in [0, 1], means that the training diverged.
EXPLODED = 100.0
# Opacity logit of a splat that dropout leaves out. It is too transparent to be drawn.
LEFT_OUT = -20.0


class DivergedError(InputError):
    """The training diverged: a value is not finite, the loss is huge, or no splat is left."""


@dataclass(frozen=True)
class HistoryRow:
    """The state of a training after one iteration."""

    iteration: int
    """Iterations done."""
    loss: float
    """Loss of the iteration."""
    psnr: float
    """Mean PSNR of the iteration's views on black [dB]."""
    splats: int
    """Number of splats."""
    seconds: float
    """Training time so far [s]."""


class Replayer(Protocol):
    """Replays a trainer's iterations on one view where this is possible."""

    def step(self, view: int, background: Tensor) -> Tensor | None:
        """Replay an iteration and return its loss; None if the trainer must do it itself."""
        ...


class SplatTrainer(Timed):
    """Optimizes splats toward the target images of calibrated views.

    It owns the splats, new Adam optimizers, and the densification. All random numbers come from
    `seed`; on the CPU two runs give the same bytes.
    """

    def __init__(
        self,
        splats: Splats,
        cameras: Cameras,
        targets: Mapping[str, RgbaImage],
        settings: TrainingSettings,
        seed: int,
        device: str | torch.device = "cpu",
        timesteps: Sequence[int] | None = None,
    ) -> None:
        """Start from `splats` (copied to `device`) with one target per view of `cameras`.

        If `timesteps` of the views are given, views of different ones are rendered apart.

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
        self.kept_iteration: int | None = None
        """Iteration whose splats the selection views chose; None if the last splats are kept."""
        self.history: list[HistoryRow] = []
        self.extent = scene_extent(cameras)
        self.optimizers = {
            name: adam(value, getattr(settings.learning_rates, name), name)
            for name, value in self.splats.items()
        }
        self.strategy = _strategy(settings, len(cameras))
        self.strategy_state = (
            self.strategy.initialize_state(scene_scale=self.extent) if self.strategy else {}
        )
        rate = settings.exposure_rate
        self.exposures = Exposures(cameras, rate, self.device) if rate else None
        self.resident = ResidentViews(cameras, self.device, timesteps)
        self.replace_targets(targets)
        if missing := self.resident.missing():
            raise ValueError(f"view {missing[0]} has no target")
        self._seed = seed
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self._black = torch.zeros(3, device=self.device)
        self.replayer: Replayer | None = None
        """Replays iterations on one view; see `headstyle.training.trainers`."""
        self.extra_loss: Callable[[Tensor, Tensor, int], Tensor] | None = None
        """An additional term of the loss. It takes rendered views, their targets on the same
        background, `(C, H, W, 3)` each, and the number of iterations done."""
        self._started = time.monotonic()

    def replace_targets(self, targets: Mapping[str, RgbaImage]) -> None:
        """Replace the target images of the given views (straight alpha, `(H, W, 4)`)."""
        self.resident.replace(targets)

    @property
    def active_sh_degree(self) -> int:
        """Degree of the harmonics in use at this iteration."""
        every = self.settings.sh_degree_every
        return min(self.sh_degree, self.iteration // every) if every else self.sh_degree

    @property
    def progress(self) -> float:
        """Part of the iterations that is done, in [0, 1]."""
        return min(self.iteration / self.settings.iterations, 1.0)

    @property
    def observing(self) -> bool:
        """Whether the strategy needs the absolute gradients of this iteration."""
        return self.strategy is not None and self.strategy.observes(self.iteration)

    def step(self, views: Sequence[int]) -> Tensor:
        """Do an iteration on the given views (indices into `cameras`), rendered in one batch.

        Views of different sizes form one batch per size. Returns the loss, a detached scalar: the
        mean over the views plus the regularizers.

        Raises:
            DivergedError: the loss or a splat is not finite, or no splat is left.
        """
        if not len(self.splats["means"]):
            raise self._diverged("no splat is left")
        background = self._background()
        self._set_rates()
        if self.replayer and len(views) == 1:
            loss = self.replayer.step(views[0], background)
            if loss is not None:
                # The replay has already added its gradients to the strategy's state.
                self._end_iteration([])
                return loss
        splats = self._splats_of_this_iteration()
        terms, infos = self.regularizers(), []
        for batch in self.resident.batches(views):
            rendering = self._render(splats, batch, background)
            infos.append(rendering.info)
            share = len(batch) / len(views)
            image_loss = self.image_loss(rendering, batch, background)
            terms.append(image_loss if share == 1 else share * image_loss)
        loss = reduce(torch.add, terms)
        loss.backward()
        loss = loss.detach()
        self._check(loss)
        self.update()
        self._end_iteration(infos)
        return loss

    def _end_iteration(self, infos: list[dict[str, Any]]) -> None:
        """Call the strategy with the `info` of the iteration's renderings."""
        if self.strategy:
            rate = self.optimizers["means"].param_groups[0]["lr"]
            self.strategy.after_step(
                self.splats,
                self.optimizers,
                self.strategy_state,
                self.iteration,
                infos,
                rate,
                self._seed + self.iteration,
            )
        self.iteration += 1

    def record(self, loss: Tensor, views: Sequence[int]) -> HistoryRow:
        """Add a row to the history, with the current mean PSNR of `views` on black."""
        row = HistoryRow(
            self.iteration,
            float(loss),
            float(torch.stack([self._psnr(view) for view in views]).mean()),
            len(self.splats["means"]),
            self.seconds,
        )
        self.history.append(row)
        return row

    @torch.no_grad()
    def _psnr(self, view: int) -> Tensor:
        (batch,) = self.resident.batches([view])
        colors = self._render(dict(self.splats.items()), batch, self._black).colors
        return psnr(colors, self.resident.targets(batch)[0])

    def _background(self) -> Tensor:
        """The color behind the splats and the foregrounds in an iteration. Shape `(3,)`."""
        if self.settings.background == "random":
            return torch.rand(3, generator=self.generator, device=self.device)
        return self._black + (self.settings.background == "white")

    def placed(self, splats: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The splats where a batch's views see them. They move only in a subclass."""
        return splats

    def _render(self, splats: dict[str, Tensor], batch: Batch, background: Tensor) -> Rendering:
        return render(
            self.placed(splats, batch),
            batch.world_to_camera,
            batch.intrinsics,
            batch.width,
            batch.height,
            sh_degree=self.active_sh_degree,
            background=background,
            absolute_gradients=self.observing,
        )

    def all_optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimizers of the splats, then the optimizer of the exposures if they are trained."""
        rest = [self.exposures.optimizer] if self.exposures else []
        return [*self.optimizers.values(), *rest]

    def update(self, rates: Sequence[Tensor] | None = None) -> None:
        """Take one step of all optimizers; `rates`, if given, replace their step sizes."""
        adam_step(self.all_optimizers(), rates)
        if self.exposures:
            self.exposures.center()

    def _set_rates(self) -> None:
        """Set the optimizers' step sizes for this iteration."""
        rates, progress = self.settings.learning_rates, self.progress
        chosen = {name: getattr(rates, name) * rates.decay**progress for name in self.optimizers}
        chosen["means"] = rates.means * self.extent * (rates.means_final / rates.means) ** progress
        for name, optimizer in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = chosen[name]
        if self.exposures:
            self.exposures.set_rate(progress)

    def _splats_of_this_iteration(self) -> dict[str, Tensor]:
        """All splats. Dropout takes a random part, more opaque (DropGaussian, Park et al. 2025)."""
        splats, dropout = dict(self.splats.items()), self.settings.dropout
        if dropout:
            logits = splats["opacities"]
            chances = torch.rand(logits.shape, generator=self.generator, device=self.device)
            opaque = torch.logit((torch.sigmoid(logits) / (1 - dropout)).clamp_max(0.999))
            splats["opacities"] = torch.where(chances < dropout, LEFT_OUT, opaque)
        return splats

    def image_loss(self, rendering: Rendering, batch: Batch, background: Tensor) -> Tensor:
        """The loss of colors and alphas on one batch, rendered on `background` `(3,)`."""
        every_target = self.resident.all_targets((batch.width, batch.height))
        target, alpha_loss = on_background(rendering.alphas, *every_target, batch.slots, background)
        colors = rendering.colors
        if self.exposures:
            colors = self.exposures.apply(colors, rendering.alphas, background, batch.views)
        loss = photometric_loss(colors, target, self.settings.ssim_weight)
        if self.extra_loss is not None:
            loss = loss + self.extra_loss(colors, target, self.iteration)
        if self.settings.alpha_weight:
            loss = torch.add(loss, alpha_loss, alpha=self.settings.alpha_weight)
        return loss

    def regularizers(self) -> list[Tensor]:
        """The terms of this iteration's loss that depend only on the splats."""
        settings, terms = self.settings, []
        scales = self.splats["scales"]
        if settings.scale_regularization and self.iteration % REGULARIZE_EVERY == 0:
            # Penalty on elongated splats (PhysGaussian, Xie et al. 2024).
            ratios = torch.exp(scales.amax(dim=1) - scales.amin(dim=1))
            excess = ratios.clamp_min(settings.scale_max_ratio) - settings.scale_max_ratio
            terms.append(settings.scale_regularization * excess.mean())
        if settings.opacity_regularization:
            opacities = torch.sigmoid(self.splats["opacities"])
            terms.append(settings.opacity_regularization * opacities.mean())
        if settings.size_regularization:
            terms.append(settings.size_regularization / self.extent * torch.exp(scales).mean())
        if settings.sh_regularization and self.active_sh_degree:
            terms.append(settings.sh_regularization * self.splats["shN"].square().mean())
        return terms

    def _check(self, loss: Tensor) -> None:
        thorough = self.iteration % CHECK_EVERY == 0
        if self.device.type == "cuda" and not thorough:
            return
        value = float(loss)
        if not math.isfinite(value):
            raise self._diverged(f"the loss became {value}")
        if value > EXPLODED:
            raise self._diverged(f"the loss rose to {value:.4g}")
        if thorough and (broken := self.broken_tensor()):
            raise self._diverged(
                f"the splats' {broken} are no longer finite, and the loss is {value:.4g}"
            )

    def check_scene(self) -> None:
        """Check the scene as it is now: no iteration looks at what the last one made of it.

        Raises:
            DivergedError: a splat is not finite.
        """
        if broken := self.broken_tensor():
            raise self._diverged(f"the splats' {broken} are no longer finite")

    def _diverged(self, reason: str) -> DivergedError:
        return DivergedError(
            f"training stopped at iteration {self.iteration} of {self.settings.iterations}: "
            f"{reason}; lower baseline.learning_rates or check the views"
        )

    def broken_tensor(self) -> str | None:
        """Name of a tensor of the scene with a value that is not finite, or None."""
        finite = [torch.isfinite(value.detach()).all() for value in self.splats.values()]
        broken = torch.stack(finite).logical_not().tolist()
        return next((name for name, bad in zip(self.splats, broken, strict=True) if bad), None)


def scene_extent(cameras: Cameras) -> float:
    """1.1 times the largest distance of a camera from their center, in world units (as in 3DGS)."""
    centers = cameras.centers
    return 1.1 * float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())


def random_order(views: Sequence[int], seed: int) -> Iterator[int]:
    """The views in random order without end. Each view comes once before any comes again."""
    generator = np.random.default_rng(seed)
    while True:
        yield from (views[i] for i in generator.permutation(len(views)))


def _strategy(settings: TrainingSettings, views: int) -> CappedStrategy | RelocatingStrategy | None:
    refine = settings.refine
    if refine is None:
        return None
    times = {
        "refine_start_iter": refine.start,
        "refine_stop_iter": refine.stop,
        "refine_every": refine.every,
    }
    if settings.strategy == "mcmc":
        assert settings.max_splats is not None
        return RelocatingStrategy(
            cap_max=settings.max_splats, min_opacity=refine.cull_opacity, **times
        )
    return CappedStrategy(
        prune_opa=refine.cull_opacity,
        grow_grad2d=refine.densify_gradient,
        grow_scale3d=refine.densify_size,
        reset_every=refine.reset_opacity_every,
        # After a reset, every view is trained once before splats are removed by their opacity.
        pause_refine_after_reset=min(views + refine.every, refine.reset_opacity_every - 1),
        absgrad=True,
        max_splats=settings.max_splats,
        **times,
    )
