"""How far estimated poses are from the true ones, after a similarity alignment."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.adjacency import meeting_point
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError


def similarity(
    source: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Scale, rotation and translation that bring points `source` nearest to `target`.

    Least squares over `|target - (scale * rotation @ source + translation)|` (Umeyama 1991).

    Args:
        source: Shape `(N, 3)`.
        target: Shape `(N, 3)`.

    Returns:
        Scale, rotation `(3, 3)` and translation `(3,)`.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centered = source - source_mean
    left, values, right = np.linalg.svd((target - target_mean).T @ centered / len(source))
    # Without the sign, nearly flat rigs could come out mirrored.
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ np.diag(signs) @ right
    scale = float((values * signs).sum() / (centered**2).sum(axis=1).mean())
    return scale, rotation, target_mean - scale * rotation @ source_mean


def pose_errors(estimated: Cameras, true: Cameras) -> dict[str, Any]:
    """Errors of the estimated poses of the views both have.

    Returns:
        Content of truth.json: rotation errors [deg], errors of the camera centers as fractions of
        the rig's radius (mean distance to the point where the optical axes meet), and the errors
        of the focal lengths as fractions; median and largest of each.

    Raises:
        InputError: fewer than three views are in both.
    """
    names = [name for name in true.names if name in estimated.names]
    if len(names) < 3:
        raise InputError(
            f"only {len(names)} of the true cameras' views are posed; three are needed to compare"
            " them, so delete the subject's capture and poses and run again"
        )
    estimated, true = estimated.select(names), true.select(names)
    scale, rotation, translation = similarity(estimated.centers, true.centers)
    aligned = scale * estimated.centers @ rotation.T + translation
    radius = np.linalg.norm(true.centers - meeting_point(true), axis=1).mean()
    center_errors = np.linalg.norm(aligned - true.centers, axis=1) / radius
    focal_errors = np.abs(_relative_focals(estimated) / _relative_focals(true) - 1)
    return {
        "views": len(names),
        "missing": sorted(set(true.names) - set(names)),
        "rotation_error_deg": _spread(_rotation_errors_deg(estimated, true, rotation)),
        "center_error_fraction": _spread(center_errors),
        "focal_error_fraction": _spread(focal_errors),
        "rig_radius": float(radius),
    }


def _rotation_errors_deg(
    estimated: Cameras, true: Cameras, rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Angle of the rotation between each aligned estimated camera and the true one."""
    from_true = true.world_to_camera[:, :3, :3].transpose(0, 2, 1)
    difference = estimated.world_to_camera[:, :3, :3] @ rotation.T @ from_true
    # The skew part is exact for small angles, where the arc cosine of the trace is not.
    skew = difference - difference.transpose(0, 2, 1)
    sine = np.linalg.norm(skew, axis=(1, 2)) / np.sqrt(8)
    cosine = (np.trace(difference, axis1=1, axis2=2) - 1) / 2
    return np.degrees(np.arctan2(sine, cosine))


def _relative_focals(cameras: Cameras) -> NDArray[np.float64]:
    return cameras.intrinsics[:, 0, 0] / cameras.sizes[:, 0]


def _spread(values: NDArray[np.float64]) -> dict[str, float]:
    return {"median": float(np.median(values)), "max": float(values.max())}
