"""What all views together say about the scene: a grid of places, looked up in every mask.

A place of the head is foreground in nearly every view that has it in its frame. A plinth, or a
thing far behind the head, is foreground in some views only: the others see past it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from headstyle.importers.lenses import Lens, project
from headstyle.importers.masks import Mask

WORK_SIDE_PX = 384
"""Long side of the masks in which places are looked up."""
# Places along the longest side of the grid before it is refined.
_FIRST_SIDE = 40
# A grid is not refined further than this pitch in the masks [px].
_FINE_PX = 2.0
_AROUND_A_CELL = np.indices((3, 3, 3)).reshape(3, -1).T - 1
_HALVES_OF_A_CELL = np.indices((2, 2, 2)).reshape(3, -1).T
# The box around the foreground's points grows by this part of its sides on each side: smooth parts
# of a head have no points.
_BOX_GROWTH = 0.5
# So often a box grows where foreground reaches its sides.
_BOX_TRIES = 4
# Fewer points of the foreground do not tell where the head is.
_MIN_POINTS = 30
# Places that fewer views have in their frame are no foreground: a part of all views, but at least
# two. Where few frames meet, such as close to the cameras, few votes decide by chance.
_LEAST_LOOKS, _MIN_LOOKS = 0.2, 2


@dataclass(frozen=True)
class PosedMask:
    """The mask of a view at working size, with the view's camera."""

    lens: Lens
    """Lens of the whole photograph."""
    world_to_camera: NDArray[np.float64]
    """Shape `(4, 4)`."""
    alpha: Mask
    """Shape `(h, w)`."""

    def pixels(self, places: NDArray[np.float64]) -> NDArray[np.int32]:
        """Index of each place's pixel in the raveled mask, or -1 outside the frame. Shape `(N,)`.

        Args:
            places: Shape `(N, 3)`.
        """
        local = places @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        height, width = self.alpha.shape
        factors = np.array([width / self.lens.width, height / self.lens.height])
        with np.errstate(invalid="ignore"):
            found = project(self.lens, local) * factors
            inside = (local[:, 2] > 0) & (found >= 0).all(1) & (found < (width, height)).all(1)
        columns, rows = np.floor(np.where(inside[:, None], found, 0)).T.astype(np.int32)
        return np.where(inside, rows * np.int32(width) + columns, np.int32(-1))

    def length_px(self, place: NDArray[np.float64], length: float) -> float:
        """How long something at a place of the scene appears in the mask [px]."""
        depth = float(self.world_to_camera[2] @ np.append(place, 1))
        # The first parameter of each of COLMAP's models is a focal length.
        focal = self.lens.params[0] * self.alpha.shape[1] / self.lens.width
        return length * focal / max(depth, 1e-9)


@dataclass(frozen=True)
class Votes:
    """How many views see foreground at the places of a grid."""

    places: NDArray[np.float64]
    """Shape `(N, 3)`."""
    pitch: float
    """Distance of neighboring places, in the scene's units."""
    pixels: NDArray[np.int32]
    """Pixel of each place in each view, see `PosedMask.pixels`. Shape `(C, N)`."""
    looks: NDArray[np.float32]
    """Number of views that have a place in their frame. Shape `(N,)`."""
    foreground: NDArray[np.float32]
    """Sum of these views' alphas, each in [0, 1]. Shape `(N,)`."""

    @property
    def parts(self) -> NDArray[np.float32]:
        """The part of the views that sees foreground; 0 where too few look. Shape `(N,)`."""
        return _parts(self.looks, self.foreground, len(self.pixels))

    def others(
        self, views: Sequence[PosedMask], own: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the other views say: the part of them that sees foreground, and their number.

        Args:
            views: All views.
            own: The view that is left out.

        Returns:
            Parts in [0, 1], 0 where too few other views look, and numbers. Shape `(N,)` each.
        """
        looks, foreground = self.looks.copy(), self.foreground.copy()
        own_pixels = self.pixels[own]
        inside = own_pixels >= 0
        looks[inside] -= 1
        foreground[inside] -= _alphas(views[own])[own_pixels[inside]]
        return _parts(looks, foreground, len(views)), looks

    def silhouette(
        self, chosen: NDArray[np.bool_], view: PosedMask, own: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where a view sees places: all that it may see, and all that it must. Shape `(h, w)` each.

        A place stands for a cube as wide as the grid's pitch. The first silhouette holds the whole
        cubes, in the second only the gaps between places are closed.

        Args:
            chosen: Which places. Shape `(N,)`.
            view: The view.
            own: Its index.
        """
        drawn = np.flatnonzero(chosen & (self.pixels[own] >= 0))
        picture = np.zeros(view.alpha.shape, np.uint8)
        if not len(drawn):
            return picture > 0, picture > 0
        picture.reshape(-1)[self.pixels[own][drawn]] = 1
        pitch_px = view.length_px(self.places[drawn].mean(axis=0), self.pitch)
        gap, cube = (
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
            for radius in (int(np.ceil(max(1.0, pitch_px))), int(np.ceil(0.87 * pitch_px)))
        )
        closed = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, gap)
        return cv2.dilate(closed, cube) > 0, closed > 0


