"""Calibrated views of one head: `Cameras`, and the `cameras.json` that carries them between stages.

Poses are OpenCV (x right, y down, z forward). Pixel centres lie at +0.5, as in COLMAP and gsplat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import RESULT, InputError
from headstyle.base.files import read_json, write_json

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Turns camera axes x right, y down, z forward into x right, y up, z backward, and back."""


@dataclass(frozen=True)
class Cameras:
    """Pinhole cameras of the views of one subject, in the order of their names."""

    names: tuple[str, ...]
    """View names (file stems). Length C."""
    sizes: NDArray[np.int64]
    """Width and height of each view [px]. Shape `(C, 2)`."""
    intrinsics: NDArray[np.float64]
    """Pinhole matrices K [px]. Shape `(C, 3, 3)`."""
    world_to_camera: NDArray[np.float64]
    """Rigid transforms from world to camera. Shape `(C, 4, 4)`."""

    def __post_init__(self) -> None:
        count = len(self.names)
        for field, shape in (
            ("sizes", (count, 2)),
            ("intrinsics", (count, 3, 3)),
            ("world_to_camera", (count, 4, 4)),
        ):
            found = getattr(self, field).shape
            if found != shape:
                raise ValueError(f"{field} is {found}, expected {shape}")
        if len(set(self.names)) != count:
            raise ValueError("view names are not unique")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of a view by its name."""
        return self.names.index(name)

    def select(self, names: Sequence[str]) -> "Cameras":
        """The cameras of the given views, in the given order."""
        order = [self.names.index(name) for name in names]
        return Cameras(
            tuple(names), self.sizes[order], self.intrinsics[order], self.world_to_camera[order]
        )

    def scaled(self, sizes: NDArray[np.int64]) -> "Cameras":
        """The same cameras for images resized to `sizes` (width, height; shape `(C, 2)`)."""
        factors = np.ones((len(self), 3, 1))
        factors[:, :2, 0] = sizes / self.sizes
        return Cameras(
            self.names,
            np.asarray(sizes, dtype=np.int64),
            self.intrinsics * factors,
            self.world_to_camera,
        )

    @property
    def centers(self) -> NDArray[np.float64]:
        """Camera centres in the world. Shape `(C, 3)`."""
        rotation, translation = self.world_to_camera[:, :3, :3], self.world_to_camera[:, :3, 3]
        return -np.einsum("cji,cj->ci", rotation, translation)

    @property
    def axes(self) -> NDArray[np.float64]:
        """Optical axes in the world, unit length, pointing at the scene. Shape `(C, 3)`."""
        return self.world_to_camera[:, 2, :3]


def pixel_rays(pixels: NDArray[np.float64], intrinsics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions with z = 1 in a pinhole camera of pixels `(N, 2)`. Shape `(N, 3)`."""
    rays = np.ones((len(pixels), 3))
    rays[:, :2] = (pixels - intrinsics[:2, 2]) / (intrinsics[0, 0], intrinsics[1, 1])
    return rays


def check_view_name(name: str) -> None:
    """Raise a ValueError where files called as a view would lie outside of their folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.name:
        raise ValueError(f"the name {name!r} leads out of the folder of the views")


def write_cameras(path: str | Path, cameras: Cameras) -> None:
    """Write `cameras.json`: one entry per view with name, width, height, K and world_to_camera."""
    views = [
        {
            "name": name,
            "width": int(cameras.sizes[i, 0]),
            "height": int(cameras.sizes[i, 1]),
            "K": cameras.intrinsics[i].tolist(),
            "world_to_camera": cameras.world_to_camera[i].tolist(),
        }
        for i, name in enumerate(cameras.names)
    ]
    convention = "OpenCV axes (x right, y down, z forward), pixel centres at +0.5"
    write_json(path, {"convention": convention, "views": views})


def read_cameras(path: str | Path) -> Cameras:
    """Read `cameras.json`.

    Raises:
        InputError: the file is missing, is not JSON, or an entry lacks a key or has a wrong shape.
    """
    content = read_json(path)
    try:
        views = content["views"]
        for view in views:
            check_view_name(view["name"])
        return Cameras(
            names=tuple(view["name"] for view in views),
            sizes=np.array([(view["width"], view["height"]) for view in views], dtype=np.int64),
            intrinsics=np.array([view["K"] for view in views], dtype=np.float64),
            world_to_camera=np.array([view["world_to_camera"] for view in views], dtype=np.float64),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is not a cameras.json ({error}); {RESULT.if_wrong}") from None
