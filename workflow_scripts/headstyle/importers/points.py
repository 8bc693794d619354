"""Points to start a splat scene from, for views whose cameras came without a reconstruction."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.base.adjacency import meeting_point
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.importers.companions import points_of_data_set

INSIDE = 0.9
"""A point belongs to the visual hull if it lies in the foreground of this share of the views that
it is in the frame of; not of all, since masks and cameras are never exact."""
_TRIES = 100_000
# Of the nearest camera's distance: how far from the point they all look at the surface may be.
_REACH = 0.7
_LEAST = 50


def start_points(
    path: str | Path, cameras: Cameras, images: Sequence[RgbaImage], count: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Points to start from: those of the data set in the foreground, else of the visual hull.

    Args:
        path: Where the cameras came from.
        cameras, images, count, seed: As in `hull_points`.

    Returns:
        Positions in the world `(N, 3)`, RGB colors `(N, 3)`.

    Raises:
        InputError: as `hull_points` and `points_of_data_set`.
    """
    found = points_of_data_set(path)
    if found is not None:
        positions, colors = found
        kept = in_most_foregrounds(positions, cameras, (image[..., 3] for image in images))
        if kept.sum() >= _LEAST:
            return positions[kept], colors[kept]
    return hull_points(cameras, images, count, seed)


def hull_points(
    cameras: Cameras, images: Sequence[RgbaImage], count: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Random points in the visual hull of the foregrounds, and their mean colors.

    Without any transparent pixel the hull is the ball before the cameras.

    Args:
        cameras: The cameras.
        images: Their images.
        count: Largest number of points.
        seed: Of the random numbers.

    Returns:
        Positions in the world `(N, 3)`, RGB colors `(N, 3)`.

    Raises:
        InputError: the foregrounds have no volume in common.
    """
    generator = np.random.default_rng(seed)
    center = meeting_point(cameras)
    reach = _REACH * np.linalg.norm(cameras.centers - center, axis=1).min()
    low, high = center - reach, center + reach
    # Once in the large box, to find the hull's own, and once in that.
    for _ in range(2):
        points = generator.uniform(low, high, (_TRIES, 3))
        points = points[np.linalg.norm(points - center, axis=1) < reach]
        shares, colors = foreground_shares(points, cameras, images)
        kept = shares >= INSIDE
        if kept.sum() < _LEAST:
            raise InputError(
                "the foregrounds of the unedited views have no volume in common; check that their"
                " masks and the cameras are of these views"
            )
        low, high = points[kept].min(axis=0), points[kept].max(axis=0)
    return points[kept][:count], np.rint(colors[kept][:count] * 255).astype(np.uint8)


def in_foreground(
    path: str | Path,
    positions: NDArray[np.float64],
    cameras: Cameras,
    images: Sequence[RgbaImage],
) -> NDArray[np.bool_]:
    """Which splats of a known scene belong to the head: most views have them in their foreground.

    Args:
        path: The file of the splats, for messages.
        positions: Their positions. Shape `(N, 3)`.
        cameras: The views' cameras.
        images: The views.

    Returns:
        Shape `(N,)`.

    Raises:
        InputError: hardly any does, as where the splats lie in another world than the cameras.
    """
    kept = in_most_foregrounds(positions, cameras, (image[..., 3] for image in images))
    if kept.sum() < _LEAST:
        raise InputError(
            f"{path}: {kept.sum()} of {len(kept)} splats lie in the foreground of the views; the"
            " column splats needs a scene in the world of the cameras that the column poses names"
        )
    return kept


def foreground_shares(
    points: NDArray[np.float64], cameras: Cameras, images: Sequence[RgbaImage]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per point, the share of views whose foreground it lies in, and its mean color there.

    Only views count that have the point in their frame; the share is 0 where less than half have.

    Returns:
        Shares `(N,)` and colors in [0, 1] `(N, 3)`.
    """
    framed, inside = np.zeros(len(points)), np.zeros(len(points))
    colors = np.zeros((len(points), 3))
    for i, image in enumerate(images):
        seen, columns, rows = _framed(points, cameras, i)
        framed[seen] += 1
        opaque = image[rows, columns, 3] > FOREGROUND_ALPHA
        inside[seen[opaque]] += 1
        colors[seen[opaque]] += image[rows[opaque], columns[opaque], :3]
    shares = np.where(2 * framed >= len(cameras), inside / np.maximum(framed, 1), 0)
    return shares, colors / np.maximum(inside, 1)[:, None]


def in_most_foregrounds(
    points: NDArray[np.float64], cameras: Cameras, alphas: Iterable[NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Which points lie in the foreground of more than half of the views that frame them.

    Args:
        points: In the world. Shape `(N, 3)`.
        cameras: The views' cameras.
        alphas: Alpha of each view, `(H, W)` in [0, 1].

    Returns:
        Shape `(N,)`; false where less than half of the views have the point in their frame.
    """
    framed, inside = np.zeros(len(points)), np.zeros(len(points))
    for i, alpha in enumerate(alphas):
        seen, columns, rows = _framed(points, cameras, i)
        framed[seen] += 1
        inside[seen] += alpha[rows, columns] > FOREGROUND_ALPHA
    return (2 * framed >= len(cameras)) & (2 * inside > framed)


def _framed(
    points: NDArray[np.float64], cameras: Cameras, view: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Which points a view has in its frame, and the columns and rows of their pixels."""
    pose, matrix = cameras.world_to_camera[view], cameras.intrinsics[view]
    projected = (points @ pose[:3, :3].T + pose[:3, 3]) @ matrix.T
    front = projected[:, 2] > 0
    pixels = projected[:, :2] / np.where(front, projected[:, 2], 1.0)[:, None]
    seen = np.flatnonzero(front & ((pixels >= 0) & (pixels < cameras.sizes[view])).all(axis=1))
    columns, rows = pixels[seen].astype(np.int64).T
    return seen, columns, rows
