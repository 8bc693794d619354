"""Training of splats that are bound to a mesh, on images of several cameras and timesteps.

The loop, the losses on images, the densification and the checkpoints are those of a static scene.
Only where the splats are depends on the view's timestep.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gsplat.strategy.ops import remove
from torch import Tensor

from headstyle import __version__
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.rigged.binding import TriangleFrames, splats_on_mesh, to_world_at, with_last_spared
from headstyle.rigged.losses import position_loss, scale_loss
from headstyle.rigged.scene import RiggedScene, frame_image, frames_of
from headstyle.rigged.sequence import RiggedSequence, joined_cameras
from headstyle.rigged.settings import BindingSettings
from headstyle.training.baseline import run_iterations
from headstyle.training.checkpoints import Checkpoints, task_digest
from headstyle.training.densification import CappedStrategy
from headstyle.training.resident_views import Batch
from headstyle.training.selection import Selection
from headstyle.training.settings import TrainingSettings
from headstyle.training.trainer import DivergedError, SplatTrainer
from headstyle.training.trainers import recorded

logger = logging.getLogger("headstyle")

TRIANGLES = "triangles"
"""Key of the splats' triangles in the strategy's state, whose tensors gsplat keeps in step with the
splats: a clone or a part of a splat is bound to its triangle."""


class BoundStrategy(CappedStrategy):
    """The strategy of static scenes, but every triangle keeps at least one splat."""

    @torch.no_grad()
    def _prune_gs(self, params: Any, optimizers: Any, state: dict[str, Any], step: int) -> int:
        doomed = torch.sigmoid(params["opacities"]) < self.prune_opa
        if step > self.reset_every:
            largest = torch.exp(params["scales"]).amax(dim=1)
            doomed |= largest > self.prune_scale3d * state["scene_scale"]
        doomed = with_last_spared(doomed, params["opacities"], state[TRIANGLES])
        count = int(doomed.sum())
        if count:
            remove(params=params, optimizers=optimizers, state=state, mask=doomed)
        return count


class RiggedTrainer(SplatTrainer):
    """Optimizes bound splats. `splats` are in their triangles' frames."""

    def __init__(
        self,
        scene: RiggedScene,
        triangles: TriangleFrames,
        cameras: Cameras,
        timesteps: Sequence[int],
        targets: Mapping[str, RgbaImage],
        settings: TrainingSettings,
        binding: BindingSettings,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        """Start from a scene (copied to `device`) with one target per view.

        Args:
            scene: The bound splats.
            triangles: The frames of the mesh's triangles at all timesteps.
            cameras: The views.
            timesteps: The timestep of each view.
            targets: The image of each view, straight alpha. Shape `(H, W, 4)`.
            settings: The schedule. Step sizes and sizes of splats are given as for a static scene.
            binding: What keeps splats near the mesh.
            seed: Of the backgrounds and of what the densification draws.
            device: Device to train on.
        """
        super().__init__(scene.splats, cameras, targets, settings, seed, device, timesteps)
        self.frames = triangles.to(self.device)
        self.binding = binding
        # A triangle's scale is the unit of its splats. So the scene's extent is larger by as much.
        scales = self.frames.scales.mean(dim=0)
        world, self.extent = self.extent, self.extent / float(scales.mean())
        bound = scene.triangles.to(self.device)
        self.strategy_state[TRIANGLES] = bound
        if self.strategy is not None:
            if not isinstance(self.strategy, CappedStrategy):
                raise InputError("splats on a mesh need baseline.strategy: default")
            self.strategy = BoundStrategy(**vars(self.strategy))
            self.strategy_state["scene_scale"] = world / scales[bound]

    @property
    def scene(self) -> RiggedScene:
        """The splats and their triangles as they are now."""
        return RiggedScene(self.splats, self.strategy_state[TRIANGLES])

    def placed(self, splats: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The splats in the world at the batch's timestep."""
        assert batch.timestep is not None
        bound = self.strategy_state[TRIANGLES]
        return to_world_at(splats, self.frames, bound, batch.timestep, self.active_sh_degree)

    def regularizers(self) -> list[Tensor]:
        """Those of a static scene, and those that keep splats near their triangles."""
        terms, binding = super().regularizers(), self.binding
        if binding.position_weight:
            excess = position_loss(self.splats["means"], binding.position_threshold)
            terms.append(binding.position_weight * excess)
        if binding.scale_weight:
            excess = scale_loss(self.splats["scales"], binding.scale_threshold)
            terms.append(binding.scale_weight * excess)
        return terms


def make_rigged_trainer(*arguments: Any, **more: Any) -> RiggedTrainer:
    """A trainer that replays recorded iterations where it can; arguments of `RiggedTrainer`."""
    return cast(RiggedTrainer, recorded(RiggedTrainer(*arguments, **more)))


def train_on_sequence(
    sequence: RiggedSequence,
    settings: TrainingSettings,
    binding: BindingSettings,
    seed: int,
    device: str = "cpu",
    checkpoints: str | Path | None = None,
) -> RiggedTrainer:
    """Train bound splats on a sequence's frames of the split `train`.

    Args:
        sequence: The head that moves.
        settings: The schedule.
        binding: What keeps splats near the mesh.
        seed: Seed of the start, the order of the views and the backgrounds.
        device: Device to train on.
        checkpoints: Folder of the checkpoint. An interrupted training continues from it, and a
            complete training removes it.

    Returns:
        The trainer after its last iteration.

    Raises:
        InputError: no frame is there to train on, an image is damaged, or the scene diverged.
    """
    chosen = sequence.of_split("train")
    if not chosen:
        raise InputError(
            f"none of the sequence's {len(sequence.frames)} frames has the split train; hold out"
            " fewer cameras and timesteps"
        )
    cameras, triangles = joined_cameras(chosen), frames_of(sequence.meshes)
    images = [frame_image(frame) for frame in chosen]
    timesteps = [frame.timestep for frame in chosen]
    splats, bound = splats_on_mesh(
        triangles.at(0), binding.splats_per_triangle, settings.sh_degree, seed
    )
    logger.info(
        "training on %d frames of %d timesteps from %d splats on %d triangles",
        *(len(chosen), len(set(timesteps)), len(bound), len(sequence.meshes.faces)),
    )
    trainer = make_rigged_trainer(
        *(RiggedScene(splats, bound), triangles, cameras, timesteps),
        *(dict(zip(cameras.names, images, strict=True)), settings, binding, seed, device),
    )
    vertices, faces = sequence.meshes.vertices, sequence.meshes.faces.astype(float)
    rest = (binding, timesteps, seed, device, __version__)
    task = task_digest(cameras, images, vertices, faces, settings, *rest)
    _iterate(trainer, Checkpoints(checkpoints, settings.checkpoint_every_s, task), seed)
    return trainer


def _iterate(trainer: RiggedTrainer, saved: Checkpoints, seed: int) -> None:
    # No views choose the iteration: the last one is kept.
    selection = Selection(trainer.cameras.select([]), [], trainer.settings.iterations)
    saved.resume(trainer, selection)
    try:
        together = trainer.binding.views_per_iteration
        run_iterations(trainer, selection, saved, seed, together=together)
        trainer.check_scene()
    except DivergedError as error:
        raise InputError(f"{error} ({saved.note()})") from None
    saved.remove()


def edited_timesteps(timesteps: Sequence[int], most: int | None) -> list[int]:
    """Timesteps to edit: so many of those given, evenly spread, the first among them."""
    found = sorted(set(timesteps))
    if most is None or most >= len(found):
        return found
    return [found[i] for i in np.linspace(0, len(found) - 1, most).round().astype(int)]
