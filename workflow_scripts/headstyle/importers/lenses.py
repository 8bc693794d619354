"""Lenses by COLMAP's camera models, and the door to pycolmap.

pycolmap is imported inside the functions, and after OpenCV: loaded first, its copy of zlib makes
the process abort at the next PNG that OpenCV or Pillow writes.
"""

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import cv2  # noqa: F401  (must be loaded before pycolmap, see above)
import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import pixel_rays
from headstyle.base.errors import InputError


@dataclass(frozen=True)
class Lens:
    """A camera's intrinsics by COLMAP's model names and parameter order."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]
    has_prior_focal: bool = True
    """Whether the focal length comes from EXIF or a calibration, not from a guess."""


@dataclass(frozen=True)
class Pinhole:
    """What stands for a lens once its images are undistorted."""

    matrix: NDArray[np.float64]
    """Shape `(3, 3)`."""
    distorted: Lens | None
    """The lens, at the image's size, where the image must be undistorted first."""


_LARGEST_DISTORTION = 1e-9
# Places of (fx, fy, cx, cy) in the parameters of lenses that are pinholes without distortion, whose
# parameters stand behind.
_PINHOLE_PARAMS = {
    "SIMPLE_PINHOLE": (0, 0, 1, 2),
    "SIMPLE_RADIAL": (0, 0, 1, 2),
    "RADIAL": (0, 0, 1, 2),
    "PINHOLE": (0, 1, 2, 3),
    "OPENCV": (0, 1, 2, 3),
    "FULL_OPENCV": (0, 1, 2, 3),
}
# The fit of a polynomial of four coefficients by a fraction may be off by this much [px].
_LARGEST_MISFIT_PX = 0.02
# Steps in which the focal length is tried that just leaves no blank border.
_FOCAL_STEP = 1.002
_FOCAL_FACTORS = (0.7, 4.0)


def is_distorted(lens: Lens) -> bool:
    """Whether straight lines are not straight in the lens's images."""
    places = _PINHOLE_PARAMS.get(lens.model)
    return places is None or any(
        abs(p) > _LARGEST_DISTORTION for p in lens.params[max(places) + 1 :]
    )


def has_shape(lens: Lens, size: tuple[int, int]) -> bool:
    """Whether an image of this size (width, height) can be the lens's, resized."""
    factors = np.array(size) / (lens.width, lens.height)
    # Rounded to whole pixels, both sides of a resized image may be off by one half.
    off = abs(lens.width * factors[1] - size[0]), abs(lens.height * factors[0] - size[1])
    return bool(min(off) <= 1)


def pinhole_of(lens: Lens, size: tuple[int, int]) -> Pinhole:
    """The pinhole for the lens's images at another size (width, height).

    Raises:
        InputError: as `undistorted_pinhole`.
    """
    if is_distorted(lens):
        distorted = resized(lens, *size)
        return Pinhole(undistorted_pinhole(distorted), distorted)
    factors = np.array(size) / (lens.width, lens.height)
    matrix = np.eye(3)
    focal_x, focal_y, center_x, center_y = (lens.params[i] for i in _PINHOLE_PARAMS[lens.model])
    matrix[0, 0], matrix[0, 2] = focal_x * factors[0], center_x * factors[0]
    matrix[1, 1], matrix[1, 2] = focal_y * factors[1], center_y * factors[1]
    return Pinhole(matrix, None)


