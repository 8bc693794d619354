"""A folder as other methods leave it: renders, depth and cameras of a sphere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from analytic import cameras_around, photograph
from headstyle.base.cameras import Cameras, pixel_rays
from headstyle.base.files import write_json
from headstyle.base.images import write_image
from headstyle.importers.scenes import SceneFiles
from headstyle.posing.undistortion import transforms
from headstyle.rendering.splats import splats_from_points, write_ply

SIZE = (72, 96)


def sphere_rig(size: tuple[int, int] = SIZE, views: int = 5) -> Cameras:
    """Cameras around a sphere, 15 degrees apart, up and down in turns."""
    rig = cameras_around(list(np.linspace(-30, 30, views)), [size] * views, distance=2.6)
    poses = rig.world_to_camera.copy()
    for view, pose in enumerate(poses):
        tilt = np.deg2rad(8 if view % 2 else -8)
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
        # About the sphere, so that all axes still meet in its center.
        poses[view, :3, :3] = turn[:3, :3] @ pose[:3, :3]
    return replace(rig, world_to_camera=poses)


def write_scene(folder: Path, rig: Cameras | None = None, alpha: bool = True) -> SceneFiles:
    """Write renders/, depth/ (.npy) and transforms.json of the sphere."""
    rig = rig or sphere_rig()
    images, depths = photograph(rig)
    (folder / "depth").mkdir(parents=True)
    for name, image, depth in zip(rig.names, images, depths, strict=True):
        write_image(folder / "renders" / f"{name}.png", image if alpha else image[..., :3])
        np.save(folder / "depth" / f"{name}.npy", depth)
    write_json(folder / "transforms.json", transforms(rig))
    return SceneFiles(folder / "renders", folder / "transforms.json", folder / "depth")


def write_sphere_splats(path: Path) -> None:
    """Write splats that look like the sphere: one at the surface of every pixel."""
    rig = sphere_rig()
    points, colors = [], []
    for i, (image, depth) in enumerate(zip(*photograph(rig), strict=True)):
        rows, columns = np.nonzero(depth)
        pixels = np.stack([columns + 0.5, rows + 0.5], axis=1)
        camera = pixel_rays(pixels, rig.intrinsics[i]) * depth[rows, columns, None]
        rotation, translation = rig.world_to_camera[i, :3, :3], rig.world_to_camera[i, :3, 3]
        points.append((camera - translation) @ rotation)
        colors.append(image[rows, columns, :3])
    splats = splats_from_points(np.concatenate(points), np.concatenate(colors), 0, 0)
    splats["opacities"].data[:] = 4
    write_ply(path, splats)
