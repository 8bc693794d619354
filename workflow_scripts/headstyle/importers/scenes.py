"""Scenes of other methods: renders, depth and cameras from files, checked to fit together.

scene = read_scene(SceneFiles("renders", "transforms.json", "depth"))
table = headstyle.consistency.scoring.score(scene.renders, scene.depths, scene.cameras, scene.pairs)
"""

import logging
import re
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
from headstyle.importers.agreement import (
    Wording,
    along_z,
    check_depths,
    check_explained,
    check_matches,
)
from headstyle.importers.companions import files_of_data_set
from headstyle.importers.depths import DEPTH_SUFFIXES, Depth, read_depths
from headstyle.importers.given_poses import read_scene_cameras
from headstyle.importers.images import SUFFIXES as IMAGE_SUFFIXES
from headstyle.importers.images import Picture, read_picture
from headstyle.importers.listing import (
    MASK_MARKER,
    Naming,
    files_of_views,
    is_marked,
    list_views,
)
from headstyle.importers.masks import read_masks
from headstyle.importers.pinholes import Undistortion

logger = logging.getLogger("headstyle")

# What renderers put before or after a view's name.
_MARKER = re.compile(r"^(depths?|z)[_. -]+|[_. -]+(depths?|z|rgb)$", re.IGNORECASE)
_IMAGES = Naming(IMAGE_SUFFIXES, _MARKER)
_DEPTHS = Naming(DEPTH_SUFFIXES, _MARKER)
_MASKS = Naming(IMAGE_SUFFIXES, MASK_MARKER, is_marked)
_MOST_NAMES = 8


@dataclass(frozen=True)
class SceneFiles:
    """Where a scene is and how it is to be read: an entry of the config's `foreign` section.

    All folders hold one file per view, called as the render but for its suffix.
    """

    renders: str | Path
    """Folder of images; alpha, if it varies in any of them, tells the foreground."""
    cameras: str | Path
    """A file or folder in one of the formats of `headstyle.importers.cameras`."""
    depths: str | Path | None = None
    """Folder of depth maps (see `headstyle.importers.depths`); by default those that the cameras'
    data set names, or none where `unedited` is given and a fit is to give it."""
    unedited: str | Path | None = None
    """Folder of the images before the edit."""
    masks: str | Path | None = None
    """Folder of the foreground's masks, for images without alpha; by default those that the
    cameras' data set names."""
    pairs: str | Path | None = None
    """Table (CSV, or TSV) with the columns target and source; by default each view is compared
    with its nearest in direction."""
    camera_axes: str | None = None
    """`opengl` or `opencv`, where the cameras keep another convention than their format has."""
    depth_kind: str = "z"
    """`z`, or `ray` for the distance along the pixel's ray."""
    depth_scale: float | None = None
    """World units per unit of the depth files; None is 1, but 16-bit .png need it. That of a data
    set's own depth is known."""

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
    # Which file is whose.
    views = list_views(files.renders, IMAGE_SUFFIXES, f"{prefix}renders")
    before_files = files_of_views(files.unedited, views, _IMAGES, f"{prefix}unedited")
    mask_files = files_of_views(files.masks, views, _MASKS, f"{prefix}masks")
    depth_files = files_of_views(files.depths, views, _DEPTHS, f"{prefix}depths")
    brought = files_of_data_set(
        files.cameras, views, masks=not mask_files, depths=not (depth_files or before_files)
    )
    _check_depths_are_known([*depth_files, *brought.depths, *before_files], prefix)
    # What the files hold.
    pictures = [read_picture(path) for path in views.values()]
    before = [read_picture(path) for path in before_files]
    sizes = {view: picture.size for view, picture in zip(views, pictures, strict=True)}
    found = read_scene_cameras(files.cameras, sizes, files.camera_axes, views)
    masks = read_masks(mask_files or brought.masks)
    scale = files.depth_scale or (brought.depth_scale if brought.depths else None)
    depths = read_depths(depth_files or brought.depths, scale, f"{prefix}depth_scale")
    # The same, as pinholes show it.
    pinholes = Undistortion(found.cameras, found.distorted)
    renders = pinholes.images(pictures, [*views.values()])
    unedited = pinholes.images(before, before_files)
    masks = pinholes.masks(masks, mask_files or brought.masks, resized=not mask_files)
    depths = pinholes.depths(depths, depth_files or brought.depths, resized=not depth_files)
    # What is foreground, and what is compared.
    _tell_unused(found.unused, len(views))
    surface = [(depth > 0).astype(np.float32) for depth in depths]
    unedited = _with_foreground(unedited, before, masks, surface)
    renders = _with_foreground(renders, pictures, masks, [i[..., 3] for i in unedited], surface)
    wording = _wording(files, found.axes, prefix)
    pairs = _pairs(files.pairs, views, found.cameras, neighbors, max_angle_deg, prefix)
    # Whether all of it fits together.
    if files.depth_kind == "ray":
        depths = along_z(depths, found.cameras)
    if depths:
        seen = [
            np.where(image[..., 3] > FOREGROUND_ALPHA, depth, 0)
            for image, depth in zip(renders, depths, strict=True)
        ]
        explained = check_depths(seen, found.cameras, pairs, wording)
        check_explained(explained, wording)
    else:
        explained = check_matches(unedited, found.cameras, pairs, wording)
    return ForeignScene(found.cameras, renders, depths or None, unedited or None, pairs, explained)


