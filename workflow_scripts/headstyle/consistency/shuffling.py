"""The ceiling of a metric: the score of a scene whose views show unrelated images."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from headstyle.base.images import Image, RgbaImage


def shuffled_images(
    images: Sequence[Image | RgbaImage], foreground: Sequence[NDArray[np.bool_]], seed: int
) -> list[Image | RgbaImage]:
    """Replace every view's image by that of another view; silhouettes and geometry stay.

    The other view's head is stretched from its bounding box to the bounding box of this view.
    Beyond its silhouette the nearest color of the head continues, so that no background enters.

    Args:
        images: One per view, `(H, W, 3)` or with straight alpha `(H, W, 4)`; sizes may differ.
        foreground: Pixels that show the head. Shape `(H, W)` each.
        seed: Seed of the order in which views exchange their images.

    Returns:
        Images of the same shapes. A view keeps its image if it or the other view has no foreground.
    """
    order = derangement(len(images), seed)
    shuffled = []
    for view, other in enumerate(order):
        image = np.array(images[view], dtype=np.float32)
        if foreground[view].any() and foreground[other].any():
            rows, columns = _bounds(foreground[view])
            height, width = rows.stop - rows.start, columns.stop - columns.start
            head = _continued(np.asarray(images[other], np.float32)[..., :3], foreground[other])
            shrinks = height < head.shape[0] or width < head.shape[1]
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image[rows, columns, :3] = cv2.resize(head, (width, height), interpolation=method)
        shuffled.append(image)
    return shuffled


def derangement(count: int, seed: int) -> NDArray[np.int64]:
    """A random permutation of one cycle: no element keeps its place, unless it is the only one."""
    ring = np.random.default_rng(seed).permutation(count)
    order = np.empty(count, dtype=np.int64)
    order[ring] = np.roll(ring, -1)
    return order


def _continued(colors: Image, foreground: NDArray[np.bool_]) -> Image:
    """Colors in the foreground's bounding box; the background takes the nearest of them."""
    box = _bounds(foreground)
    y, x = distance_transform_edt(~foreground[box], return_distances=False, return_indices=True)
    return np.ascontiguousarray(colors[box][y, x])


def _bounds(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the bounding box of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
