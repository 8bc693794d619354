"""The picture of a rig: positions and directions of its cameras, and which are neighbors."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection
from numpy.typing import NDArray

from headstyle.base.adjacency import Adjacency, meeting_point
from headstyle.base.cameras import Cameras
from headstyle.base.files import whole_file
from headstyle.report.figures import DPI, save_png
from headstyle.report.labels import INK, SOFT_INK

_CAMERA_COLOR = "#1f3b57"
_LINK_COLOR = "#3d9bd1"
_AXIS_COLOR = "#c9ced3"
_HEAD_COLOR = "#d9603b"
# Depth and half width of a camera's pyramid, relative to the rig's radius.
_PYRAMID_DEPTH, _PYRAMID_HALF_WIDTH = 0.10, 0.055
_MOST_LABELS = 80
_TITLE: dict[str, Any] = {
    "fontsize": 10.5,
    "color": SOFT_INK,
    "loc": "left",
    "fontweight": "normal",
}


def plot_adjacency(path: str | Path, cameras: Cameras, adjacency: Adjacency, title: str) -> None:
    """Write a PNG with the linked cameras in 3D (left) and the adjacency matrix (right)."""
    figure = Figure(figsize=(13, 6.4), layout="constrained")
    _draw_rig(figure.add_subplot(1, 2, 1, projection="3d"), cameras, adjacency)
    _draw_matrix(figure.add_subplot(1, 2, 2), cameras.names, adjacency)
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold", color=INK)
    with whole_file(path) as partial:
        save_png(partial, figure, DPI)


def head_frame(cameras: Cameras) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """A frame for drawing the rig. x points to the cameras' mean, z up; the optical axes meet in 0.

    The world's own axes are arbitrary, because structure from motion chooses them.

    Returns:
        Rotation into the frame `(3, 3)`, origin `(3,)`, and the cameras' mean distance from it.
    """
    origin = meeting_point(cameras)
    rays = cameras.centers - origin
    radius = float(np.linalg.norm(rays, axis=1).mean())
    # The cameras' own "up" is minus their y axis.
    up = -cameras.world_to_camera[:, 1, :3].mean(axis=0)
    up = up / np.linalg.norm(up) if np.linalg.norm(up) > 1e-6 else np.array([0.0, 0.0, 1.0])
    forward = rays.mean(axis=0)
    forward -= forward @ up * up
    if np.linalg.norm(forward) < 1e-6 * radius:
        forward = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    forward /= np.linalg.norm(forward)
    return np.stack([forward, np.cross(up, forward), up]), origin, radius


def _draw_rig(axes: Axes3D, cameras: Cameras, adjacency: Adjacency) -> None:
    rotation, origin, radius = head_frame(cameras)
    centers = (cameras.centers - origin) @ rotation.T / radius
    links = [(centers[i], centers[j]) for i, j in np.argwhere(np.triu(adjacency))]
    axes.add_collection3d(Line3DCollection(links, colors=_LINK_COLOR, linewidths=1.0, alpha=0.7))
    looks = cameras.axes @ rotation.T
    ends = centers + looks * np.linalg.norm(centers, axis=1, keepdims=True)
    rays = list(zip(centers, ends, strict=True))
    axes.add_collection3d(Line3DCollection(rays, colors=_AXIS_COLOR, linewidths=0.7))
    edges = [edge for i in range(len(cameras)) for edge in _pyramid(cameras, i, rotation, centers)]
    axes.add_collection3d(Line3DCollection(edges, colors=_CAMERA_COLOR, linewidths=1.1))
    axes.scatter(*np.zeros((3, 1)), s=300, color=_HEAD_COLOR, depthshade=False)
    if len(cameras) <= _MOST_LABELS:
        # Put labels outside the dome and a little below. The pyramids point inside.
        below = np.array([0, 0, 0.05])
        for name, position in zip(cameras.names, centers * 1.06 - below, strict=True):
            label = axes.text(*position, name, fontsize=7.5, ha="center", va="top", color=SOFT_INK)
            label.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    low, high = np.minimum(centers.min(axis=0), 0), np.maximum(centers.max(axis=0), 0)
    middle, half = (low + high) / 2, 0.5 * (high - low).max()
    axes.set(
        xlim=(middle[0] - half, middle[0] + half),
        ylim=(middle[1] - half, middle[1] + half),
        zlim=(middle[2] - half, middle[2] + half),
    )
    axes.set_box_aspect((1, 1, 1), zoom=1.5)
    axes.set_axis_off()
    # Look from behind the cameras, from a little aside and above, so that the grid is visible.
    axes.view_init(elev=22, azim=18)
    axes.set_title("Cameras around the head (orange), links between neighbors", **_TITLE)


def _pyramid(
    cameras: Cameras, i: int, rotation: NDArray[np.float64], centers: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Edges of the pyramid that represents camera i, with the aspect of its image."""
    width, height = cameras.sizes[i] / cameras.sizes[i].max() * _PYRAMID_HALF_WIDTH
    corners = np.array(
        [[x * width, y * height, _PYRAMID_DEPTH] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    )
    # Rows of world_to_camera are the camera's axes in the world.
    corners = corners @ cameras.world_to_camera[i, :3, :3] @ rotation.T + centers[i]
    return [
        edge
        for j in range(4)
        for edge in ((centers[i], corners[j]), (corners[j], corners[(j + 1) % 4]))
    ]


def _draw_matrix(axes: Axes, names: tuple[str, ...], adjacency: Adjacency) -> None:
    count = len(names)
    colors = ListedColormap(["#f4f6f8", _LINK_COLOR])
    axes.imshow(adjacency, cmap=colors, vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(False)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    ticks = range(count) if count <= _MOST_LABELS else []
    size = min(8.0, 300 / count)
    axes.set_xticks(ticks, [names[i] for i in ticks], rotation=90, fontsize=size)
    axes.set_yticks(ticks, [names[i] for i in ticks], fontsize=size)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(f"Adjacency: {adjacency.sum(axis=1).mean():.1f} neighbors on average", **_TITLE)
