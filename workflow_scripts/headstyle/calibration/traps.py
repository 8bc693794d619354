"""Traps: changes that are the same for all views and must not change a score."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from headstyle.base.adjacency import direction_adjacency
from headstyle.base.cameras import Cameras
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.calibration.fields import colors_from_lab, continued_colors
from headstyle.calibration.scenes import NO_EDIT, EditedViews
from headstyle.capture.head import HeadMesh
from headstyle.capture.primitives.shapes import vertex_normals

LIGHT_FROM = (0.85, 0.25, 0.45)
"""Direction of the other light, from the viewer's right."""
FEW_NEIGHBORS = 2
CROP_FRACTION = 0.75
"""Part of the foreground's height that a crop keeps, from the top."""
BLUR_FRACTION = 0.015
"""Gaussian sigma of the blur of all views, as a fraction of the head's size."""


@dataclass(frozen=True)
class Trap:
    """A change that is the same for all views."""

    photographed: Mapping[str, Any] | None = None
    """Changed arguments of `procedural_views`, by which a procedural head is edited or photographed
    differently."""
    views: Callable[[EditedViews], EditedViews] | None = None
    """Change of the views after they were made inconsistent."""
    captures: Callable[[EditedViews], EditedViews] | None = None
    """Replaces `photographed` for renders of a capture, before they are made inconsistent."""
    scale: float = 1.0
    """Size of the frames as a multiple; amounts in pixels grow with it."""
    neighbors: int | None = None
    """Number of neighbors to compare with; None leaves it unchanged."""
    needs_edit: bool = False
    """Whether the trap applies only to edited views."""
    may_lower: bool = False
    """Whether only a better score is wrong. Blurring everything and doing nothing must not win."""


def relit(mesh: HeadMesh) -> HeadMesh:
    """The same head under a warm light from the other side instead of the studio's light."""
    normals = vertex_normals(mesh.vertices.astype(np.float32), mesh.faces)
    toward = np.array(LIGHT_FROM) / np.linalg.norm(LIGHT_FROM)
    lambert = np.clip(normals @ toward, 0, 1)[:, None]
    # What the studio leaves in shadow stays a little darker: crevices have less light.
    brightness = mesh.irradiance.mean(axis=1, keepdims=True)
    light = (0.25 + 0.85 * lambert * np.array([1.1, 1.0, 0.8], np.float32)) * np.sqrt(brightness)
    return replace(mesh, irradiance=light.astype(np.float32))


def brightened(views: EditedViews) -> EditedViews:
    """All views a fifth brighter and warmer."""
    return views.with_images([_toned(image) for image in views.edited])


def weakened(views: EditedViews) -> EditedViews:
    """All views keep six tenths of their edit."""
    mixed = []
    for image, plain in zip(views.edited, views.unedited, strict=True):
        colors = np.float32(0.6) * image[..., :3] + np.float32(0.4) * plain[..., :3]
        mixed.append(np.concatenate([colors, image[..., 3:]], axis=2))
    return views.with_images(mixed)