def project(lens: Lens, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels `(N, 2)` of points `(N, 3)` in the camera's frame; NaN where there is no image."""
    return np.asarray(colmap_camera(1, lens).img_from_cam(np.ascontiguousarray(points, np.float64)))


def pinhole_matrix(lens: Lens) -> NDArray[np.float64]:
    """The lens's matrix K `(3, 3)` without its distortion."""
    return np.asarray(colmap_camera(1, lens).calibration_matrix())


def resized(lens: Lens, width: int, height: int) -> Lens:
    """The same lens for images of another size."""
    camera = colmap_camera(1, lens)
    camera.rescale(width, height)
    return lens_of(camera)


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


def guessed_lens(model: str, width: int, height: int, focal_px: float | None) -> Lens:
    """A lens without distortion, its principal point at the center.

    Without a focal length it is 1.2 times the longer side, as in COLMAP.

    Raises:
        InputError: COLMAP has no such camera model.
    """
    focal = focal_px or 1.2 * max(width, height)
    try:
        camera = load_pycolmap().Camera.create_from_model_name(1, model, focal, width, height)
    except Exception:
        raise InputError(
            f"poses.camera_model: {model!r} is unknown to COLMAP; use for example SIMPLE_RADIAL"
        ) from None
    return Lens(model, width, height, tuple(camera.params.tolist()), focal_px is not None)


def brown_lens(
    size: tuple[int, int],
    pinhole: tuple[float, ...],
    radial: tuple[float, ...],
    tangential: tuple[float, ...],
) -> Lens:
    """A lens by Brown's model, as nerfstudio, Metashape and RealityCapture have it.

    Args:
        size: Width and height [px].
        pinhole: fx, fy, cx, cy [px].
        radial: k1 to k4 of the factor 1 + k1 r^2 + k2 r^4 + k3 r^6 + k4 r^8.
        tangential: p1, p2 in OpenCV's order.

    Raises:
        InputError: COLMAP has no lens like it; begins with what the lens has.
    """
    k1, k2, k3, k4 = radial
    p1, p2 = tangential
    if k4:
        return _fraction_lens(size, pinhole, radial, tangential)
    if k3:
        return Lens("FULL_OPENCV", *size, (*pinhole, k1, k2, p1, p2, k3, 0.0, 0.0, 0.0))
    if k1 or k2 or p1 or p2:
        return Lens("OPENCV", *size, (*pinhole, k1, k2, p1, p2))
    return Lens("PINHOLE", *size, pinhole)


def brown_terms(
    lens: Lens,
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]] | None:
    """Pinhole, k1 to k3 and p1, p2 of a lens as in `brown_lens`; None for other kinds of lenses."""
    if lens.model not in ("PINHOLE", "OPENCV", "FULL_OPENCV"):
        return None
    k1, k2, p1, p2, k3, *fraction = (*lens.params[4:], *[0.0] * 12)[:8]
    return None if any(fraction) else (lens.params[:4], (k1, k2, k3), (p1, p2))


def _fraction_lens(
    size: tuple[int, int],
    pinhole: tuple[float, ...],
    radial: tuple[float, ...],
    tangential: tuple[float, ...],
) -> Lens:
    """A lens with k4. COLMAP has none.

    Its FULL_OPENCV divides a polynomial of three coefficients by another one, which fits one of
    four over the image to a small fraction of a pixel.
    """
    width, height = size
    focal_x, focal_y, center_x, center_y = pinhole
    far = [max(center_x, width - center_x) / focal_x, max(center_y, height - center_y) / focal_y]
    corner = math.hypot(*far)
    radius = np.linspace(0, 4 * corner, 4001)
    grows = radius * _polynomial(radius**2, radial)
    # The polynomial counts up to the corner, which lies where it has grown to the corner's radius.
    bends = np.flatnonzero(np.diff(grows) <= 0)
    valid = grows[: bends[0] + 1] if len(bends) else grows
    if valid[-1] < corner:
        raise InputError(
            "has distortion k1 to k4 that bends back inside the image; calibrate the lens again"
        )
    squared = radius[: int(np.searchsorted(valid, 1.02 * corner)) + 1] ** 2
    values = _polynomial(squared, radial)
    powers = np.stack([squared, squared**2, squared**3], axis=1)
    columns = np.concatenate([powers, -values[:, None] * powers], axis=1)
    scale = np.linalg.norm(columns, axis=0)
    solved = np.linalg.lstsq(columns / scale, values - 1, rcond=1e-14)[0] / scale
    fitted = (1 + powers @ solved[:3]) / (1 + powers @ solved[3:])
    misfit = np.abs(np.sqrt(squared) * (fitted - values)).max() * max(focal_x, focal_y)
    if not misfit <= _LARGEST_MISFIT_PX:
        raise InputError(
            f"has distortion k1 to k4 that COLMAP's lenses miss by {misfit:.2g} px; undistort the"
            " images"
        )
    k1, k2, k3, k4, k5, k6 = (float(value) for value in solved)
    return Lens("FULL_OPENCV", width, height, (*pinhole, k1, k2, *tangential, k3, k4, k5, k6))


def _polynomial(squared: NDArray[np.float64], radial: tuple[float, ...]) -> NDArray[np.float64]:
    k1, k2, k3, k4 = radial
    return 1 + squared * (k1 + squared * (k2 + squared * (k3 + squared * k4)))


def load_pycolmap() -> ModuleType:
    """pycolmap, silent but for errors."""
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.ERROR)
    return pycolmap


def colmap_camera(camera_id: int, lens: Lens) -> Any:
    """The lens as a pycolmap.Camera."""
    pycolmap = load_pycolmap()
    camera = pycolmap.Camera.create_from_model_name(
        camera_id, lens.model, 1.0, lens.width, lens.height
    )
    camera.params = list(lens.params)
    camera.has_prior_focal_length = lens.has_prior_focal
    return camera


def lens_of(camera: Any) -> Lens:
    """The lens of a pycolmap.Camera."""
    return Lens(
        camera.model_name,
        camera.width,
        camera.height,
        tuple(camera.params.tolist()),
        camera.has_prior_focal_length,
    )


def _zoomed(matrix: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    zoomed = matrix.copy()
    zoomed[0, 0] *= factor
    zoomed[1, 1] *= factor
    return zoomed
