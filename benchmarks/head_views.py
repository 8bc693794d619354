"""Views of a procedural head, in the form in which the workflow's view stage leaves them."""

from pathlib import Path

import numpy as np
from headstyle.base.cameras import Cameras, write_cameras
from headstyle.base.files import whole_folder, write_points
from headstyle.base.images import resize_rgba, write_image
from headstyle.capture.head import synthesize_head
from headstyle.capture.photograph import Photograph, photograph, scene_of
from headstyle.capture.rig import CaptureSettings, study_rig

# Photographs are this many times larger than the views, for soft edges.
FINER = 2
POINTS = 6_000
# Error of the points in units of the rig's radius, as structure from motion has.
POINT_ERROR = 5e-4


def make_views(
    folder: Path,
    size_px: int = 512,
    seed: int = 1,
    grid: tuple[int, int, int] = (4, 7, 9),
    coarseness: float = 1.0,
) -> None:
    """Photograph a head with the study's rig and write cameras.json, {view}.png and points.npz.

    Args:
        folder: Where to write; it appears whole or not at all.
        size_px: Long side of the views.
        seed: Of the head, the points and the sensor noise.
        grid: Rows and columns of the rig's grid, and cameras of its extra line.
        coarseness: Of the head's mesh; larger is faster.
    """
    settings = CaptureSettings(FINER * size_px, *grid, 22, 22.3, 1, 95)
    rig, mesh = study_rig(settings).cameras, synthesize_head(seed, coarseness)
    scene, random = scene_of(mesh), np.random.default_rng(seed)
    width, height = round(settings.size_px[0] / FINER), size_px
    cameras = rig.scaled(np.tile([width, height], (len(rig), 1)))
    positions, colors = [], []
    with whole_folder(folder) as partial:
        for i, name in enumerate(rig.names):
            taken = photograph(mesh, scene, rig, i, settings.samples_per_side, seed)
            rgba = np.dstack([taken.rgb / 255, taken.mask]).astype(np.float32)
            write_image(partial / f"{name}.png", resize_rgba(rgba, width, height))
            seen = points_of(taken, rig, i, POINTS // len(rig), random)
            positions.append(seen[0])
            colors.append(seen[1])
        errors = POINT_ERROR * np.linalg.norm(rig.centers, axis=1).mean()
        points = np.concatenate(positions)
        points += errors * random.normal(size=points.shape)
        write_points(partial / "points.npz", points, np.concatenate(colors))
        write_cameras(partial / "cameras.json", cameras)


def points_of(
    taken: Photograph, rig: Cameras, view: int, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Some points of the head that a photograph shows, and their colors."""
    rows, columns = np.nonzero(taken.mask)
    chosen = random.choice(len(rows), count)
    rows, columns = rows[chosen], columns[chosen]
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(count)])
    in_camera = np.linalg.inv(rig.intrinsics[view]) @ pixels * taken.depth[rows, columns]
    rotation, translation = rig.world_to_camera[view, :3, :3], rig.world_to_camera[view, :3, 3]
    return (in_camera.T - translation) @ rotation, taken.rgb[rows, columns]
