"""Iterations on one view as CUDA graphs: the host records their kernels once and then only replays.

One small view keeps a GPU busy for less time than a host takes to start the iteration's 70 kernels.
Only gsplat's list of tiles, whose length the host must know, stands between two graphs: projection
and colors before it; blending, loss, gradients and optimizers after it. The list is copied into a
longer one, which ends in a row of tiles below the image that are never blended.

A graph knows its tensors by their addresses, the step sizes by tensors of their own. Iterations
that refine, regularize or check are done as ever, and after them the splats may be other tensors.
"""

import logging
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headstyle.rendering.cuda.rasterize import (
    Projected,
    TileLists,
    blend,
    list_tiles,
    project,
    tile_width,
)
from headstyle.rendering.renderer import Rendering
from headstyle.training.cuda_graphs import Graphs, Record
from headstyle.training.densification import add_gradients

if TYPE_CHECKING:
    from headstyle.training.trainer import SplatTrainer

logger = logging.getLogger("headstyle")

# Room for so many times the entries that the lists had when it was made.
ROOM = 1.3
# Iterations between those that are done as ever.
ORDINARY_EVERY = 10


class RecordedSteps:
    """Does a trainer's iterations from recordings where it can."""

    def __init__(self, trainer: "SplatTrainer", record: Record | None = None) -> None:
        """Record with CUDA graphs, or with what `record` makes of a function."""
        self.trainer = trainer
        self.record: Record | None = record or Graphs(trainer.device)
        self._known: list[Any] = []
        self._recordings: dict[tuple[int, int], Recording] = {}
        self.replayed = 0
        """Iterations that were replayed."""

    def step(self, view: int, background: Tensor) -> Tensor | None:
        """Do an iteration and return its loss, or None where it must be done as ever."""
        if self.record is None or not self._possible():
            return None
        known = self._taken_for_granted()
        if not same(known, self._known):
            # Done as ever once, so that every kernel is compiled and loaded before it is recorded.
            self._known = known
            self._recordings.clear()
            return None
        try:
            loss = self._replay(view, background)
        except RuntimeError as error:
            logger.warning("iterations cannot be recorded as CUDA graphs: %s", error)
            self.record = None
            self._recordings.clear()
            for optimizer in self.trainer.all_optimizers():
                optimizer.param_groups[0]["params"][0].grad = None
            return None
        self.replayed += 1
        return loss

    def _replay(self, view: int, background: Tensor) -> Tensor:
        trainer = self.trainer
        size = trainer.resident.size(view)
        found = self._recordings.get(size)
        loss = found.replay(view, background) if found else None
        if loss is None:
            assert self.record is not None
            made = Recording(trainer, size, view, self.record)
            self._recordings[size] = made
            loss = made.replay(view, background)
            assert loss is not None
        return loss

    def _possible(self) -> bool:
        trainer, iteration = self.trainer, self.trainer.iteration
        strategy = trainer.strategy
        return (
            iteration % ORDINARY_EVERY != 0
            and trainer.extra_loss is None
            and not trainer.settings.dropout
            and not (strategy is not None and strategy.acts(iteration))
        )

    def _taken_for_granted(self) -> list[Any]:
        """What a recording depends on beside the values of tensors."""
        trainer = self.trainer
        # Refining puts other tensors in the place of all, those of the optimizers included.
        tensors = [*trainer.splats.values(), *trainer.strategy_state.values()]
        return [*tensors, trainer.active_sh_degree, trainer.observing]


def same(first: list[Any], second: list[Any]) -> bool:
    """Whether two lists hold the same objects, tensors, and equal other values."""
    return len(first) == len(second) and all(
        a is b if torch.is_tensor(a) or torch.is_tensor(b) else a == b
        for a, b in zip(first, second, strict=True)
    )


class Recording:
    """One iteration on any view of a size, as two recordings and the tensors that feed them."""

    def __init__(
        self, trainer: "SplatTrainer", size: tuple[int, int], view: int, record: Record
    ) -> None:
        """Record; nothing of the trainer changes. `view` tells how long the lists may be."""
        self.trainer, self.size = trainer, size
        device = trainer.device
        self.view = torch.tensor([view], device=device)
        self.background = torch.zeros(1, 3, device=device)
        self.rates = [torch.zeros((), device=device) for _ in trainer.all_optimizers()]
        self._rates = [0.0] * len(self.rates)
        self.projected: Projected | None = None
        self.loss: Tensor | None = None
        self.project = record(self._project)
        self.project()
        made = self._listed()
        shown = torch.ones_like(made.offsets, dtype=torch.bool)
        shown[:, -1] = False
        room = int(ROOM * len(made.splats)) + 1
        entries = torch.zeros(room, dtype=torch.int32, device=device)
        self.lists = TileLists(made.width, torch.zeros_like(made.offsets), entries, shown)
        self.learn = record(self._learn)

    def replay(self, view: int, background: Tensor) -> Tensor | None:
        """Do an iteration and return its loss; None, and nothing done, where the lists are full."""
        # All that can be told before the host waits for the lists keeps the device from waiting.
        self.view.fill_(view)
        self.background.copy_(background)
        for i, optimizer in enumerate(self.trainer.all_optimizers()):
            rate = optimizer.param_groups[0]["lr"]
            if rate != self._rates[i]:
                self.rates[i].fill_(rate)
                self._rates[i] = rate
        self.project()
        made = self._listed()
        if len(made.splats) >= len(self.lists.splats):
            return None
        self.lists.offsets.copy_(made.offsets)
        self.lists.splats[: len(made.splats)].copy_(made.splats)
        self.learn()
        assert self.loss is not None
        return self.loss.clone()

    def _project(self) -> None:
        trainer = self.trainer
        self.batch = trainer.resident.batch(self.size, self.view)
        self.projected = project(
            dict(trainer.splats.items()),
            self.batch.world_to_camera,
            self.batch.intrinsics,
            *self.size,
            trainer.active_sh_degree,
        )

    def _listed(self) -> TileLists:
        """The lists of the present view, with a row of tiles below the image."""
        assert self.projected is not None
        width, height = self.size
        tile = tile_width(width, height, 1)
        return list_tiles(self.projected, width, (-(-height // tile) + 1) * tile, tile)

    def _learn(self) -> None:
        trainer, projected = self.trainer, self.projected
        assert projected is not None
        colors, alphas = blend(
            projected, self.lists, *self.size, self.background, trainer.observing
        )
        width, height = self.size
        info: dict[str, Any] = {"means2d": projected.means2d, "radii": projected.radii}
        info |= {"width": width, "height": height, "n_cameras": 1}
        rendering = Rendering(colors, alphas, None, None, info)
        image_loss = trainer.image_loss(rendering, self.batch, self.background[0])
        loss = reduce(torch.add, [*trainer.regularizers(), image_loss])
        loss.backward()
        self.loss = loss.detach()
        trainer.update(self.rates)
        if trainer.observing:
            add_gradients(trainer.strategy_state, [info])