def _check_depths_are_known(files: Sequence[Path], prefix: str) -> None:
    """Raise an InputError where neither depth maps nor views to fit splats to are given."""
    if not files:
        raise InputError(
            f"{prefix}depths is null: name a folder of depth maps, or in {prefix}unedited the views"
            " before the edit, to which splats are fitted for their depth"
        )


def _tell_unused(unused: Sequence[str], used: int) -> None:
    """Say in the log which cameras have no render: they are left out."""
    if unused:
        more = ", ..." if len(unused) > _MOST_NAMES else ""
        logger.warning(
            "%d of %d cameras have no render and are left out: %s%s",
            len(unused),
            len(unused) + used,
            ", ".join(Path(name).stem for name in unused[:_MOST_NAMES]),
            more,
        )


def read_pairs(
    path: str | Path,
    names: Sequence[str],
    key: str = "pairs",
    images: Mapping[str, Path] | None = None,
) -> list[tuple[str, str]]:
    """Pairs (target, source) from a table with these columns, each once.

    Args:
        path: The table.
        names: The views.
        key: What the config key that names the table is called in messages.
        images: Their images: the table may name these as well, with or without suffix.

    Raises:
        InputError: the table lacks a column or names an unknown view.
    """
    rows = read_rows(path, given_by(f"the config key {key}"))
    if not rows or not {"target", "source"} <= set(rows[0]):
        raise InputError(f"{path} needs rows with the columns target and source; add them")
    known = {name: name for name in names}
    for view, image in (images or {}).items():
        for other in (image.stem, image.name):
            known.setdefault(other, view)
    pairs = list(dict.fromkeys((row["target"], row["source"]) for row in rows))
    for view in (view for pair in pairs for view in pair):
        if view not in known:
            raise InputError(f"{path} names the view {view!r}, which has no image; remove its rows")
    return [(known[target], known[source]) for target, source in pairs]


def _pairs(
    path: str | Path | None,
    images: Mapping[str, Path],
    cameras: Cameras,
    neighbors: int,
    max_angle_deg: float,
    prefix: str,
) -> list[tuple[str, str]]:
    if path is not None:
        return read_pairs(path, cameras.names, f"{prefix}pairs", images)
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


def _with_foreground(
    images: Sequence[RgbaImage],
    pictures: Sequence[Picture],
    *others: Sequence[NDArray[np.float32]],
) -> list[RgbaImage]:
    """The images with alpha: that of their pictures, else the first of the others that is given."""
    alphas = next((other for other in others if other), None)
    if alphas is None or any(picture.shown_alpha is not None for picture in pictures):
        return [*images]
    return [
        np.dstack([image[..., :3], alpha]) for image, alpha in zip(images, alphas, strict=False)
    ]


def _wording(files: SceneFiles, axes: str, prefix: str) -> Wording:
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
