"""Optimization of a radiance field to images: one loop for baselines and avatars.

An iteration draws rays over all views, within the masks and a margin around them. Field and
targets are composited on a background, a random color per ray as a rule. A baseline's loss is the
mean square; an avatar's is L1 and, on patches, LPIPS, as in Instruct-NeRF2NeRF.
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.base.progress import Timed
from headstyle.losses.perceptual import PatchLpips
from headstyle.radiance.field import RadianceField
from headstyle.radiance.images import see
from headstyle.radiance.rays import DRAWS, Target, TrainingRays
from headstyle.radiance.sampling import distortion_loss, proposal_loss, proposed
from headstyle.training.cuda_graphs import Graphs, Replay
from headstyle.training.optimizers import adam, adam_step
from headstyle.training.trainer import DivergedError, HistoryRow

logger = logging.getLogger("headstyle")

# Iterations between checks of all numbers of the field, and on a GPU of the loss.
CHECK_EVERY = 50
# In this part of the iterations the proposals' weights rise to their full power, as in nerfacto.
ANNEALING, SLOPE = 0.1, 10.0
# Iterations before one is recorded: kernels are compiled, and memory is allocated.
WARM_UP = 3


class FieldTrainer(Timed):
    """Optimizes a field toward the target images of calibrated views.

    All random numbers come from `seed`; on the CPU two runs give the same bytes.
    """

    def __init__(
        self,
        field: RadianceField,
        cameras: Cameras,
        targets: Mapping[str, RgbaImage],
        iterations: int,
        seed: int,
        device: str | torch.device = "cpu",
        *,
        background: str = "random",
        editing: bool = False,
        record: bool = True,
    ) -> None:
        """Start from a field (copied to `device`) with one target per view of `cameras`.

        Args:
            field: The field to start from.
            cameras: The training views.
            targets: Their images.
            iterations: Number of iterations, over which a baseline's step size falls.
            seed: Seed of the random numbers.
            device: Device to train on.
            background: `random`, `black` or `white`.
            editing: Whether to train an avatar: its loss, its rays and its step size.
            record: Whether a GPU replays recorded iterations.

        Raises:
            InputError: a view is smaller than a patch.
            ValueError: a target is missing or has another size than its camera.
        """
        self.device = torch.device(device)
        self.settings = field.settings
        self.scene = field.with_settings(field.settings).to(self.device)
        """The field that is trained."""
        self.cameras = cameras
        self.iterations = iterations
        self.background = background
        self.editing = editing
        self.iteration = 0
        """Iterations done."""
        self.history: list[HistoryRow] = []
        self.perceptual: PatchLpips | None = None
        """An additional term of an avatar's loss."""
        self.rays = TrainingRays(cameras, self.settings, self.device)
        self.replace_targets(targets)
        if missing := self.rays.missing():
            raise ValueError(f"view {missing[0]} has no target")
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.optimizers = {
            name: adam(value, self.settings.learning_rate, name)
            for name, value in self.scene.named_parameters()
            if value.numel()
        }
        self._patch = self.settings.patch_px if editing else 1
        if self._patch > int(cameras.sizes.min()):
            raise InputError(
                f"nerf.patch_px is {self._patch}, and the smallest view is"
                f" {int(cameras.sizes.min())} px wide or high; lower nerf.patch_px"
            )
        count = self.settings.edit_rays if editing else self.settings.rays
        levels = len(self.settings.proposal_samples) + 1
        self._chances = torch.zeros((count // self._patch**2, DRAWS), device=self.device)
        self._jitter = torch.zeros((levels, count), device=self.device)
        self._behind = torch.full((count, 3), float(background == "white"), device=self.device)
        self._rate = torch.zeros((), device=self.device)
        self._annealing = torch.ones((), device=self.device)
        self._graphs = Graphs(self.device) if record and self.device.type == "cuda" else None
        self._recorded: dict[bool, tuple[Replay, Tensor, Tensor]] = {}
        self._warm: dict[bool, int] = {}
        self._seen_psnr = float("nan")
        self._last: tuple[Tensor, Tensor] | None = None
        self._started = time.monotonic()

    def replace_targets(self, targets: Mapping[str, RgbaImage]) -> None:
        """Replace the target images of the given views (straight alpha, `(H, W, 4)`)."""
        self.rays.replace(targets)

    @property
    def progress(self) -> float:
        """Part of the iterations that is done, in [0, 1]."""
        return min(self.iteration / max(self.iterations, 1), 1.0)

    def step(self, views: Sequence[int] = ()) -> Tensor:
        """Do an iteration on random rays of all views, and return its loss, a detached scalar.

        Args:
            views: Ignored: a schedule may name views, but a field learns from all of them.

        Raises:
            DivergedError: the loss or a number of the field is not finite.
        """
        self._draw()
        learn = self._proposals_learn()
        recorded = self._recorded.get(learn)
        if recorded is None and self._graphs and self._warm.get(learn, 0) >= WARM_UP:
            recorded = self._record(learn)
        if recorded:
            replay, loss, error = recorded
            replay()
        else:
            loss, error = self._compute(learn)
            self._warm[learn] = self._warm.get(learn, 0) + 1
        self._last = (loss, error)
        self._check(loss)
        self.iteration += 1
        return loss

    def record(self, loss: Tensor, views: Sequence[int] = ()) -> HistoryRow:
        """Add a row to the history, with the PSNR of the last iteration's rays on black."""
        error = float(self._last[1]) if self._last else float("nan")
        row = HistoryRow(
            self.iteration, float(loss), -10 * math.log10(max(error, 1e-10)), 0, self.seconds
        )
        self.history.append(row)
        return row

    def check_scene(self) -> None:
        """Check the field as it is now: no iteration looks at what the last one made of it.

        Raises:
            DivergedError: a number is not finite.
        """
        finite = [torch.isfinite(value.detach()).all() for value in self.scene.parameters()]
        if not bool(torch.stack(finite).all()):
            raise self._diverged("the field's numbers are no longer finite")

    def _compute(self, learn: bool) -> tuple[Tensor, Tensor]:
        """Losses, gradients and a step of the optimizers. Returns loss and mean square error."""
        target = self.rays.draw(self.scene, self._chances, self._patch)
        loss, error = self._loss(target, learn)
        loss.backward()
        # Networks that did not learn keep no gradient, and Adam leaves them alone.
        adam_step(list(self.optimizers.values()), [self._rate] * len(self.optimizers))
        return loss.detach(), error

    def _loss(self, target: Target, learn: bool) -> tuple[Tensor, Tensor]:
        mixed = self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            histograms, edges = proposed(
                self.scene, target.rays, list(self._jitter), self._annealing, learn
            )
        seen = see(self.scene, target.rays, edges, target.views, mixed)
        # A ray that misses the box can learn nothing.
        rendered = seen.colors + (1 - seen.alphas)[:, None] * self._behind
        wanted = target.colors + (1 - target.alphas)[:, None] * self._behind
        if self.editing:
            loss = (rendered - wanted).abs().mean()
        else:
            loss = (rendered - wanted).square().mean()
        if self.settings.alpha_weight:
            away = (seen.alphas - target.alphas).square().mean()
            loss = loss + self.settings.alpha_weight * away
        if self.settings.distortion_weight:
            distortion = distortion_loss(seen.shown, target.rays.speed)
            loss = loss + self.settings.distortion_weight * distortion
        if learn:
            loss = loss + proposal_loss(histograms, seen.shown)
        if self.perceptual is not None and self._patch > 1:
            shape = (-1, self._patch, self._patch, 3)
            loss = loss + self.perceptual.of_patches(rendered.view(shape), wanted.view(shape))
        return loss, (seen.colors - target.colors).detach().square().mean()

    def _draw(self) -> None:
        """Fill the iteration's random numbers, step size and annealing."""
        for place in (self._chances, self._jitter):
            torch.rand(place.shape, generator=self.generator, out=place)
        if self.background == "random":
            torch.rand(self._behind.shape, generator=self.generator, out=self._behind)
        first, last = self.settings.learning_rate, self.settings.learning_rate_final
        self._rate.fill_(first if self.editing else first * (last / first) ** self.progress)
        part = min(self.progress / ANNEALING, 1.0)
        # A trained field's proposals are right from the start.
        power = 1.0 if self.editing else SLOPE * part / ((SLOPE - 1) * part + 1)
        self._annealing.fill_(power)

    def _proposals_learn(self) -> bool:
        early = self.progress < ANNEALING
        return early or self.iteration % self.settings.proposal_every == 0

    def _record(self, learn: bool) -> tuple[Replay, Tensor, Tensor] | None:
        """Record an iteration without doing it; None, and no further try, if that fails."""
        kept: list[Tensor] = []
        assert self._graphs is not None
        try:
            replay = self._graphs(lambda: kept.extend(self._compute(learn)))
        except RuntimeError as error:
            logger.warning("iterations cannot be recorded as CUDA graphs: %s", error)
            self._graphs = None
            self._recorded.clear()
            for value in self.scene.parameters():
                value.grad = None
            return None
        self._recorded[learn] = (replay, kept[0], kept[1])
        return self._recorded[learn]

    def _check(self, loss: Tensor) -> None:
        thorough = self.iteration % CHECK_EVERY == 0
        if self.device.type == "cuda" and not thorough:
            return
        if not math.isfinite(value := float(loss)):
            raise self._diverged(f"the loss became {value}")
        if thorough:
            self.check_scene()

    def _diverged(self, reason: str) -> DivergedError:
        return DivergedError(
            f"training stopped at iteration {self.iteration} of {self.iterations}: {reason};"
            " lower nerf.learning_rate or check the views"
        )


def field_state(trainer: FieldTrainer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A trainer's state: the tensors, and the rest as values that JSON can hold."""
    tensors = {f"field.{k}": v for k, v in trainer.scene.state_dict().items() if v.numel()}
    for name, optimizer in trainer.optimizers.items():
        (state,) = optimizer.state.values()
        tensors |= {f"moments.{name}/{key}": value for key, value in state.items()}
    tensors["generator"] = trainer.generator.get_state()
    described = {
        "iteration": trainer.iteration,
        "seconds": trainer.seconds,
        "history": [list(asdict(row).values()) for row in trainer.history],
    }
    return tensors, described


def restore_field(
    trainer: FieldTrainer, tensors: Mapping[str, Tensor], described: Mapping[str, Any]
) -> None:
    """Put a trainer into a state that `field_state` returned. Its tensors stay where they lie."""
    with torch.no_grad():
        for name, value in trainer.scene.state_dict().items():
            if value.numel():
                value.copy_(tensors[f"field.{name}"])
        for name, optimizer in trainer.optimizers.items():
            (state,) = optimizer.state.values()
            for key, value in state.items():
                value.copy_(tensors[f"moments.{name}/{key}"])
    trainer.generator.set_state(tensors["generator"])
    trainer.iteration = described["iteration"]
    trainer.seconds = described["seconds"]
    trainer.history = [HistoryRow(*row) for row in described["history"]]
