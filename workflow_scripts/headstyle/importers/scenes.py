"""Scenes of other methods: renders, depth and cameras from files, checked to fit together.

scene = read_scene(SceneFiles("renders", "transforms.json", "depth"))
table = headstyle.consistency.scoring.score(scene.renders, scene.depths, scene.cameras, scene.pairs)
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.adjacency import direction_adjacency
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError, given_by
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.base.tables.rows import read_rows
from headstyle.importers.agreement import Wording, check_depths, check_matches, ray_lengths
from headstyle.importers.cameras import camera_names, default_axes, read_foreign_cameras
from headstyle.importers.view_files import (
    DEPTH_SUFFIXES,
    IMAGE_SUFFIXES,
    Depth,
    list_views,
    pick_views,
    read_depth,
    read_image,
    read_mask,
)

logger = logging.getLogger("headstyle")


@dataclass(frozen=True)
class SceneFiles:
    """Where a scene is and how it is to be read: an entry of the config's `foreign` section.

    All folders hold one file per view, whose stem is the view's name.
    """

    renders: str | Path
    """Folder of PNG or JPEG images; alpha, if there is any, tells the foreground."""
    cameras: str | Path
    """transforms.json (nerfstudio, NeRF), a COLMAP model's folder, or a cameras.json."""
    depths: str | Path | None = None
    """Folder of .npy, .npz, .exr or 16-bit .png; None where a fit is to give the depth."""
    unedited: str | Path | None = None
    """Folder of the images before the edit."""
    masks: str | Path | None = None
    """Folder of the foreground's masks, for images without alpha."""
    pairs: str | Path | None = None
    """Table (CSV, or TSV) with the columns target and source; by default each view is compared
    with its nearest in direction."""
    camera_axes: str | None = None
    """`opengl` or `opencv`, where the cameras keep another convention than their format has."""
    depth_kind: str = "z"
    """`z`, or `ray` for the distance along the pixel's ray."""
    depth_scale: float | None = None
    """World units per unit of the depth files; None is 1, but 16-bit .png need it."""

    @classmethod
    def from_config(cls, entry: Mapping[str, Any]) -> "SceneFiles":
        """What an entry of the `foreign` section says of files."""
        known = {field.name: entry[field.name] for field in fields(cls) if field.name in entry}
        scale = known.get("depth_scale")
        return cls(**known | {"depth_scale": None if scale is None else float(scale)})


@dataclass(frozen=True)
class ForeignScene:
    """Renders of any method with the geometry by which they are warped into each other."""

    cameras: Cameras
    """Cameras of the renders, sorted by view."""
    renders: list[RgbaImage]
    """One image per camera. Where no file tells the foreground, it is what has depth."""
    depths: list[Depth] | None
    """One map per camera, or None where a fit to the unedited views is to give it."""
    unedited: list[RgbaImage] | None
    """What was edited, seen from the same cameras."""
    pairs: list[tuple[str, str]]
    """Names (target, source) to compare."""
    explained: float
    """Share of points in which depth maps (or matched features) of two views agree; may be NaN."""


def read_scene(
    files: SceneFiles, key: str = "", neighbors: int = 8, max_angle_deg: float = 60
) -> ForeignScene:
    """Read a scene of any method and check that its parts fit together.

    Args:
        files: What to read.
        key: What the entry is called in messages, such as `foreign.mine`.
        neighbors: Views that each view is compared with, where no pairs are given.
        max_angle_deg: Largest angle between the directions of these [deg].

    Raises:
        InputError: a file is missing, unreadable or of another size than the others, or cameras
            and depth contradict each other.
    """
    prefix = f"{key}." if key else ""
    if files.depths is None and files.unedited is None:
        raise InputError(
            f"{prefix}depths is null: name a folder of depth maps, or in {prefix}unedited the views"
            " before the edit, to which splats are fitted for their depth"
        )
    paths = list_views(files.renders, IMAGE_SUFFIXES, f"{prefix}renders")
    images = [read_image(path) for path in paths.values()]
    sizes = {
        view: (image.shape[1], image.shape[0])
        for view, (image, _) in zip(paths, images, strict=True)
    }
    cameras = read_foreign_cameras(files.cameras, sizes, files.camera_axes)
    _tell_unused(files.cameras, cameras)
    depths = None if files.depths is None else _read_depths(files, cameras, prefix)
    masks = None if files.masks is None else _read_masks(files.masks, cameras, prefix)
    unedited = None
    if files.unedited is not None:
        before = _read_images(files.unedited, cameras, f"{prefix}unedited")
        unedited = _with_foreground(before, masks, depths)
        # Renders that tell no foreground have that of the views before the edit.
        masks = masks or ([i[..., 3] for i in unedited] if all(a for _, a in before) else None)
    renders = _with_foreground(images, masks, depths)
    pairs = _pairs(files.pairs, cameras, neighbors, max_angle_deg, prefix)
    wording = _wording(files, prefix)
    if depths is None:
        assert unedited is not None, "`SceneFiles` asks for depths or unedited"
        explained = check_matches(unedited, cameras, pairs, wording)
    else:
        seen = [
            np.where(image[..., 3] > FOREGROUND_ALPHA, depth, 0)
            for image, depth in zip(renders, depths, strict=True)
        ]
        explained = check_depths(seen, cameras, pairs, wording)
    return ForeignScene(cameras, renders, depths, unedited, pairs, explained)


