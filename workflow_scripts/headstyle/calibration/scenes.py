"""Edited views whose consistency is known: heads edited in three dimensions, then photographed.

All photographs of one edited head agree with each other, whatever the edit. They are level 0 of
every ladder in `headstyle.calibration.ladders`. Renders of a capture's baseline are less exact:
they agree as well as splats do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage, read_views, resize_rgba
from headstyle.calibration.fields import colors_from_lab
from headstyle.capture.head import HeadMesh, Part, light_surface, sculpt_head
from headstyle.capture.operators import Edit, edit_surface
from headstyle.capture.photograph import photograph_views
from headstyle.capture.rig import CaptureSettings, study_rig
from headstyle.consistency.scoring import read_depths
from headstyle.report.pictures import evenly_spaced, frontal_view

NO_EDIT = "none"
"""The prompt of views that are not edited."""


@dataclass(frozen=True)
class EditedViews:
    """Edited and unedited views of one head, in the order of the cameras."""

    subject: str
    """Name of the head or capture."""
    prompt: str
    """Name of the edit."""
    cameras: Cameras
    """Cameras of the views."""
    edited: tuple[RgbaImage, ...]
    """Views after the edit. Shape `(H, W, 4)` each."""
    unedited: tuple[RgbaImage, ...]
    """Views before the edit. Shape `(H, W, 4)` each."""
    depths: tuple[NDArray[np.float32], ...]
    """z of the edited head in the camera, 0 where there is no surface. Shape `(H, W)` each."""
    unedited_depths: tuple[NDArray[np.float32], ...]
    """z of the unedited head in the camera, 0 where there is no surface. Shape `(H, W)` each."""
    features: NDArray[np.float64]
    """Positions of features in the world, such as mouth and eyes. Shape `(K, 3)`."""
    mesh: HeadMesh | None = None
    """The photographed mesh; None for renders of a capture."""

    @property
    def head_size_px(self) -> float:
        """Side of a square with the mean area of the views' foregrounds."""
        return float(
            np.sqrt(np.mean([(image[..., 3] > FOREGROUND_ALPHA).sum() for image in self.edited]))
        )

    @property
    def pixels_per_unit(self) -> float:
        """Mean length in pixels, at the surface, of one unit of the world."""
        focal = self.cameras.intrinsics[:, 0, 0].mean()
        return float(focal / np.mean([np.median(depth[depth > 0]) for depth in self.depths]))

    def with_images(self, images: list[RgbaImage]) -> "EditedViews":
        """The same views with other edited images."""
        return replace(self, edited=tuple(images))


@dataclass(frozen=True)
class RigSettings:
    """How the calibration's heads are photographed."""

    long_side_px: int
    """Long side of the photographs."""
    rows: int
    """Rows of cameras."""
    columns: int
    """Columns of cameras."""
    coarseness: float
    """Coarseness of the mesh; see `headstyle.capture.head.sculpt_head`."""
    samples_per_side: int = 2
    """Rays per side of a pixel."""

    def cameras(self, scale: float = 1.0) -> Cameras:
        """The study's dome with fewer cameras, for frames `scale` times as large."""
        side = round(self.long_side_px * scale)
        return study_rig(CaptureSettings(side, self.rows, self.columns, 0, 22, 22.3, 1, 95)).cameras


def procedural_views(
    seed: int,
    prompt: str,
    rig: RigSettings,
    *,
    strength: float = 1.0,
    scale: float = 1.0,
    relight: Callable[[HeadMesh], HeadMesh] | None = None,
) -> EditedViews:
    """Photographs of a procedural head after a true edit.

    Args:
        seed: Seed of the head.
        prompt: An operator of `headstyle.capture.operators`, or `none`.
        rig: How the head is photographed.
        strength: Strength of the edit.
        scale: Size of the frames as a multiple of the rig's.
        relight: Function that lights the edited head differently.
    """
    cameras = rig.cameras(scale)
    surface = sculpt_head(seed, rig.coarseness)
    plain = light_surface(surface)
    mesh, changed = plain, surface
    if prompt != NO_EDIT:
        changed = edit_surface(surface, Edit(prompt, strength))
        mesh = light_surface(changed)
    if relight is not None:
        mesh = relight(mesh)
    unedited, unedited_depths = _photographed(plain, cameras, rig)
    edited, depths = _photographed(mesh, cameras, rig)
    return EditedViews(
        subject=f"head{seed}",
        prompt=prompt,
        cameras=cameras,
        edited=edited,
        unedited=unedited,
        depths=depths,
        unedited_depths=unedited_depths,
        features=_face_features(mesh),
        mesh=mesh,
    )


