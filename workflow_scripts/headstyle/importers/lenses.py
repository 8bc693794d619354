"""Lenses by COLMAP's camera models, and the door to pycolmap.

pycolmap is imported inside the functions, and after OpenCV: loaded first, its copy of zlib makes
the process abort at the next PNG that OpenCV or Pillow writes.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import cv2  # noqa: F401  (must be loaded before pycolmap, see above)
import numpy as np
from numpy.typing import NDArray

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


_LARGEST_DISTORTION = 1e-9
# Number of parameters that are no distortion, of lenses that are pinholes without it.
_PINHOLE_COUNT = {
    "SIMPLE_PINHOLE": 3,
    "SIMPLE_RADIAL": 3,
    "RADIAL": 3,
    "PINHOLE": 4,
    "OPENCV": 4,
    "FULL_OPENCV": 4,
}


def is_distorted(lens: Lens) -> bool:
    """Whether straight lines are not straight in the lens's images."""
    count = _PINHOLE_COUNT.get(lens.model)
    return count is None or any(abs(p) > _LARGEST_DISTORTION for p in lens.params[count:])


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
