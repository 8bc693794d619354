"""The study's rig: a dome of cameras in columns and bars, all in front of the head.

The grid's rows are bars of equal elevation; row 0 is the highest. Its columns are equal steps of
azimuth; column 0 is on the head's right (the viewer's left). The line is one more bar below the
grid. It spans the same azimuths with its own number of cameras. In `rig.tsv` the line is the row
after the grid's last. The column of its views is their place between the grid's columns: 9 views
below 7 columns have 0, 0.75, 1.5, ..., 6.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras

RADIUS_M = 0.62
"""Distance of the cameras from the point they look at."""
TARGET_M = (0.0, -0.055, 0.0)
"""The point they look at. It is the mouth, which centers head and shoulders in the frame."""
CENTER_ELEVATION_DEG = 13.0
LARGEST_STEP_DEG = {"azimuth": 24.0, "elevation": 20.0}
"""Largest angle between neighbours [deg]. Beyond it COLMAP finds no matches."""
LARGEST_SPAN_DEG = {"azimuth": 126.0, "elevation": 54.0}
LINE_DROP_DEG = 13.0
"""How far the line is below the grid's last row."""
JITTER_SEED = 37


@dataclass(frozen=True)
class CaptureSettings:
    """The `capture` section of the configuration."""

    long_side_px: int
    """Long side of the photographs."""
    grid_rows: int
    """Rows of cameras in the grid."""
    grid_columns: int
    """Columns of cameras in the grid."""
    line_views: int
    """Cameras in the extra line below the grid."""
    focal_length_mm: float
    """Focal length of the lens."""
    sensor_long_side_mm: float
    """Long side of the sensor."""
    samples_per_side: int
    """Rays per side of a pixel."""
    jpeg_quality: int
    """Quality of the JPEG files, 1 to 100."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the photographs: portrait, 2:3."""
        return round(self.long_side_px * 2 / 3), self.long_side_px

    @property
    def focal_px(self) -> float:
        """Focal length [px]."""
        return self.focal_length_mm / self.sensor_long_side_mm * self.long_side_px


@dataclass(frozen=True)
class Rig:
    """Cameras and their places in the rig."""

    cameras: Cameras
    """The cameras, named by view."""
    rows: tuple[int, ...]
    """Row of each camera; the line is the last row."""
    columns: tuple[float, ...]
    """Column of each camera; views of the line may stand between two columns."""

    def table(self) -> str:
        """`rig.tsv`: view, row, column."""
        places = zip(self.cameras.names, self.rows, self.columns, strict=True)
        return "view\trow\tcolumn\n" + "".join(f"{v}\t{r}\t{c:g}\n" for v, r, c in places)


def study_rig(settings: CaptureSettings | dict[str, Any]) -> Rig:
    """Pinhole cameras: views `r{row}c{column}` of the grid, then `b{number}` of the line.

    Every camera is slightly off in position and direction, as in a real rig. All subjects share the
    rig.
    """
    if not isinstance(settings, CaptureSettings):
        settings = CaptureSettings(**settings)
    azimuths = _steps(settings.grid_columns, "azimuth")
    elevations = CENTER_ELEVATION_DEG - _steps(settings.grid_rows, "elevation")
    places = [
        (f"r{row}c{column}", row, float(column), azimuth, elevation)
        for row, elevation in enumerate(elevations)
        for column, azimuth in enumerate(azimuths)
    ]
    columns = _spread(settings.line_views, settings.grid_columns - 1)
    line_azimuths = np.interp(columns, np.arange(settings.grid_columns), azimuths)
    places += [
        (f"b{i}", settings.grid_rows, float(column), azimuth, elevations[-1] - LINE_DROP_DEG)
        for i, (column, azimuth) in enumerate(zip(columns, line_azimuths, strict=True))
    ]
    names, rows, view_columns, view_azimuths, view_elevations = zip(*places, strict=True)

    width, height = settings.size_px
    focal = settings.focal_px
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    rng = np.random.default_rng(JITTER_SEED)
    poses = [_pose(a, e, rng) for a, e in zip(view_azimuths, view_elevations, strict=True)]
    cameras = Cameras(
        names,
        np.full((len(names), 2), (width, height)),
        np.repeat(intrinsics[None], len(names), axis=0),
        np.array(poses),
    )
    return Rig(cameras, rows, view_columns)


def _steps(count: int, direction: str) -> NDArray[np.float64]:
    """Angles of `count` evenly spaced places around 0 [deg]."""
    if count == 1:
        return np.zeros(1)
    step = min(LARGEST_STEP_DEG[direction], LARGEST_SPAN_DEG[direction] / (count - 1))
    return np.asarray((np.arange(count) - (count - 1) / 2) * step, np.float64)


def _spread(count: int, last: float) -> NDArray[np.float64]:
    """`count` places from 0 to `last`; a single one is in the middle."""
    return np.linspace(0, last, count) if count > 1 else np.full(count, last / 2)


def _pose(
    azimuth_deg: float, elevation_deg: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """World-to-camera transform of an upright camera on the dome, a little off. Shape `(4, 4)`."""
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    outward = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ]
    )
    center = np.array(TARGET_M) + RADIUS_M * outward + rng.normal(0, 0.004, 3)
    forward = np.array(TARGET_M) + rng.normal(0, 0.004, 3) - center
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 1.0, 0.0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    roll = np.radians(rng.normal(0, 0.6))
    right, down = (
        np.cos(roll) * right + np.sin(roll) * down,
        np.cos(roll) * down - np.sin(roll) * right,
    )
    pose = np.eye(4)
    pose[:3, :3] = right, down, forward
    pose[:3, 3] = -pose[:3, :3] @ center
    return pose
