"""Which of the cameras that the user gives belongs to which photograph or render."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.cameras import OPENGL_FROM_OPENCV, Cameras
from headstyle.base.errors import InputError
from headstyle.importers.cameras import GivenPose, find_cameras
from headstyle.importers.cameras.base import read_json_of_user
from headstyle.importers.lenses import Lens, has_shape, pinhole_of
from headstyle.importers.listing import look_alikes, match_files

logger = logging.getLogger("headstyle")

AXES = ("opengl", "opencv")
"""Camera axes: x right, y up, z backward; and x right, y down, z forward."""
LEAST_SHARE = 0.5
"""If fewer photographs have a given pose, their names are probably not those of the poses."""


SPLITS = ("train", "val", "test")
"""Parts of a data set: to train on, to choose settings by, and to score."""


@dataclass(frozen=True)
class SceneCameras:
    """Cameras of images, as pinholes."""

    cameras: Cameras
    """The pinholes, for the images after undistortion."""
    distorted: Mapping[str, Lens]
    """The lens, at the image's size, of each view whose image must be undistorted first."""
    axes: str
    """Camera axes that the file was read with, one of `AXES`."""
    unused: tuple[str, ...]
    """Names in the file that belong to no view."""


def read_given_poses(
    path: str | Path,
    photograph_sizes: Mapping[str, tuple[int, int]],
    photographs: Mapping[str, str | Path] | None = None,
    least_share: float = LEAST_SHARE,
) -> dict[str, GivenPose]:
    """Known poses of photographs, by view.

    Args:
        path: A file or folder in one of the formats of `headstyle.importers.cameras`.
        photograph_sizes: Width and height of each view's photograph [px] as it is stored, used
            where the file gives no size.
        photographs: Their paths by view; by default they are called as the views.
        least_share: The share of the views that must have a pose.

    Raises:
        InputError: the file cannot be read, is incomplete, or has poses for too few of the views.
    """
    kind, place = find_cameras(path)
    names = kind.names(place)
    views = photographs or {view: view for view in photograph_sizes}
    matched = match_files(views, names, str(place))
    if len(matched) < max(2, least_share * len(views) - 1e-9):
        missing = [Path(views[view]).name for view in views if view not in matched]
        alike = look_alikes(missing, set(names) - set(matched.values()))
        raise InputError(
            f"{place} has poses for {len(matched)} of the {len(views)} views, and"
            f" {len(names) - len(matched)} for other images{alike}; its image names must be those"
            " of the photographs (poses.min_registered is the share of them that need a pose)"
        )
    sizes = {name: photograph_sizes[view] for view, name in matched.items()}
    poses = kind.read(place, sizes)
    return {view: poses[name] for view, name in matched.items() if name in poses}


def held_out_views(path: str | Path, views: Sequence[str]) -> list[str]:
    """The views that are in the data set's validation or test split, not in its training split.

    Splits are files `transforms_{train,val,test}.json` (NeRF, GaussianAvatars), or the lists
    `{train,val,test}_filenames` in transforms.json (nerfstudio).

    Args:
        path: The cameras of the subject, as the column `poses` names them.
        views: All views.

    Raises:
        InputError: the data set has no splits, or all views are in one.
    """
    if not path:
        raise InputError(
            "baseline.holdout is splits, but the subject has no poses of its own; name cameras with"
            " splits in the column poses, or set baseline.holdout to a number or to names"
        )
    names = split_names(path)
    if not names["train"] or not (names["val"] or names["test"]):
        raise InputError(
            f"{path} tells no views to train on and others to hold out (transforms_train.json and"
            " transforms_test.json, or train_filenames and test_filenames in transforms.json); set"
            " baseline.holdout to a number or to names"
        )
    offered = {name: split for split in SPLITS for name in names[split]}
    matched = match_files({view: view for view in views}, offered, str(path))
    held = [view for view in views if view in matched and offered[matched[view]] != "train"]
    if not held or len(held) == len(views):
        raise InputError(
            f"{path}: its splits hold out {len(held)} of the {len(views)} views; set"
            " baseline.holdout to a number or to names"
        )
    return held


