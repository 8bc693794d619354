"""Smooth random fields, and images moved by them."""

import warnings
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage.color import lab2rgb

from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage


def smooth_field(
    height: int, width: int, correlation_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A random vector per pixel, of length 1 in the quadratic mean. Shape `(H, W, 2)`."""
    margin = int(3 * correlation_px)
    noise = rng.standard_normal((height + 2 * margin, width + 2 * margin, 2)).astype(np.float32)
    field = cv2.GaussianBlur(noise, (0, 0), correlation_px)
    field = field[margin : margin + height, margin : margin + width]
    return field / np.sqrt(np.square(field).sum(axis=2).mean())


def solid_field(
    points: NDArray[np.float64], wavelength: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A random vector per point in space, of length about 1 in the quadratic mean. `(N, 3)`.

    A sum of plane waves of the given wavelength in random directions.
    """
    waves = 12
    directions = rng.standard_normal((waves, 3))
    directions *= 2 * np.pi / wavelength / np.linalg.norm(directions, axis=1, keepdims=True)
    phases = rng.uniform(0, 2 * np.pi, waves)
    vectors = rng.standard_normal((waves, 3))
    vectors *= np.sqrt(2 / np.square(vectors).sum())
    return np.cos(points @ directions.T + phases) @ vectors


def moved_colors(image: RgbaImage, offsets: NDArray[np.float32]) -> RgbaImage:
    """Replace each pixel's color by the color at `offsets` [px] from it; alpha does not change.

    Beyond the silhouette the nearest color of the head is used, so that no background enters.

    Args:
        image: Straight alpha. Shape `(H, W, 4)`.
        offsets: x and y. Shape `(H, W, 2)`.
    """
    colors = continued_colors(image)
    moved = np.clip(_sampled(colors, offsets), 0, 1)
    return np.concatenate([moved, image[..., 3:]], axis=2)


def moved_image(image: RgbaImage, offsets: NDArray[np.float32]) -> RgbaImage:
    """Replace each pixel's color and alpha by those at `offsets` from it. As `moved_colors`."""
    alpha = np.clip(_sampled(image[..., 3], offsets), 0, 1)
    colors = np.clip(_sampled(continued_colors(image), offsets), 0, 1)
    return np.dstack([colors, alpha])


def colors_from_lab(lab: NDArray[Any]) -> NDArray[np.float32]:
    """Convert CIELAB to sRGB; colors outside sRGB are clipped. Shape `(H, W, 3)`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Conversion from CIE-LAB", UserWarning)
        return np.clip(lab2rgb(lab), 0, 1).astype(np.float32)


def continued_colors(image: RgbaImage) -> NDArray[np.float32]:
    """The colors; outside the silhouette, the nearest color inside. Shape `(H, W, 3)`."""
    outside = image[..., 3] < 0.99
    if outside.all():
        return np.ascontiguousarray(image[..., :3])
    y, x = distance_transform_edt(outside, return_distances=False, return_indices=True)
    solid = image[y, x, :3]
    return np.where((image[..., 3] < FOREGROUND_ALPHA)[..., None], solid, image[..., :3])


def _sampled(values: NDArray[np.float32], offsets: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = offsets.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height))
    moved: NDArray[Any] = cv2.remap(
        values,
        (columns + offsets[..., 0]).astype(np.float32),
        (rows + offsets[..., 1]).astype(np.float32),
        cv2.INTER_LANCZOS4,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return moved