def other_background(views: EditedViews) -> EditedViews:
    """Every view on its own random background, also in the mixed pixels of the silhouette."""
    images = []
    for view, image in enumerate(views.edited):
        rng = np.random.default_rng([41, view])
        height, width = image.shape[:2]
        behind = cv2.resize(
            rng.random((height // 8 + 1, width // 8 + 1, 3), dtype=np.float32), (width, height)
        )
        alpha = image[..., 3:]
        images.append(np.concatenate([image[..., :3] * alpha + behind * (1 - alpha), alpha], 2))
    return views.with_images(images)


def cropped(views: EditedViews) -> EditedViews:
    """Frames and cameras cropped to the upper part of the head."""
    sizes, intrinsics = views.cameras.sizes.copy(), views.cameras.intrinsics.copy()
    windows = []
    for view, image in enumerate(views.edited):
        rows = np.flatnonzero((image[..., 3] > FOREGROUND_ALPHA).any(axis=1))
        columns = np.flatnonzero((image[..., 3] > FOREGROUND_ALPHA).any(axis=0))
        bottom = rows[0] + round(CROP_FRACTION * (rows[-1] + 1 - rows[0]))
        left, right = max(0, columns[0] - 1), min(image.shape[1], columns[-1] + 2)
        windows.append((slice(0, bottom), slice(left, right)))
        sizes[view] = right - left, bottom
        intrinsics[view, 0, 2] -= left
    cameras = Cameras(views.cameras.names, sizes, intrinsics, views.cameras.world_to_camera)
    cut: dict[str, Any] = {
        name: tuple(
            array[window] for array, window in zip(getattr(views, name), windows, strict=True)
        )
        for name in ("edited", "unedited", "depths", "unedited_depths")
    }
    return replace(views, cameras=cameras, **cut)


def resized(views: EditedViews, factor: float) -> EditedViews:
    """Views and depth of a capture at another resolution."""
    sizes = np.maximum(1, np.rint(views.cameras.sizes * factor)).astype(np.int64)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC

    def each(arrays: Sequence[NDArray[Any]], method: int) -> tuple[NDArray[Any], ...]:
        return tuple(
            np.clip(cv2.resize(array, size, interpolation=method), 0, None)
            for array, size in zip(arrays, sizes.tolist(), strict=True)
        )

    return replace(
        views,
        cameras=views.cameras.scaled(sizes),
        edited=tuple(np.minimum(image, 1) for image in each(views.edited, method)),
        unedited=tuple(np.minimum(image, 1) for image in each(views.unedited, method)),
        depths=each(views.depths, cv2.INTER_NEAREST),
        unedited_depths=each(views.unedited_depths, cv2.INTER_NEAREST),
    )


def blurred(views: EditedViews) -> EditedViews:
    """All views blurred alike."""
    sigma = BLUR_FRACTION * views.head_size_px
    images = [
        np.dstack([cv2.GaussianBlur(continued_colors(image), (0, 0), sigma), image[..., 3]])
        for image in views.edited
    ]
    return views.with_images(images)


def unedited(views: EditedViews) -> EditedViews:
    """The unedited views and their depth, as if nothing had been done."""
    return replace(views, edited=views.unedited, depths=views.unedited_depths)


TRAPS: Mapping[str, Trap] = MappingProxyType(
    {
        "light": Trap(photographed={"relight": relit}, captures=brightened),
        "weaker_edit": Trap(photographed={"strength": 0.6}, captures=weakened, needs_edit=True),
        "stronger_edit": Trap(photographed={"strength": 1.3}, needs_edit=True),
        "background": Trap(views=other_background),
        "crop": Trap(views=cropped),
        "fewer_neighbors": Trap(neighbors=FEW_NEIGHBORS),
        "smaller_frames": Trap(
            photographed={}, captures=lambda views: resized(views, 0.75), scale=0.75
        ),
        "larger_frames": Trap(
            photographed={}, captures=lambda views: resized(views, 1.5), scale=1.5
        ),
        "all_blurred": Trap(views=blurred, may_lower=True),
        "nothing_done": Trap(views=unedited, needs_edit=True, may_lower=True),
    }
)
"""All traps by name."""


def applies(trap: str, views: EditedViews) -> bool:
    """Whether a trap can be applied to these views."""
    chosen = TRAPS[trap]
    if chosen.needs_edit and views.prompt == NO_EDIT:
        return False
    return views.mesh is not None or chosen.photographed is None or chosen.captures is not None


def compared_pairs(cameras: Cameras, neighbors: int) -> list[tuple[str, str]]:
    """Pairs (target, source) of views that are near in direction."""
    near = np.argwhere(direction_adjacency(cameras, neighbors, 60))
    return [(cameras.names[target], cameras.names[source]) for target, source in near]


def _toned(image: RgbaImage) -> RgbaImage:
    lab = rgb2lab(image[..., :3]) * np.array([1.2, 1, 1], np.float32) + np.array(
        [0, 2, 6], np.float32
    )
    lab[..., 0] = np.minimum(lab[..., 0], 100)
    return np.concatenate([colors_from_lab(lab), image[..., 3:]], axis=2)