def split_names(path: str | Path) -> dict[str, list[str]]:
    """Names of the images of each split, as the files give them; empty lists without splits."""
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    found: dict[str, list[str]] = {split: [] for split in SPLITS}
    whole = folder / "transforms.json" if path.is_dir() else path
    if whole.is_file() and whole.suffix.lower() == ".json":
        content = read_json_of_user(whole)
        for split in SPLITS:
            names = content.get(f"{split}_filenames") if isinstance(content, dict) else None
            found[split] = [_plain(name) for name in names or [] if isinstance(name, str)]
    if any(found.values()):
        return found
    for split in SPLITS:
        file = folder / f"transforms_{split}.json"
        if file.is_file():
            found[split] = [_plain(name) for name in _file_paths(read_json_of_user(file))]
    # A view in several files is one to train on.
    for split in ("val", "test"):
        found[split] = [name for name in found[split] if name not in found["train"]]
    return found


def read_scene_cameras(
    path: str | Path,
    sizes: Mapping[str, tuple[int, int]],
    axes: str | None = None,
    images: Mapping[str, str | Path] | None = None,
) -> SceneCameras:
    """The cameras of the views in `sizes`, for images of these sizes.

    Args:
        path: A file or folder in one of the formats of `headstyle.importers.cameras`.
        sizes: Width and height of each view's image [px]. An image smaller or larger than its
            camera by one factor scales the camera.
        axes: The file's camera axes, one of `AXES`; by default those of its format.
        images: Path of each view's image; by default they are called as the views.

    Returns:
        The cameras in the order of `sizes`.

    Raises:
        InputError: the file cannot be read, lacks a view, has another aspect ratio than a view's
            image, or a lens that no pinhole can stand for.
    """
    kind, place = find_cameras(path)
    names = kind.names(place)
    images = images or {view: view for view in sizes}
    matched = match_files(images, names, str(place))
    used = set(matched.values())
    alike = look_alikes((v for v in sizes if v not in matched), (n for n in names if n not in used))
    matched = matched or _by_order(images, names, place)
    # A broken file is told before what is missing from it.
    poses = kind.read(
        place, {matched[view]: size for view, size in sizes.items() if view in matched}
    )
    missing = [view for view in sizes if view not in matched or matched[view] not in poses]
    if missing:
        raise InputError(
            f"{place} has no camera for {len(missing)} of {len(sizes)} images, first"
            f" {missing[0]!r}{alike}; add it, or take the image out of the renders"
        )
    pinholes = {}
    for view, size in sizes.items():
        name = matched[view]
        lens = poses[name].lens
        if not has_shape(lens, size):
            raise InputError(
                f"the image of {Path(name).stem!r} is {size[0]}x{size[1]} px but its camera in"
                f" {place} is {lens.width}x{lens.height} px; give the camera of the image as it is"
            )
        try:
            pinholes[view] = pinhole_of(lens, size)
        except InputError as error:
            raise InputError(f"{place}, {name!r}: {error}") from None
    world_to_camera = np.array([poses[matched[view]].world_to_camera for view in sizes])
    if axes and axes != kind.axes:
        world_to_camera = OPENGL_FROM_OPENCV @ world_to_camera
    cameras = Cameras(
        tuple(sizes),
        np.array(list(sizes.values()), dtype=np.int64),
        np.array([pinhole.matrix for pinhole in pinholes.values()]),
        world_to_camera,
    )
    distorted = {view: p.distorted for view, p in pinholes.items() if p.distorted is not None}
    unused = sorted(set(names) - set(matched.values()))
    return SceneCameras(cameras, distorted, axes or kind.axes, tuple(unused))


def _by_order(
    images: Mapping[str, str | Path], names: Sequence[str], place: Path
) -> dict[str, str]:
    """Renders that are only numbered, matched with as many cameras by their order."""
    stems = {view: Path(path).stem for view, path in images.items()}
    if not all(re.fullmatch(r"\d+", stem) for stem in stems.values()):
        return {}
    if len(names) != len(images):
        raise InputError(
            f"{place} has {len(names)} cameras but there are {len(images)} numbered images, so"
            " their order tells nothing; name the images as their cameras"
        )
    ordered = sorted(images, key=lambda view: int(stems[view]))
    logger.warning(
        "the images are numbered and %s names others: they are matched by order, %s to %s up to %s"
        " to %s",
        place,
        Path(images[ordered[0]]).name,
        names[0],
        Path(images[ordered[-1]]).name,
        names[-1],
    )
    return dict(zip(ordered, names, strict=True))


def _file_paths(content: Any) -> list[str]:
    frames = content.get("frames") if isinstance(content, dict) else None
    entries = frames if isinstance(frames, list) else []
    paths = [entry.get("file_path") for entry in entries if isinstance(entry, dict)]
    return [path for path in paths if isinstance(path, str)]


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")
