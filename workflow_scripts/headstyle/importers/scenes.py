"""Scenes of other methods: renders, depth and cameras from files, checked to fit together.

scene = read_scene(SceneFiles("renders", "transforms.json", "depth"))
table = headstyle.consistency.scoring.score(scene.renders, scene.depths, scene.cameras, scene.pairs)
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
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
    check_depths,
    check_explained,
    check_matches,
    ray_lengths,
)
from headstyle.importers.depths import DEPTH_SUFFIXES, Depth, read_depth
from headstyle.importers.given_poses import (
    SceneCameras,
    default_axes,
    read_scene_cameras,
    tell_unused,
)
from headstyle.importers.images import SUFFIXES as IMAGE_SUFFIXES
from headstyle.importers.images import Picture, read_picture
from headstyle.importers.lenses import Lens
from headstyle.importers.listing import files_everywhere, list_files, look_alikes, match_files
from headstyle.importers.masks import check_foreground, find_masks, read_mask_file
from headstyle.importers.pinholes import (
    PixelMap,
    undistort_depth,
    undistort_image,
    undistort_mask,
    undistortion_map,
)

logger = logging.getLogger("headstyle")

# What renderers put before or after a view's name.
_DEPTH_MARKER = re.compile(r"^(depths?|z)[_. -]+|[_. -]+(depths?|z|rgb)$", re.IGNORECASE)


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
    """Folder of depth maps (see `headstyle.importers.depths`); None where a fit is to give it."""
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
    paths = _list_views(files.renders, IMAGE_SUFFIXES, f"{prefix}renders")
    raw = [read_picture(path) for path in paths.values()]
    sizes = {
        view: (image.rgb.shape[1], image.rgb.shape[0])
        for view, image in zip(paths, raw, strict=True)
    }
    found = read_scene_cameras(files.cameras, sizes, files.camera_axes, paths)
    cameras, lenses = found.cameras, _Undistortion(found)
    tell_unused(found.unused, len(cameras))
    images = lenses.images(raw)
    depths = None if files.depths is None else _read_depths(files, paths, lenses, prefix)
    masks = None if files.masks is None else _read_masks(files.masks, paths, lenses, prefix)
    unedited = None
    if files.unedited is not None:
        before = _read_images(files.unedited, paths, lenses, f"{prefix}unedited")
        unedited = _with_foreground(before, masks, depths)
        # Renders that tell no foreground have that of the views before the edit.
        masks = masks or ([i[..., 3] for i in unedited] if before.has_alpha else None)
    renders = _with_foreground(images, masks, depths)
    pairs = _pairs(files.pairs, paths, cameras, neighbors, max_angle_deg, prefix)
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
        check_explained(explained, wording)
    return ForeignScene(cameras, renders, depths, unedited, pairs, explained)


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


@dataclass(frozen=True)
class _Images:
    """One image per camera, undistorted."""

    pixels: list[RgbaImage]
    has_alpha: bool
    """Whether the alpha of any of them tells the foreground."""


class _Undistortion:
    """Brings images, masks and depth of lenses with distortion to the cameras' pinholes."""

    def __init__(self, found: SceneCameras) -> None:
        self.cameras = found.cameras
        self._distorted = found.distorted
        self._last: tuple[Lens, PixelMap | None] | None = None

    def images(self, pictures: Sequence[Picture]) -> _Images:
        """The images of all cameras."""
        told = any(picture.shown_alpha is not None for picture in pictures)
        moved = []
        for i, picture in enumerate(pictures):
            pixel_map = self._map(i)
            image = picture.rgba()
            moved.append(image if pixel_map is None else undistort_image(image, pixel_map))
        return _Images(moved, told)

    def masks(self, masks: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """The masks of all cameras."""
        return [self._moved(i, mask, undistort_mask) for i, mask in enumerate(masks)]

    def depths(self, depths: Sequence[Depth]) -> list[Depth]:
        """The depth maps of all cameras."""
        return [self._moved(i, depth, undistort_depth) for i, depth in enumerate(depths)]

    def _moved(
        self, camera: int, values: NDArray[Any], move: Callable[..., NDArray[Any]]
    ) -> NDArray[Any]:
        pixel_map = self._map(camera)
        return values if pixel_map is None else move(values, pixel_map)

    def _map(self, camera: int) -> PixelMap | None:
        """The map of a camera's images; the last one is kept, since it is large."""
        lens = self._distorted.get(self.cameras.names[camera])
        if lens is None:
            return None
        if self._last is None or self._last[0] != lens:
            self._last = lens, undistortion_map(lens, self.cameras.intrinsics[camera])
        return self._last[1]


def _list_views(folder: str | Path, suffixes: Sequence[str], key: str) -> dict[str, Path]:
    """The files of a folder by view; what is left out is told."""
    listing = list_files(folder, suffixes, key)
    if not listing.files:
        raise InputError(f"{key}: {folder} holds no file {', '.join(suffixes)}; correct the path")
    if listing.left_out:
        logger.warning("%s: left out of %s: %s", key, folder, ", ".join(listing.left_out))
    return listing.files


def _files_of_views(
    folder: str | Path, suffixes: Sequence[str], renders: Mapping[str, Path], key: str
) -> list[Path]:
    """The file of each render in another folder.

    Raises:
        InputError: a view has none, or two.
    """
    folder = Path(folder)
    _list_views(folder, suffixes, key)
    names = [str(path) for path in files_everywhere(folder, suffixes)]
    found = match_files(renders, names, key, suffixes, _DEPTH_MARKER)
    _check_all_found(found, names, renders, folder, key)
    return [Path(found[view]) for view in renders]


def _check_all_found(
    found: Mapping[str, Any],
    names: Sequence[str],
    renders: Mapping[str, Path],
    folder: Path,
    key: str,
) -> None:
    missing = [view for view in renders if view not in found]
    if missing:
        alike = look_alikes(missing, set(names) - set(found.values()))
        raise InputError(
            f"{key}: {folder} lacks {len(missing)} of {len(renders)} views, first {missing[0]!r}"
            f"{alike}; add the file or take the view out of the renders"
        )


def _read_images(
    folder: str | Path, renders: Mapping[str, Path], lenses: _Undistortion, key: str
) -> _Images:
    paths = _files_of_views(folder, IMAGE_SUFFIXES, renders, key)
    pictures = [read_picture(path) for path in paths]
    _check_sizes([picture.rgb for picture in pictures], paths, lenses.cameras)
    return lenses.images(pictures)


def _read_masks(
    folder: str | Path, renders: Mapping[str, Path], lenses: _Undistortion, prefix: str
) -> list[NDArray[np.float32]]:
    key = f"{prefix}masks"
    _list_views(folder, IMAGE_SUFFIXES, key)
    found = find_masks(folder, renders, key)
    names = [str(path) for path in files_everywhere(Path(folder), IMAGE_SUFFIXES)]
    _check_all_found({v: str(p) for v, p in found.items()}, names, renders, Path(folder), key)
    paths = [found[view] for view in renders]
    masks = [read_mask_file(path) for path in paths]
    for mask, path in zip(masks, paths, strict=True):
        check_foreground(mask, path)
    _check_sizes(masks, paths, lenses.cameras)
    return lenses.masks([mask.astype(np.float32) / np.float32(255) for mask in masks])


def _read_depths(
    files: SceneFiles, renders: Mapping[str, Path], lenses: _Undistortion, prefix: str
) -> list[Depth]:
    assert files.depths is not None, "called where there are depth maps"
    paths = _files_of_views(files.depths, DEPTH_SUFFIXES, renders, f"{prefix}depths")
    depths = [read_depth(path, files.depth_scale, f"{prefix}depth_scale") for path in paths]
    _check_sizes(depths, paths, lenses.cameras)
    for path, depth in zip(paths, depths, strict=True):
        if not depth.any():
            raise InputError(f"{path} has no depth anywhere; write it again")
    depths = lenses.depths(depths)
    if files.depth_kind == "ray":
        return [
            (depth / ray_lengths(depth.shape[0], depth.shape[1], matrix)).astype(np.float32)
            for depth, matrix in zip(depths, lenses.cameras.intrinsics, strict=True)
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
    images: _Images,
    masks: Sequence[NDArray[np.float32]] | None,
    depths: Sequence[Depth] | None,
) -> list[RgbaImage]:
    """The images with alpha: their own, else the masks', else 1 where there is depth."""
    shown = []
    for i, image in enumerate(images.pixels):
        alpha = image[..., 3]
        if not images.has_alpha and masks is not None:
            alpha = masks[i]
        elif not images.has_alpha and depths is not None:
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
