"""A look at cameras in any format: models, distortion, scale, and which views overlap."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from headstyle.base.adjacency import direction_adjacency, directions, meeting_point
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.importers.cameras import find_cameras
from headstyle.importers.cameras.base import Companions, GivenPose
from headstyle.importers.images import SUFFIXES, opened_image
from headstyle.importers.lenses import Lens, is_distorted, pinhole_matrix
from headstyle.importers.listing import (
    images_below,
    look_alikes,
    match_files,
    named_by_place,
    place_of,
)
from headstyle.inspection.findings import Findings, counted, named, subject_name

# Views that differ by less than this in direction show the same parts of a head.
NEAR_DEG = 40.0
NEIGHBORS = 6
_AXES = {
    "opencv": "OpenCV (x right, y down, z forward)",
    "opengl": "OpenGL (x right, y up, z backward)",
}


def look_at_cameras(path: Path) -> Findings:
    """What a file or folder of cameras holds, and which of its images lie near it.

    Raises:
        InputError: no format knows the path, or the cameras are damaged.
    """
    kind, place = find_cameras(path)
    names = kind.names(place)
    if not names:
        raise InputError(f"{place} is {kind.label} without any posed image; export it again")
    images = _images_of(names, path if path.is_dir() else path.parent)
    poses = kind.read(place, {name: _size(images.get(name)) for name in names})
    found = Findings(f"{path}: cameras of {len(names)} views, {kind.label}")
    found.say("convention", _AXES.get(kind.axes, kind.axes) + " in the file")
    found.say("images", _told_images(names, images))
    found.say("with them", _told_companions(kind.companions(place)))
    lenses = [pose.lens for pose in poses.values()]
    found.say("lenses", counted(f"{lens.model} {lens.width}x{lens.height} px" for lens in lenses))
    found.say("cameras", f"{len(set(lenses))} different")
    found.say("focal length", _focal_lengths(lenses))
    found.say("distortion", _distortion(lenses))
    views = {place: name for name, place in named_by_place([place_of(n) for n in poses]).items()}
    found.pictures = {views[place_of(name)]: image for name, image in sorted(images.items())}
    found.cameras = _pinholes({views[place_of(name)]: pose for name, pose in poses.items()})
    _tell_geometry(found)
    if images:
        found.subject = {
            "subject": subject_name(path if path.is_dir() else path.parent),
            "source": "photographs",
            "photographs": str(_common_folder(list(images.values()))),
            "poses": str(path),
        }
    return found


def knows_cameras(path: Path) -> bool:
    """Whether a path holds cameras in a known format, damaged or not."""
    try:
        find_cameras(path)
    except InputError:
        return False
    return True


def overlap(cameras: Cameras) -> tuple[NDArray[np.bool_], int]:
    """Which views look at the head from near directions, and in how many groups they fall.

    Raises:
        InputError: the optical axes are parallel.
    """
    adjacency = direction_adjacency(cameras, NEIGHBORS, NEAR_DEG)
    groups, _ = connected_components(adjacency, directed=False)
    return adjacency, int(groups)


def _tell_geometry(found: Findings) -> None:
    cameras = found.cameras
    if cameras is None or len(cameras) < 2:
        return
    try:
        center = meeting_point(cameras)
        adjacency, groups = overlap(cameras)
    except InputError:
        found.say("scale", "unknown, as the optical axes are parallel and meet nowhere")
        return
    distances = np.linalg.norm(cameras.centers - center, axis=1)
    found.say(
        "scale",
        f"{distances.min():.3g} to {distances.max():.3g} units from the point that all look at",
    )
    behind = ((center - cameras.centers) * cameras.axes).sum(axis=1) < 0
    if behind.mean() > 0.5:
        found.say(
            "check",
            "most cameras look away from the point where their axes meet; the file may hold"
            " camera-to-world for world-to-camera, or other axes than its format's",
        )
    rays = directions(cameras)
    angles = np.degrees(np.arccos(np.clip(rays @ rays.T, -1, 1)))
    np.fill_diagonal(angles, np.inf)
    nearest = angles.min(axis=1)
    found.say(
        "overlap",
        f"{adjacency.sum(axis=1).mean():.1f} neighbors a view within {NEAR_DEG:g} degrees, in"
        f" {groups} group{'s' if groups > 1 else ''}; the nearest view is"
        f" {np.median(nearest):.1f} degrees away in the middle and {nearest.max():.1f} at most",
    )
    alone = [n for n, row in zip(cameras.names, adjacency, strict=True) if not row.any()]
    found.say("without neighbor", named(alone))


def _images_of(names: list[str], folder: Path) -> dict[str, Path]:
    """The image of each name that has one in the folder or the folder above it."""
    for place in (folder, folder.parent):
        files = {path.relative_to(place).as_posix(): path for path in images_below(place, SUFFIXES)}
        matched = match_files({name: name for name in names}, files, str(place))
        if matched:
            return {name: files[file] for name, file in matched.items()}
    return {}


def _size(path: Path | None) -> tuple[int, int]:
    """Width and height of an image [px]; (1, 1) where there is none or it cannot be read."""
    if path is None:
        return 1, 1
    try:
        with opened_image(path) as image:
            return image.size
    except InputError:
        return 1, 1


def _told_images(names: list[str], images: Mapping[str, Path]) -> str:
    missing = [name for name in names if name not in images]
    if not missing:
        return f"all {len(names)} are there"
    alike = look_alikes(missing, [path.name for path in images.values()])
    return f"{len(missing)} of {len(names)} are missing: {named(missing)}{alike}"


def _told_companions(companions: Companions) -> str:
    """Masks, depth and points that come with the cameras, and what of them is missing."""
    told = []
    for what, files in (("masks", companions.masks), ("depth maps", companions.depths)):
        missing = [path.name for path in files.values() if not path.is_file()]
        if files:
            lack = f" ({len(missing)} missing: {named(missing)})" if missing else ""
            told.append(f"{len(files)} {what}{lack}")
    if companions.points is not None:
        told.append("points" if companions.points.exists() else "points (missing)")
    return ", ".join(told)


def _focal_lengths(lenses: list[Lens]) -> str:
    ratios = [pinhole_matrix(lens)[0, 0] / max(lens.width, lens.height) for lens in lenses]
    if max(max(lens.width, lens.height) for lens in lenses) <= 1:
        return ""
    low, high = min(ratios), max(ratios)
    span = f"{low:.3g}" if high - low < 0.005 else f"{low:.3g} to {high:.3g}"
    return f"{span} times the longer side"


def _distortion(lenses: list[Lens]) -> str:
    count = sum(is_distorted(lens) for lens in lenses)
    return f"{count} of {len(lenses)} views; they are undistorted" if count else "none"


def _pinholes(poses: Mapping[str, GivenPose]) -> Cameras:
    ordered = dict(sorted(poses.items()))
    lenses = [pose.lens for pose in ordered.values()]
    return Cameras(
        tuple(ordered),
        np.array([(lens.width, lens.height) for lens in lenses], dtype=np.int64),
        np.array([pinhole_matrix(lens) for lens in lenses]),
        np.array([pose.world_to_camera for pose in ordered.values()]),
    )


def _common_folder(paths: list[Path]) -> Path:
    parents = {path.parent for path in paths}
    shared = paths[0].parent
    while any(not parent.is_relative_to(shared) for parent in parents):
        shared = shared.parent
    return shared