def captured_views(
    subject: str, views: Path, baseline: Path, prompt: str, count: int, long_side_px: int
) -> EditedViews:
    """Renders of a capture's baseline, edited by the same map of colors in all views.

    Args:
        subject: Name of the capture.
        views: Folder of `cameras.json`.
        baseline: Folder of the baseline's `renders` and `depth`.
        prompt: A key of `COLOR_EDITS`.
        count: Number of views to use, evenly spaced.
        long_side_px: Size that the renders are reduced to.
    """
    cameras = read_cameras(views / "cameras.json")
    cameras = cameras.select(evenly_spaced(cameras.names, count))
    renders = read_views(baseline / "renders", cameras)
    depths: list[Any] = list(read_depths(baseline / "depth", cameras))
    factor = min(1.0, long_side_px / cameras.sizes.max())
    small = cameras.scaled(np.maximum(1, np.rint(cameras.sizes * factor)).astype(np.int64))
    images = [
        resize_rgba(image, *size) for image, size in zip(renders, small.sizes.tolist(), strict=True)
    ]
    # Depth is subsampled, never averaged: there is no surface between two surfaces.
    depths = [
        cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
        for depth, size in zip(depths, small.sizes.tolist(), strict=True)
    ]
    edit = COLOR_EDITS[prompt]
    return EditedViews(
        subject=subject,
        prompt=prompt,
        cameras=small,
        edited=tuple(_colors_mapped(image, edit) for image in images),
        unedited=tuple(images),
        depths=tuple(depths),
        unedited_depths=tuple(depths),
        features=_salient_features(small, images, depths),
    )


def _photographed(
    mesh: HeadMesh, cameras: Cameras, rig: RigSettings
) -> tuple[tuple[RgbaImage, ...], tuple[NDArray[np.float32], ...]]:
    images, depths = zip(*photograph_views(mesh, cameras, rig.samples_per_side), strict=True)
    return images, depths


def _warm_bronze(lab: NDArray[Any]) -> NDArray[Any]:
    return np.stack([lab[..., 0] * 0.85, 12 + 0.3 * lab[..., 1], 28 + 0.4 * lab[..., 2]], axis=-1)


def _cold_contrast(lab: NDArray[Any]) -> NDArray[Any]:
    lightness = np.clip(1.35 * (lab[..., 0] - 50) + 52, 0, 100)
    return np.stack([lightness, 0.5 * lab[..., 1] - 4, 0.6 * lab[..., 2] - 22], axis=-1)


COLOR_EDITS: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = MappingProxyType(
    {NO_EDIT: lambda lab: lab, "bronze": _warm_bronze, "cold": _cold_contrast}
)
"""Edits of captures: maps of CIELAB colors, the same for all pixels, so that views still agree."""


def _colors_mapped(image: RgbaImage, edit: Callable[[NDArray[Any]], NDArray[Any]]) -> RgbaImage:
    if edit is COLOR_EDITS[NO_EDIT]:
        return image
    colors = colors_from_lab(edit(rgb2lab(image[..., :3])))
    return np.concatenate([colors, image[..., 3:]], axis=2)


def _face_features(mesh: HeadMesh) -> NDArray[np.float64]:
    """Middle of the mouth and of both eyes. Shape `(3, 3)`."""
    lips, eye = mesh.parts == Part.LIPS, mesh.parts == Part.EYE
    left = mesh.vertices[:, 0] < 0
    return np.array([mesh.vertices[part].mean(axis=0) for part in (lips, eye & left, eye & ~left)])


def _salient_features(
    cameras: Cameras, images: list[RgbaImage], depths: list[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """The three places with most contrast in the middle of the frontal view. Shape `(3, 3)`."""
    view = cameras.index(frontal_view(cameras))
    alpha, depth = images[view][..., 3], depths[view]
    surface = ((alpha > 0.9) & (depth > 0)).astype(np.uint8)
    size = np.sqrt(surface.sum())
    inside = cv2.erode(surface, np.ones((3, 3)), iterations=max(1, round(0.12 * size))) > 0
    gray = images[view][..., :3].mean(axis=2)
    spread = cv2.GaussianBlur(gray**2, (0, 0), 0.05 * size)
    spread -= cv2.GaussianBlur(gray, (0, 0), 0.05 * size) ** 2
    rows, columns = np.indices(depth.shape)
    places = []
    for _ in range(3):
        row, column = np.unravel_index(np.argmax(np.where(inside, spread, -1)), depth.shape)
        places.append(_unprojected(cameras, view, column + 0.5, row + 0.5, depth[row, column]))
        inside &= np.hypot(rows - row, columns - column) > 0.3 * size
    return np.array(places)


def _unprojected(cameras: Cameras, view: int, x: float, y: float, z: float) -> NDArray[np.float64]:
    ray = np.linalg.solve(cameras.intrinsics[view], np.array([x, y, 1.0]))
    return (np.linalg.inv(cameras.world_to_camera[view]) @ np.append(ray * z, 1.0))[:3]
