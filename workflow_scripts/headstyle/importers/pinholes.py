"""Images of lenses with distortion, resampled to those of pinholes: colors, masks and depth."""

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import pixel_rays
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.importers.lenses import Lens, pinhole_matrix, project

PixelMap = NDArray[np.float32]
"""Where each pixel of an undistorted image comes from (x, y), for cv2.remap. Shape `(H, W, 2)`."""

# Steps in which the focal length is tried that just leaves no blank border.
_FOCAL_STEP = 1.002
_FOCAL_FACTORS = (0.7, 4.0)
# Neighboring depths that differ by more, relative to the pixel's, lie on different surfaces.
_DEPTH_JUMP = 0.02


def undistorted_pinhole(lens: Lens) -> NDArray[np.float64]:
    """The pinhole matrix, at the lens's size, that shows as much as fits without a blank border.

    The principal point stays; the focal length changes by one factor for both axes.

    Raises:
        InputError: the lens sees too wide an angle for a pinhole.
    """
    matrix = pinhole_matrix(lens)
    edge = [np.linspace(0.5, side - 0.5, 128) for side in (lens.width, lens.height)]
    sides = [(edge[0], np.full(128, y)) for y in (0.5, lens.height - 0.5)]
    sides += [(np.full(128, x), edge[1]) for x in (0.5, lens.width - 0.5)]
    border = np.concatenate([np.stack(side, axis=1) for side in sides])

    def fits(factor: float) -> bool:
        source = project(lens, pixel_rays(border, _zoomed(matrix, factor)))
        last = np.array([lens.width, lens.height]) - 0.5
        return bool(np.all((source >= 0.5 - 1e-6) & (source <= last + 1e-6)))

    factor = 1.0
    if fits(factor):
        while factor > _FOCAL_FACTORS[0] and fits(factor / _FOCAL_STEP):
            factor /= _FOCAL_STEP
        return _zoomed(matrix, factor)
    while factor < _FOCAL_FACTORS[1]:
        factor *= _FOCAL_STEP
        if fits(factor):
            return _zoomed(matrix, factor)
    raise InputError(
        f"a {lens.model} camera with parameters {lens.params} cannot be undistorted to a pinhole;"
        " leave its photographs out or give poses of undistorted ones"
    )


def undistortion_map(lens: Lens, matrix: NDArray[np.float64]) -> PixelMap | None:
    """The map from an image of pinhole `matrix` to the lens's image; None if they are the same."""
    grid = np.stack(np.meshgrid(np.arange(lens.width) + 0.5, [0.5]), axis=-1).reshape(-1, 2)
    rows = []
    for row in range(lens.height):
        source = project(lens, pixel_rays(np.add(grid, (0.0, row)), matrix))
        rows.append(source.astype(np.float32) - np.float32(0.5))
    pixel_map = np.stack(rows)
    own = np.stack(np.meshgrid(np.arange(lens.width), np.arange(lens.height)), axis=-1)
    return None if np.abs(pixel_map - own).max() < 1e-3 else pixel_map


def undistort_image(image: RgbaImage, pixel_map: PixelMap) -> RgbaImage:
    """Resample an image bilinearly, alpha premultiplied: colors behind it never bleed in."""
    alpha = image[..., 3:]
    premultiplied = np.concatenate([image[..., :3] * alpha, alpha], axis=2)
    moved = _remap(premultiplied, pixel_map, cv2.INTER_LINEAR)
    colors = np.clip(moved[..., :3] / np.maximum(moved[..., 3:], 1e-6), 0, 1)
    # Where nothing is opaque the stored colors stay, as in images that are not resampled.
    plain = _remap(image[..., :3], pixel_map, cv2.INTER_LINEAR)
    colors = np.where(moved[..., 3:] > 0, colors, plain)
    return np.concatenate([colors, moved[..., 3:]], axis=2).astype(np.float32)


def undistort_mask(mask: NDArray[np.float32], pixel_map: PixelMap) -> NDArray[np.float32]:
    """Resample a mask `(H, W)` bilinearly."""
    return _remap(mask, pixel_map, cv2.INTER_LINEAR)


def undistort_depth(depth: NDArray[np.float32], pixel_map: PixelMap) -> NDArray[np.float32]:
    """Resample a depth map `(H, W)`: bilinearly on a surface, from the nearest pixel at its edges.

    z does not change with the pixel that shows a point, nor does the distance along its ray.
    """
    nearest = _remap(depth, pixel_map, cv2.INTER_NEAREST)
    kernel = np.ones((3, 3), np.uint8)
    highest, lowest = cv2.dilate(depth, kernel), cv2.erode(depth, kernel)
    smooth = ((highest - lowest) <= _DEPTH_JUMP * depth).astype(np.float32)
    is_smooth = _remap(smooth, pixel_map, cv2.INTER_NEAREST) > 0
    return np.where(is_smooth, _remap(depth, pixel_map, cv2.INTER_LINEAR), nearest)


def _remap(values: NDArray[np.float32], pixel_map: PixelMap, how: int) -> NDArray[np.float32]:
    moved: NDArray[np.float32] = cv2.remap(  # type: ignore[call-overload]  # takes a map of pairs
        values, pixel_map, None, how, borderMode=cv2.BORDER_REPLICATE
    )
    return moved


def _zoomed(matrix: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    zoomed = matrix.copy()
    zoomed[0, 0] *= factor
    zoomed[1, 1] *= factor
    return zoomed
