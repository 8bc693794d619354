"""The files of the training views: `{view}.png` with straight alpha, and `points.npz`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.cameras import Cameras
from headstyle.errors import InputError
from headstyle.files import whole_file
from headstyle.images import RgbaImage, read_rgba


def read_views(folder: str | Path, cameras: Cameras) -> list[RgbaImage]:
    """Read the views of the given cameras, `{view}.png` with straight alpha, in their order.

    Raises:
        InputError: a view is missing, cannot be decoded, or has not the size its camera says.
    """
    views = []
    for name, (width, height) in zip(cameras.names, cameras.sizes.tolist(), strict=True):
        path = Path(folder) / f"{name}.png"
        view = read_rgba(path)
        if view.shape[:2] != (height, width):
            raise InputError(
                f"{path} is {view.shape[1]}x{view.shape[0]} px but its camera says"
                f" {width}x{height} px; make the views again"
            )
        views.append(view)
    return views


def write_points(path: Path, positions: NDArray[np.float64], colors: NDArray[np.uint8]) -> None:
    """Write points.npz: `positions` (N, 3) in the world and RGB `colors` (N, 3)."""
    with whole_file(path) as partial:
        np.savez(partial, positions=positions.astype(np.float64), colors=colors.astype(np.uint8))
