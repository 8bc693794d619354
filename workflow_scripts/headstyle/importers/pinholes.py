"""Images of lenses with distortion, resampled to those of pinholes: colors, masks and depth."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras, pixel_rays
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.importers.images import Picture
from headstyle.importers.lenses import Lens, project

PixelMap = NDArray[np.float32]
"""Where each pixel of an undistorted image comes from (x, y), for cv2.remap. Shape `(H, W, 2)`."""

# Neighboring depths that differ by more, relative to the pixel's, lie on different surfaces.
_DEPTH_JUMP = 0.02
# Small maps have sides of whole pixels.
_SHAPE_TOLERANCE = 0.01


class Undistortion:
    """Brings images, masks and depth of lenses with distortion to the cameras' pinholes.

    All are lists with one array per camera, or empty; `paths` are their files.
    """

    def __init__(self, cameras: Cameras, distorted: Mapping[str, Lens]) -> None:
        self._cameras = cameras
        self._distorted = distorted
        self._sizes: list[tuple[int, int]] = [(w, h) for w, h in cameras.sizes.tolist()]
        self._last: tuple[Lens, PixelMap | None] | None = None

    def images(self, pictures: Sequence[Picture], paths: Sequence[Path]) -> list[RgbaImage]:
        """The images; alpha is 1 where a file has none."""
        self._check_sizes([picture.rgb for picture in pictures], paths)
        return [self._moved(i, p.rgba(), undistort_image) for i, p in enumerate(pictures)]

    def masks(
        self, masks: Sequence[NDArray[np.float32]], paths: Sequence[Path], *, resized: bool = False
    ) -> list[NDArray[np.float32]]:
        """The masks, `(H, W)` each; resized are those of another size."""
        if resized:
            masks = [resized_mask(i, size) for i, size in zip(masks, self._sizes, strict=False)]
        self._check_sizes(masks, paths)
        return [self._moved(i, mask, undistort_mask) for i, mask in enumerate(masks)]

    def depths(
        self, depths: Sequence[NDArray[np.float32]], paths: Sequence[Path], *, resized: bool = False
    ) -> list[NDArray[np.float32]]:
        """The depth maps, `(H, W)` each; resized are those of another size."""
        if resized:
            depths = [resized_depth(z, size) for z, size in zip(depths, self._sizes, strict=False)]
        self._check_sizes(depths, paths)
        return [self._moved(i, depth, undistort_depth) for i, depth in enumerate(depths)]

    def _check_sizes(self, arrays: Sequence[NDArray[Any]], paths: Sequence[Path]) -> None:
        for array, path, size in zip(arrays, paths, self._sizes, strict=False):
            found = (array.shape[1], array.shape[0])
            if found != size:
                raise InputError(
                    f"{path} is {found[0]}x{found[1]} px but the render is {size[0]}x{size[1]} px;"
                    " write both at one size"
                )

    def _moved(
        self,
        camera: int,
        values: NDArray[np.float32],
        move: Callable[[NDArray[np.float32], PixelMap], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        pixel_map = self._map(camera)
        return values if pixel_map is None else move(values, pixel_map)

    def _map(self, camera: int) -> PixelMap | None:
        """The map of a camera's images; the last one is kept, since it is large."""
        lens = self._distorted.get(self._cameras.names[camera])
        if lens is None:
            return None
        if self._last is None or self._last[0] != lens:
            self._last = lens, undistortion_map(lens, self._cameras.intrinsics[camera])
        return self._last[1]


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


def resized_mask(mask: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A mask of the same view at another size, as `resized_depth`; each pixel is a mean."""
    if not _is_of_shape(mask, size):
        return mask
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def resized_depth(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A depth map of the same view at another size.

    Bilinear on a surface; from the nearest pixel where one surface hides another.

    Args:
        depth: Shape `(h, w)`.
        size: Width and height that are wanted. A map of another shape stays as it is, for
            `Undistortion` to tell.
    """
    height, width = depth.shape
    if not _is_of_shape(depth, size):
        return depth
    columns = (np.arange(size[0]) + 0.5) * width / size[0] - 0.5
    rows = (np.arange(size[1]) + 0.5) * height / size[1] - 0.5
    pixel_map: PixelMap = np.stack(np.meshgrid(columns, rows), axis=-1).astype(np.float32)
    return undistort_depth(depth, pixel_map)


def _is_of_shape(values: NDArray[np.float32], size: tuple[int, int]) -> bool:
    """Whether a map has the shape of an image of this size, but another size."""
    height, width = values.shape
    same_shape = abs(width / height / (size[0] / size[1]) - 1) <= _SHAPE_TOLERANCE
    return same_shape and size != (width, height)


def _remap(values: NDArray[np.float32], pixel_map: PixelMap, how: int) -> NDArray[np.float32]:
    moved: NDArray[np.float32] = cv2.remap(  # type: ignore[call-overload]  # takes a map of pairs
        values, pixel_map, None, how, borderMode=cv2.BORDER_REPLICATE
    )
    return moved
