"""A smooth closed path through a rig's cameras."""

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras

FRAMES = 240
"""Frames of a film along the path."""
MOST_STOPS = 24
"""Cameras that the path passes; of larger rigs, cameras as far apart as possible."""
_SAMPLES_PER_STOP = 64


def rig_path(cameras: Cameras, frames: int = FRAMES) -> Cameras:
    """Cameras at equal steps along a closed curve through cameras of a rig.

    The rig's cameras are visited on a short way around, joined by a periodic cubic spline of their
    places, axes and upward directions. Lens and size are those of the rig's middle camera by focal
    length. Sides are even, as H.264 wants them.

    Args:
        cameras: A capture's cameras.
        frames: Number of cameras on the path.

    Returns:
        Cameras named `0000`, `0001` and so on.
    """
    stops = _short_way(cameras.centers, _far_apart(cameras.centers, MOST_STOPS))
    rotation = cameras.world_to_camera[stops, :3, :3]
    # Place, optical axis and downward direction of each stop.
    points = np.concatenate([cameras.centers[stops], rotation[:, 2], rotation[:, 1]], axis=1)
    curve = _along(points, frames)
    middle = np.argsort(cameras.intrinsics[:, 0, 0])[len(cameras) // 2]
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for pose, (place, axis, down) in zip(poses, curve.reshape(frames, 3, 3), strict=True):
        forward = axis / np.linalg.norm(axis)
        right = np.cross(down, forward)
        right /= np.linalg.norm(right)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ place
    return Cameras(
        tuple(f"{frame:04d}" for frame in range(frames)),
        np.tile(cameras.sizes[middle] // 2 * 2, (frames, 1)),
        np.tile(cameras.intrinsics[middle], (frames, 1, 1)),
        poses,
    )


def turn_per_frame_deg(path: Cameras) -> float:
    """Mean angle by which the optical axis turns from frame to frame [deg]."""
    cosines = (path.axes[:-1] * path.axes[1:]).sum(axis=1).clip(-1, 1)
    return float(np.degrees(np.arccos(cosines)).mean()) if len(path) > 1 else 0.0


def _far_apart(centers: NDArray[np.float64], count: int) -> list[int]:
    """The first place, then always the one farthest from those before; no place twice."""
    chosen = [0]
    distances = np.linalg.norm(centers - centers[0], axis=1)
    while len(chosen) < min(count, len(centers)) and distances.max() > 0:
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(centers - centers[chosen[-1]], axis=1))
    return chosen


def _short_way(centers: NDArray[np.float64], places: list[int]) -> list[int]:
    """The places in the order of a short closed way: nearest next, then without crossings."""
    lengths = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    way, left = [min(places)], set(places) - {min(places)}
    while left:
        way.append(min(left, key=lambda place: (lengths[way[-1], place], place)))
        left.remove(way[-1])
    shorter = True
    while shorter:
        shorter = False
        for i in range(1, len(way) - 1):
            for j in range(i + 1, len(way)):
                a, b, c, d = way[i - 1], way[i], way[j], way[(j + 1) % len(way)]
                gain = lengths[a, b] + lengths[c, d] - lengths[a, c] - lengths[b, d]
                if gain > 1e-9 * lengths.max():
                    way[i : j + 1] = way[i : j + 1][::-1]
                    shorter = True
    return way


def _along(points: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Points at equal steps of their first three coordinates along a closed spline."""
    # The rules read this module's constants at each start of Snakemake, which needs no SciPy.
    from scipy.interpolate import CubicSpline

    closed = np.concatenate([points, points[:1]])
    steps = np.linalg.norm(np.diff(closed[:, :3], axis=0), axis=1)
    if steps.sum() == 0:
        return np.repeat(points[:1], frames, axis=0)
    # By the roots of the distances, the curve has no loops between stops of unequal distances.
    knots = np.concatenate([[0], np.cumsum(np.sqrt(steps))])
    spline = CubicSpline(knots, closed, bc_type="periodic")
    fine = np.linspace(0, knots[-1], _SAMPLES_PER_STOP * len(points) + 1)
    lengths = np.linalg.norm(np.diff(spline(fine)[:, :3], axis=0), axis=1)
    gone = np.concatenate([[0], np.cumsum(lengths)])
    wanted = gone[-1] * np.arange(frames) / frames
    found: NDArray[np.float64] = spline(np.interp(wanted, gone, fine))
    return found
