"""Iterations on one view as CUDA graphs: the host records their kernels once, then replays them.

For one small view, the GPU works for less time than the host takes to start the iteration's 70
kernels. The host must know the length of gsplat's list of tiles. So an iteration has two graphs.
The first projects the splats and computes their colors. The second blends, computes loss and
gradients, and steps the optimizers. Between them the list is copied into a longer one of fixed
length. The longer list ends in a row of tiles below the image, which are never blended.

A graph refers to its tensors by their addresses. Step sizes are tensors, so that they can change.
Iterations that refine, regularize or check run without graphs. After such an iteration the splats
may be other tensors, and new graphs are recorded.
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

# Length of the fixed list, relative to the length of the list at the recording.
ROOM = 1.3
# Every so many iterations, one runs without graphs.
ORDINARY_EVERY = 10


class RecordedSteps:
    """Replays recorded iterations of a trainer where this is possible."""

    def __init__(self, trainer: "SplatTrainer", record: Record | None = None) -> None:
        """Record with CUDA graphs, or with `record`, which turns a function into its replay."""
        self.trainer = trainer
        self.record: Record | None = record or Graphs(trainer.device)
        self._known: list[Any] = []
        self._recordings: dict[tuple[int, int], Recording] = {}
        self.replayed = 0
        """Iterations that were replayed."""

    def step(self, view: int, background: Tensor) -> Tensor | None:
        """Replay an iteration and return its loss; None if the trainer must do it itself."""
        if self.record is None or not self._possible():
            return None
        known = self._taken_for_granted()
        if not same(known, self._known):
            # Run once without graphs, so that every kernel is compiled and loaded before the
            # recording.
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
        """Everything that must stay the same for a recording to remain valid."""
        trainer = self.trainer
        # A refinement replaces all tensors, those of the optimizers too.
        tensors = [*trainer.splats.values(), *trainer.strategy_state.values()]
        return [*tensors, trainer.active_sh_degree, trainer.observing]


def same(first: list[Any], second: list[Any]) -> bool:
    """Whether two lists hold the same tensors (by identity) and equal other values."""
    return len(first) == len(second) and all(
        a is b if torch.is_tensor(a) or torch.is_tensor(b) else a == b
        for a, b in zip(first, second, strict=True)
    )


class Recording:
    """One iteration on any view of one size: two recordings and their input tensors."""

    def __init__(
        self, trainer: "SplatTrainer", size: tuple[int, int], view: int, record: Record
    ) -> None:
        """Record an iteration without changing the trainer. `view` sets the length of the lists."""
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
        """Do an iteration and return its loss. If the lists are too short, do nothing: None."""
        # Set all inputs before the host waits for the lists. Then the device waits less.
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
            trainer.placed(dict(trainer.splats.items()), self.batch),
            self.batch.world_to_camera,
            self.batch.intrinsics,
            *self.size,
            trainer.active_sh_degree,
        )

    def _listed(self) -> TileLists:
        """The lists of the current view, with a row of tiles below the image."""
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
