"""From views to batches of warped pairs, which the metrics compare."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.progress import progress
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene, Warp
from headstyle.consistency.warping import (
    Surfaces,
    overlap,
    relative_projections,
    sound_surface,
    warp,
    warp_backward,
)
from headstyle.rendering.renderer import Splats

# Pixels per batch. On the CPU a small batch stays in the caches and needs less than 1 GiB of
# working memory. On a GPU it needs about 10 GiB.
BATCH_PIXELS = {"cpu": 2**18, "cuda": 2**24}


def make_scene(
    renders: Sequence[ArrayLike | Tensor],
    depths: Sequence[ArrayLike | Tensor],
    cameras: Cameras,
    foreground_alpha: float,
    device: torch.device,
    *,
    unedited: Sequence[ArrayLike | Tensor] | None = None,
    splats: Splats | None = None,
    instruction: str | None = None,
    captions: tuple[str, str] | None = None,
) -> Scene:
    """Check all views and bring them to the device; see `headstyle.consistency.scoring.score`.

    Raises:
        InputError: numbers or sizes do not fit together.
    """
    # Whole images travel to a GPU; a part of their channels would first be copied on the CPU.
    images = [as_image(render).to(device) for render in renders]
    maps = [torch.as_tensor(depth).to(device, torch.float32) for depth in depths]
    check_sizes(images, cameras, "the image of {}")
    check_sizes(maps, cameras, "the depth of {}")
    foreground = [
        image[..., 3] > foreground_alpha if image.shape[2] == 4 else depth > 0
        for image, depth in zip(images, maps, strict=True)
    ]
    before = None
    if unedited is not None:
        originals = [as_image(image).to(device) for image in unedited]
        check_sizes(originals, cameras, "the unedited image of {}")
        before = [
            (image if image.shape[2] == 4 else torch.cat([image, own[..., None].float()], dim=2))
            for image, own in zip(originals, foreground, strict=True)
        ]
    return Scene(
        cameras,
        [image[..., :3] for image in images],
        foreground,
        maps,
        before,
        splats,
        instruction,
        captions,
    )


class PairWarper:
    """Warps pairs of a scene's views by either kind of warp, without computing the other kind.

    Args:
        scene: The views.
        settings: The config's `metrics` section.
    """

    def __init__(self, scene: Scene, settings: Mapping[str, Any]) -> None:
        self.scene = scene
        self._settings = settings

    def batch(self, kind: Warp, positions: Sequence[tuple[int, int]]) -> PairBatch:
        """The batch of pairs (target, source): targets of one size, sources of one size."""
        targets, sources = (tuple(side) for side in zip(*positions, strict=True))
        draw = self._published if kind == "published" else self._corrected
        warped, shared = draw(targets, sources)
        colors = _stack(self.scene.colors, targets)
        foreground = _stack(self.scene.foreground, targets)
        return PairBatch(colors, warped, shared, foreground, targets, sources)

    def _published(self, targets: Sequence[int], sources: Sequence[int]) -> tuple[Tensor, Tensor]:
        scene = self.scene
        width, height = scene.cameras.sizes[targets[0]].tolist()
        warped = warp(
            _stack(scene.colors, sources),
            _stack(scene.depths, sources),
            _stack(scene.foreground, sources),
            self._projections(targets, sources),
            (width, height),
        )
        depth, foreground = _stack(scene.depths, targets), _stack(scene.foreground, targets)
        shared = overlap(warped, depth, foreground, self._settings["depth_tolerance"])
        return warped.colors, shared

    def _corrected(self, targets: Sequence[int], sources: Sequence[int]) -> tuple[Tensor, Tensor]:
        return warp_backward(
            self._surfaces(targets),
            self._surfaces(sources),
            self._projections(sources, targets),
            self._projections(targets, sources),
            self._settings["depth_tolerance"],
            self._settings["round_trip_px"],
        )

    def _projections(self, targets: Sequence[int], sources: Sequence[int]) -> Tensor:
        moved = relative_projections(self.scene.cameras, targets, sources)
        return moved.to(self.scene.colors[0].device)

    def _surfaces(self, views: Sequence[int]) -> Surfaces:
        depths, sound = self.sound
        return Surfaces(*(_stack(images, views) for images in (self.scene.colors, depths, sound)))

    @cached_property
    def sound(self) -> tuple[list[Tensor], list[Tensor]]:
        """Depth of each view, and where it can be trusted; see `sound_surface`. `(H, W)` each."""
        depths, sound = zip(
            *(
                sound_surface(depth[None], foreground[None], self._settings["depth_jump"])
                for depth, foreground in zip(self.scene.depths, self.scene.foreground, strict=True)
            ),
            strict=True,
        )
        return [depth[0] for depth in depths], [mask[0] for mask in sound]


def pair_values(
    scene: Scene,
    metrics: Sequence[Metric],
    positions: Sequence[tuple[int, int]],
    settings: Mapping[str, Any],
) -> NDArray[np.float64]:
    """Shared fractions by both warps, and each metric, of each pair.

    Args:
        scene: The views.
        metrics: What to compute.
        positions: Pairs (target, source), as places in the scene.
        settings: The config's `metrics` section.

    Returns:
        Columns overlap, coverage and the metrics; NaN where there is no value. Shape
        `(N, 2 + metrics)`.
    """
    warper = PairWarper(scene, settings)
    values = np.full((len(positions), 2 + len(metrics)), np.nan)
    # cuDNN's default, TF32, is exact to three digits only.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for metric in metrics:
            metric.prepare(scene)
        groups = list(batches(positions, scene))
        for rows in progress(groups, "batches of pairs"):
            chosen = [positions[row] for row in rows]
            values[rows] = _values(metrics, warper, chosen, settings["min_overlap"])
    return values


def _values(
    metrics: Sequence[Metric],
    warper: PairWarper,
    positions: Sequence[tuple[int, int]],
    min_overlap: float,
) -> NDArray[np.float64]:
    """Shared fractions by both warps and each metric of each pair. Shape `(N, 2 + metrics)`."""
    columns: dict[str, Tensor] = {}
    # The published warp gives the column `overlap`, whatever the metrics are.
    kinds: dict[Warp, float] = {"published": 0.0}
    if any(metric.warp == "corrected" for metric in metrics):
        kinds["corrected"] = min_overlap
    for kind, least in kinds.items():
        batch = warper.batch(kind, positions)
        assert batch.foreground is not None, "the warper gives it"
        foreground = batch.foreground.sum(dim=(1, 2)).clamp(min=1)
        shared = batch.overlap.sum(dim=(1, 2)).double()
        columns[kind] = shared / foreground
        counts = (shared > 0) & (columns[kind] >= least)
        for metric in metrics:
            if metric.warp == kind:
                columns[metric.name] = torch.where(counts, metric(batch).double(), torch.nan)
    nothing = torch.full_like(columns["published"], torch.nan)
    names = ("published", "corrected", *(metric.name for metric in metrics))
    return torch.stack([columns.get(name, nothing) for name in names], dim=1).cpu().numpy()


def batches(positions: Sequence[tuple[int, int]], scene: Scene) -> Iterator[list[int]]:
    """Rows of pairs whose targets have one size and whose sources have one size."""
    sizes = scene.cameras.sizes
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, (target, source) in enumerate(positions):
        groups.setdefault((*sizes[target].tolist(), *sizes[source].tolist()), []).append(row)
    for (width, height, *_), rows in groups.items():
        count = max(1, BATCH_PIXELS[scene.depths[0].device.type] // (width * height))
        for start in range(0, len(rows), count):
            yield rows[start : start + count]


def as_image(render: ArrayLike | Tensor) -> Tensor:
    """An image as float32, 8-bit integers scaled to [0, 1]."""
    image = torch.as_tensor(render)
    if image.dtype == torch.uint8:
        return image.to(torch.float32) / 255
    return image.to(torch.float32)


def check_sizes(arrays: Sequence[Any], cameras: Cameras, what: str) -> None:
    """Check that there is one array per camera, of its size.

    Raises:
        InputError: the number or a size is wrong. The message names the array by `what`, a format
            string with one place for the view's name.
    """
    if len(arrays) != len(cameras):
        raise InputError(
            f"{len(arrays)} arrays were given for {len(cameras)} cameras; give one each, in order"
        )
    for name, (width, height), array in zip(
        cameras.names, cameras.sizes.tolist(), arrays, strict=True
    ):
        if tuple(array.shape[:2]) != (height, width):
            raise InputError(
                f"{what.format(name)} has shape {tuple(array.shape)}, but its camera is "
                f"{width} x {height} px; make both again from the same views"
            )


def _stack(images: Sequence[Tensor], views: Sequence[int]) -> Tensor:
    return torch.stack([images[view] for view in views])
