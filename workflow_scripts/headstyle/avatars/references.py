"""What an edit sees of earlier edits: references, or a start that is warped from a neighbor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.avatars.schedules import Edit
from headstyle.base.cameras import Cameras
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage, read_rgba
from headstyle.editing.base import View

DEPTH_TOLERANCE = 0.03
"""A point is the same surface in both views if its depths differ by less, relative to the depth."""

DepthImage = NDArray[np.float32]
"""z in the camera, 0 where there is no surface. Shape `(H, W)`."""


def with_references(
    edit: Edit,
    views: Sequence[View],
    cameras: Cameras,
    depths: Mapping[str, DepthImage],
    edits: Path,
    takes_references: bool,
) -> list[View]:
    """The views of an edit with what they see of earlier edits.

    Args:
        edit: The edit, which has references.
        views: Its views.
        cameras: Cameras of all views of the subject.
        depths: Median depths of the baseline by view.
        edits: Folder of the earlier edits.
        takes_references: Whether the editor reads `View.references`. If not, a warped reference
            takes the place of the render, from which the edit starts, wherever it is seen.
    """
    names = [cameras.names[i] for i in edit.references]
    if not edit.warped:
        images = tuple(read_rgba(edits / f"{name}.png") for name in names)
        return [replace(view, references=images) for view in views]
    seen = []
    for view in views:
        near = most_alike(cameras, view.name, names)
        image = read_rgba(edits / f"{near}.png")
        warped = warped_into(
            image, cameras.select([near, view.name]), depths[near], depths[view.name]
        )
        if takes_references:
            seen.append(replace(view, references=(warped,)))
        else:
            seen.append(replace(view, render=_laid_over(view.render, warped)))
    return seen


def most_alike(cameras: Cameras, view: str, others: Sequence[str]) -> str:
    """Which of other views has the smallest angle between its optical axis and that of a view."""
    axes = cameras.axes
    cosines = [float(axes[cameras.index(o)] @ axes[cameras.index(view)]) for o in others]
    return others[int(np.argmax(cosines))]


def warped_into(
    image: RgbaImage, cameras: Cameras, source_depth: DepthImage, target_depth: DepthImage
) -> RgbaImage:
    """An image of the first camera as the second one would see it.

    Args:
        image: The image.
        cameras: The source and the target.
        source_depth: Depth of the source.
        target_depth: Depth of the target.

    Returns:
        The image at the target's size. Alpha is 1 where the source shows the same surface, and 0
        elsewhere.
    """
    height, width = target_depth.shape
    rows, columns = np.indices((height, width), dtype=np.float64)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones_like(rows)], axis=-1)
    source_k, target_k = cameras.intrinsics
    source_pose, target_pose = cameras.world_to_camera
    in_target = target_depth[..., None] * (pixels @ np.linalg.inv(target_k).T)
    # Rotations are orthogonal, so a product with the matrix from the right inverts them.
    in_world = (in_target - target_pose[:3, 3]) @ target_pose[:3, :3]
    in_source = in_world @ source_pose[:3, :3].T + source_pose[:3, 3]
    z = np.where(in_source[..., 2] > 0, in_source[..., 2], np.inf)
    at = ((in_source @ source_k.T)[..., :2] / z[..., None] - 0.5).astype(np.float32)
    x, y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
    colors = np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR))
    there = np.asarray(cv2.remap(source_depth, x, y, cv2.INTER_NEAREST))
    same = (target_depth > 0) & (np.abs(there - z) < DEPTH_TOLERANCE * np.where(z < np.inf, z, 0))
    same &= colors[..., 3] > FOREGROUND_ALPHA
    return np.dstack([colors[..., :3] * same[..., None], same]).astype(np.float32)


def _laid_over(render: RgbaImage, warped: RgbaImage) -> RgbaImage:
    """A render whose colors are those of a warped image where that is seen."""
    colors = np.where(warped[..., 3:] > 0, warped[..., :3], render[..., :3])
    return np.concatenate([colors, render[..., 3:]], axis=2)
