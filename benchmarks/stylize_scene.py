"""How large everything in the benchmark of stylization is, and the bust that it stylizes."""

from dataclasses import dataclass

import numpy as np
from headstyle.avatars.runs import Subject
from headstyle.avatars.stylization import render_images
from headstyle.base.cameras import Cameras
from headstyle.rendering.splats import splats_from_points


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    toy: bool
    device: str
    views: int = 37
    side_px: int = 512
    width_px: int = 512
    height_px: int = 765
    steps: int = 20
    loop_views: int = 6
    iterations: int = 5000
    splats: int = 150_000
    avatars: int = 4


FULL = Size(False, "cuda")
TOY = Size(True, "cpu", 4, 64, 48, 64, 2, 1, 6, 400, 2)


def make_subject(size: Size) -> Subject:
    """A bust of splats in the middle of a grid of cameras, each with up to 8 neighbors."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(size.splats, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions * [0.4, 0.6, 0.45]
    splats = splats_from_points(points, 0.5 + 0.4 * np.sin(9 * points), 3, 0)
    splats["opacities"].data.fill_(2.0)
    columns = max(2, round(np.sqrt(size.views * 1.6)))
    places = [divmod(i, columns) for i in range(size.views)]
    poses = np.stack([camera_at(-40 + 80 * c / columns, -20 + 12 * r) for r, c in places])
    intrinsics = np.diag([1.3 * size.width_px, 1.3 * size.width_px, 1.0])
    intrinsics[:2, 2] = size.width_px / 2, size.height_px / 2
    cameras = Cameras(
        tuple(f"v{i:02}" for i in range(size.views)),
        np.tile([size.width_px, size.height_px], (size.views, 1)),
        np.tile(intrinsics, (size.views, 1, 1)),
        poses,
    )
    neighbors = [
        [j for j, (r, c) in enumerate(places) if j != i and abs(r - y) <= 1 and abs(c - x) <= 1]
        for i, (y, x) in enumerate(places)
    ]
    on_device = {name: value.detach().to(size.device) for name, value in splats.items()}
    photographs = dict(render_images(on_device, cameras))
    return Subject(cameras, photographs, splats, neighbors, size.device)


def camera_at(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    """World-to-camera of a camera that looks at the origin from 2 units."""
    a, e = np.deg2rad([azimuth_deg, elevation_deg])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    pose = np.eye(4)
    pose[:3, :3] = tilt @ turn
    pose[2, 3] = 2
    return pose