def working_mask(mask: Mask) -> Mask:
    """A mask at working size; one that is smaller keeps its size."""
    height, width = mask.shape
    factor = min(1.0, WORK_SIDE_PX / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def foreground_parts(
    views: Sequence[PosedMask], points: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The part of the views that sees each point `(N, 3)` as foreground. Shape `(N,)`."""
    return _vote(points, 0.0, views).parts


def count_votes(
    views: Sequence[PosedMask], points: NDArray[np.float64], least_part: float, halvings: int
) -> Votes | None:
    """The votes on a grid of all that many views see as foreground.

    Args:
        views: All posed views.
        points: Points of the scene from structure from motion. Shape `(N, 3)`.
        least_part: Places that a smaller part of the views sees as foreground are left out.
        halvings: How often the grid's pitch is halved where there is foreground, at least once and
            at most until it is as fine as the masks.

    Returns:
        None where the views see too few points or no place at all as foreground.
    """
    grid = _first_grid(views, points, least_part)
    if grid is None:
        return None
    low, pitch, cells = grid
    for _ in range(halvings):
        # A cell whose middle is background may reach into the head.
        cells = np.unique((cells[:, None] + _AROUND_A_CELL).reshape(-1, 3), axis=0)
        cells = (2 * cells[:, None] + _HALVES_OF_A_CELL).reshape(-1, 3)
        pitch /= 2
        votes = _vote(low + (cells + 0.5) * pitch, pitch, views)
        kept = votes.parts >= least_part
        cells = cells[kept]
        if not len(cells):
            return None
        middle = votes.places[kept].mean(axis=0)
        if np.median([view.length_px(middle, pitch) for view in views]) < _FINE_PX:
            break
    return Votes(
        votes.places[kept], pitch, votes.pixels[:, kept], votes.looks[kept], votes.foreground[kept]
    )


def _first_grid(
    views: Sequence[PosedMask], points: NDArray[np.float64], least_part: float
) -> tuple[NDArray[np.float64], float, NDArray[np.int64]] | None:
    """The cells of a coarse grid that hold the head, in one piece.

    Returns:
        Lowest corner `(3,)`, pitch, and the cells' indices `(N, 3)`.
    """
    inside = points[foreground_parts(views, points) >= least_part]
    if len(inside) < _MIN_POINTS:
        return None
    # Single points may be wrong by far.
    low, high = np.percentile(inside, [2, 98], axis=0)
    inside = inside[((inside >= low) & (inside <= high)).all(axis=1)]
    growth = _BOX_GROWTH * np.maximum(high - low, (high - low).max() / 4)
    low, high = low - growth, high + growth
    for _ in range(_BOX_TRIES):
        pitch = float((high - low).max()) / _FIRST_SIDE
        shape = np.ceil((high - low) / pitch).astype(int)
        cells = np.indices(shape).reshape(3, -1).T
        is_foreground = _vote(low + (cells + 0.5) * pitch, pitch, views).parts >= least_part
        pieces, count = ndimage.label(is_foreground.reshape(shape))
        of_points = pieces[tuple(np.floor((inside - low) / pitch).astype(int).T)]
        votes = np.bincount(of_points[of_points > 0], minlength=count + 1)
        if not votes.any():
            return None
        cells = np.argwhere(pieces == votes.argmax())
        at_low, at_high = cells.min(axis=0) == 0, cells.max(axis=0) == shape - 1
        if not (at_low | at_high).any():
            break
        low, high = low - growth * at_low, high + growth * at_high
    return low, pitch, cells


def _vote(places: NDArray[np.float64], pitch: float, views: Sequence[PosedMask]) -> Votes:
    looks, foreground = (np.zeros(len(places), np.float32) for _ in range(2))
    pixels = np.stack([view.pixels(places) for view in views])
    for view, found in zip(views, pixels, strict=True):
        inside = found >= 0
        looks += inside
        foreground[inside] += _alphas(view)[found[inside]]
    return Votes(places, pitch, pixels, looks, foreground)


def _alphas(view: PosedMask) -> NDArray[np.float32]:
    # Grown by a pixel: most views may see a place of the head at their mask's soft edge, such as
    # the crown from all around.
    grown = cv2.dilate(view.alpha, np.ones((3, 3), np.uint8))
    return np.asarray(grown).ravel() / np.float32(255)


def _parts(
    looks: NDArray[np.float32], foreground: NDArray[np.float32], views: int
) -> NDArray[np.float32]:
    parts = foreground / np.maximum(looks, np.float32(1))
    return np.where(looks >= max(_MIN_LOOKS, _LEAST_LOOKS * views), parts, np.float32(0))
