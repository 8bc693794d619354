"""Baselines and avatars of the calibration, trained on known edits as the workflow trains them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.avatars.schedules import make_schedule
from headstyle.avatars.stylization import avatar_settings, render_images, stylize
from headstyle.base.cameras import Cameras
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.calibration.scenes import EditedViews
from headstyle.rendering.renderer import Splats, render_views
from headstyle.training.baseline import train_on_views
from headstyle.training.settings import TrainingSettings
from headstyle.training.trainers import make_trainer

POINTS = 3000
"""Surface points that a baseline starts from."""


@dataclass(frozen=True)
class Baseline:
    """The unedited scene of a head."""

    splats: Splats
    renders: tuple[RgbaImage, ...]
    """Its render of every camera. Shape `(H, W, 4)` each."""
    depths: tuple[NDArray[np.float32], ...]
    """Median depth of every camera. Shape `(H, W)` each."""


def train_baseline(
    views: EditedViews, section: Mapping[str, Any], seed: int, device: str
) -> Baseline:
    """Train splats on the unedited views.

    Args:
        views: Views of a head; only the unedited ones are used.
        section: The config's section `baseline`.
        seed: Seed of the start, the order of views and the backgrounds.
        device: Device to train on.
    """
    points, colors = _surface_points(views, seed)
    settings = TrainingSettings.from_config(section)
    trainer = train_on_views(
        views.cameras, views.unedited, points, colors, settings, seed, device=device
    )
    images, depths = [], []
    for _, image, median, _ in render_views(trainer.splats, views.cameras):
        images.append(image)
        depths.append(median)
    return Baseline(trainer.splats, tuple(images), tuple(depths))


def train_avatar(
    baseline: Baseline,
    views: EditedViews,
    edits: Callable[[int], Sequence[RgbaImage]],
    sections: Mapping[str, Any],
    neighbors: Sequence[Sequence[int]],
    seed: int,
    device: str,
) -> Splats:
    """Train the baseline's splats on given edits, by the workflow's own schedule.

    Args:
        baseline: The unedited scene.
        views: Views of the head.
        edits: The edits of each cycle, one image per camera.
        sections: The config's sections `baseline` and `stylization`.
        neighbors: The indices of each view's neighbors.
        seed: The avatar's seed.
        device: Device to train on.
    """
    names, stylization = views.cameras.names, sections["stylization"]
    schedule = make_schedule(stylization, seed)
    settings = avatar_settings(
        sections["baseline"], stylization["refine_every"], schedule.iterations
    )
    unedited = dict(zip(names, views.unedited, strict=True))
    trainer = make_trainer(baseline.splats, views.cameras, unedited, settings, seed, device)
    loop, edited = stylize(trainer, schedule, neighbors), None
    while True:
        try:
            edit = loop.send(edited)
        except StopIteration:
            return trainer.splats
        images = edits(edit.cycle)
        edited = {names[view]: images[view] for view in edit.views}


def rendered(splats: Splats, cameras: Cameras) -> tuple[RgbaImage, ...]:
    """Renders of all cameras. Shape `(H, W, 4)` each, straight alpha."""
    return tuple(image for _, image in render_images(splats, cameras))


def _surface_points(
    views: EditedViews, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Random points of the unedited surface and their colors. Shapes `(N, 3)` and `(N, 3)`."""
    points, colors = [], []
    for view, (image, depth) in enumerate(zip(views.unedited, views.unedited_depths, strict=True)):
        rows, columns = np.nonzero((depth > 0) & (image[..., 3] > FOREGROUND_ALPHA))
        pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=-1)
        rays = pixels @ np.linalg.inv(views.cameras.intrinsics[view]).T
        pose = views.cameras.world_to_camera[view]
        in_camera = rays * depth[rows, columns, None].astype(np.float64)
        points.append((in_camera - pose[:3, 3]) @ pose[:3, :3])
        colors.append(image[rows, columns, :3])
    stacked, shades = np.concatenate(points), np.concatenate(colors)
    count = min(POINTS, len(stacked))
    chosen = np.random.default_rng(seed).choice(len(stacked), count, replace=False)
    return stacked[chosen], shades[chosen]
