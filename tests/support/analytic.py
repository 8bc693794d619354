"""Scenes whose images and depth follow from a formula: a sphere or a card before a wall."""

from collections.abc import Callable

import numpy as np
from headstyle.base.cameras import Cameras
from numpy.typing import NDArray


def cameras_around(angles_deg: list[float], sizes: list[tuple[int, int]], distance: float = 4.0):
    """Cameras on a circle around the origin that look at it, named v0, v1, ..."""
    poses, intrinsics = [], []
    for angle, (width, height) in zip(np.deg2rad(angles_deg), sizes, strict=True):
        rotation = np.array(
            [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        )
        poses.append(np.eye(4))
        poses[-1][:3, :3], poses[-1][:3, 3] = rotation, (0, 0, distance)
        focal = 1.2 * max(width, height)
        intrinsics.append([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    names = tuple(f"v{i}" for i in range(len(sizes)))
    return Cameras(names, np.array(sizes), np.array(intrinsics, dtype=float), np.array(poses))


def texture(points: NDArray) -> NDArray:
    """Smooth colors in [0.1, 0.9] of points in the world. Shape `(..., 3)` in and out."""
    waves = np.stack([points @ (3, 1, 2), points @ (-1, 4, 1), points @ (2, -2, 3)], axis=-1)
    return 0.5 + 0.4 * np.sin(waves + np.arange(3))


def rays(cameras: Cameras, view: int) -> tuple[NDArray, NDArray]:
    """Camera center, and the world-space rays of depth 1 through all pixel centers `(H, W, 3)`."""
    width, height = cameras.sizes[view]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    local = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(cameras.intrinsics[view]).T
    return cameras.centers[view], local @ cameras.world_to_camera[view, :3, :3]


def sphere(center: NDArray, directions: NDArray) -> NDArray:
    """Depth of the unit sphere around the origin, 0 beside it."""
    a, b = (directions**2).sum(-1), directions @ center
    root = b**2 - a * (center @ center - 1)
    return np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, 0)


def photograph(
    cameras: Cameras, surface: Callable = sphere, colors: Callable = texture
) -> tuple[list[NDArray], list[NDArray]]:
    """RGBA images and depth maps of a surface from all cameras."""
    images, depths = [], []
    for view in range(len(cameras)):
        center, directions = rays(cameras, view)
        depth = surface(center, directions)
        seen = (depth > 0)[..., None]
        pixels = np.where(seen, colors(center + depth[..., None] * directions), 0)
        images.append(np.concatenate([pixels, seen], axis=-1).astype(np.float32))
        depths.append(depth.astype(np.float32))
    return images, depths


def wall(center: NDArray, directions: NDArray) -> NDArray:
    """Depth of the plane z = 0.5."""
    return (0.5 - center[2]) / directions[..., 2]


def card_before_wall(center: NDArray, directions: NDArray) -> NDArray:
    """Depth of a card of half-width 0.3 in the plane z = -0.5, else of the wall."""
    card = (-0.5 - center[2]) / directions[..., 2]
    hit = center + card[..., None] * directions
    return np.where((np.abs(hit[..., :2]) < 0.3).all(-1), card, wall(center, directions))


def red_card_blue_wall(points: NDArray) -> NDArray:
    """Color of `card_before_wall`."""
    return np.where(points[..., 2:] < 0, (1.0, 0, 0), (0, 0, 1.0))


def spots(points):
    """A texture with many distinct corners."""
    draw = np.random.default_rng(0)
    waves = np.sin(points @ draw.normal(0, 14, (3, 24)) + draw.uniform(0, 6, 24))
    return np.clip(0.5 + 0.05 * waves @ draw.normal(0, 1, (24, 3)), 0, 1)