def read_pairs(path: str | Path, names: Sequence[str], key: str = "pairs") -> list[tuple[str, str]]:
    """Pairs (target, source) from a table with these columns, each once.

    Args:
        path: The table.
        names: All views.
        key: What the config key that names the table is called in messages.

    Raises:
        InputError: the table lacks a column or names an unknown view.
    """
    rows = read_rows(path, given_by(f"the config key {key}"))
    if not rows or not {"target", "source"} <= set(rows[0]):
        raise InputError(f"{path} needs rows with the columns target and source; add them")
    pairs = list(dict.fromkeys((row["target"], row["source"]) for row in rows))
    for view in (view for pair in pairs for view in pair):
        if view not in names:
            raise InputError(f"{path} names the view {view!r}, which has no image; remove its rows")
    return pairs


def _pairs(
    path: str | Path | None, cameras: Cameras, neighbors: int, max_angle_deg: float, prefix: str
) -> list[tuple[str, str]]:
    if path is not None:
        return read_pairs(path, cameras.names, f"{prefix}pairs")
    try:
        adjacency = direction_adjacency(cameras, neighbors, max_angle_deg)
    except InputError:
        raise InputError(
            f"the optical axes of {cameras.names[0]} and the other views are parallel, so their"
            f" neighbors are unknown; name a table of pairs in {prefix}pairs"
        ) from None
    pairs = [(cameras.names[i], cameras.names[j]) for i, j in np.argwhere(adjacency)]
    if not pairs:
        raise InputError(
            f"no two views are within {max_angle_deg:g} degrees of each other; raise"
            f" adjacency.max_angle_deg or name a table of pairs in {prefix}pairs"
        )
    return pairs


def _read_images(folder: str | Path, cameras: Cameras, key: str) -> list[tuple[RgbaImage, bool]]:
    paths = pick_views(list_views(folder, IMAGE_SUFFIXES, key), cameras.names, folder, key)
    images = [read_image(path) for path in paths]
    _check_sizes([image for image, _ in images], paths, cameras)
    return images


def _read_masks(folder: str | Path, cameras: Cameras, prefix: str) -> list[NDArray[np.float32]]:
    key = f"{prefix}masks"
    paths = pick_views(list_views(folder, IMAGE_SUFFIXES, key), cameras.names, folder, key)
    masks = [read_mask(path) for path in paths]
    _check_sizes(masks, paths, cameras)
    return masks


def _read_depths(files: SceneFiles, cameras: Cameras, prefix: str) -> list[Depth]:
    key, folder = f"{prefix}depths", files.depths
    assert folder is not None, "called where there are depth maps"
    paths = pick_views(list_views(folder, DEPTH_SUFFIXES, key), cameras.names, folder, key)
    depths = [read_depth(path, files.depth_scale, f"{prefix}depth_scale") for path in paths]
    _check_sizes(depths, paths, cameras)
    for path, depth in zip(paths, depths, strict=True):
        if not depth.any():
            raise InputError(f"{path} has no depth anywhere; write it again")
    if files.depth_kind == "ray":
        return [
            (depth / ray_lengths(depth.shape[0], depth.shape[1], matrix)).astype(np.float32)
            for depth, matrix in zip(depths, cameras.intrinsics, strict=True)
        ]
    return depths


def _check_sizes(arrays: Sequence[NDArray[Any]], paths: Sequence[Path], cameras: Cameras) -> None:
    for array, path, (width, height) in zip(arrays, paths, cameras.sizes.tolist(), strict=True):
        if array.shape[:2] != (height, width):
            raise InputError(
                f"{path} is {array.shape[1]}x{array.shape[0]} px but the render is"
                f" {width}x{height} px; write both at one size"
            )


def _with_foreground(
    images: Sequence[tuple[RgbaImage, bool]],
    masks: Sequence[NDArray[np.float32]] | None,
    depths: Sequence[Depth] | None,
) -> list[RgbaImage]:
    """The images with alpha: their own, else the masks', else 1 where there is depth."""
    shown = []
    for i, (image, has_alpha) in enumerate(images):
        alpha = image[..., 3]
        if not has_alpha and masks is not None:
            alpha = masks[i]
        elif not has_alpha and depths is not None:
            alpha = (depths[i] > 0).astype(np.float32)
        shown.append(np.dstack([image[..., :3], alpha]))
    return shown


def _wording(files: SceneFiles, prefix: str) -> Wording:
    axes = files.camera_axes or default_axes(files.cameras)
    other = "opencv" if axes == "opengl" else "opengl"
    kind = "z" if files.depth_kind == "ray" else "ray"
    return Wording(
        cameras=str(files.cameras),
        change_axes=f"set {prefix}camera_axes to {other}",
        depth_kind=files.depth_kind,
        change_kind=f"set {prefix}depth_kind to {kind}",
        depth_scale=files.depth_scale or 1.0,
        change_scale=f"set {prefix}depth_scale to {{:.3g}}",
    )


def _tell_unused(path: str | Path, cameras: Cameras) -> None:
    """Say in the log which cameras have no render: they are left out."""
    unused = sorted(camera_names(path) - set(cameras.names))
    if unused:
        logger.warning(
            "%d of %d cameras have no render and are left out: %s",
            len(unused),
            len(unused) + len(cameras),
            ", ".join(unused),
        )
