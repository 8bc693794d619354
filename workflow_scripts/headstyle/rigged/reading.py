"""Sequences of the user's: folders of GaussianAvatars, and a mesh per timestep.

The frames come from `transforms_{train,val,test}.json` with a `timestep_index` and a `camera_index`
each, as GaussianAvatars and VHAP write them. The meshes come as files that hold vertices and faces.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage, write_image
from headstyle.base.progress import progress
from headstyle.importers.cameras.base import GivenPose
from headstyle.importers.cameras.gaussian_avatars import GaussianAvatars
from headstyle.importers.cameras.nerfstudio import frame_images
from headstyle.importers.given_poses import split_names
from headstyle.importers.images import read_picture
from headstyle.importers.lenses import pinhole_of
from headstyle.importers.masks import read_mask_file
from headstyle.rigged.mesh_files import Mesh, mesh_files, read_all_meshes, read_mesh
from headstyle.rigged.sequence import (
    MeshSequence,
    RiggedFrame,
    RiggedSequence,
    Split,
    joined_cameras,
    write_sequence,
)
from headstyle.rigged.temporal_pairs import MovingSurface

LEAST_SEEN = 0.5
"""Of what the cameras see of the mesh, this much must face them and lie in the foreground."""
MIRRORED_BY = 0.1
"""A mesh is mirrored if its mirror image fits the foregrounds better by more than this share."""
_CHECKED_FRAMES = 12
_CHECKED_PX = 96


@dataclass(frozen=True)
class _Listed:
    """A frame as its file tells it, before its image is read."""

    entry: Mapping[str, Any]
    timestep: int
    """As the file counts."""
    camera_index: int
    split: Split
    image: Path

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"frame {self.entry['file_path']!r}"

    @property
    def name(self) -> str:
        """What it is called here."""
        return f"{self.timestep:05d}_{self.camera_index:02d}"


def import_sequence(folder: str | Path, frames: str | Path, meshes: str | Path) -> None:
    """Read a user's sequence, check it, and write it as `write_sequence` does, images as RGBA.

    Args:
        folder: Where to.
        frames: A folder with `transforms_{train,val,test}.json`, or one such file.
        meshes: An NPZ of all timesteps, or a folder with one NPZ, OBJ or PLY for each.

    Raises:
        InputError: a file is missing or damaged, or frames and meshes do not fit together.
    """
    place = Path(frames)
    listed = _listed_frames(place)
    steps = sorted({frame.timestep for frame in listed})
    first = {step: next(f for f in listed if f.timestep == step).label for step in steps}
    vertices, faces = _read_meshes(Path(meshes), first)
    kind = GaussianAvatars()
    masks = kind.companions(place).masks
    with TemporaryDirectory() as pictures:
        paths, sizes = [], {}
        for frame in progress(listed, "frames"):
            name = frame.entry["file_path"]
            image = _read_image(frame, masks.get(name))
            paths.append(Path(pictures) / f"{frame.name}.png")
            write_image(paths[-1], image)
            sizes[name] = (image.shape[1], image.shape[0])
        poses = kind.read(place, sizes)
        sequence = RiggedSequence(
            MeshSequence(vertices, faces),
            tuple(
                RiggedFrame(
                    name=frame.name,
                    timestep=steps.index(frame.timestep),
                    camera_index=frame.camera_index,
                    camera=_camera(frame, poses[frame.entry["file_path"]], sizes),
                    image=path,
                    mask=None,
                    split=frame.split,
                )
                for frame, path in zip(listed, paths, strict=True)
            ),
        )
        check_meshes(sequence, [frame.label for frame in listed])
        write_sequence(folder, sequence)


def _listed_frames(place: Path) -> list[_Listed]:
    kind = GaussianAvatars()
    if not place.exists() or kind.find(place) is None:
        raise InputError(
            f"{place} holds no transforms_train.json whose frames have a timestep_index; name a"
            " folder as GaussianAvatars reads it"
        )
    splits = _splits(place)
    found = []
    for entry in kind.frames(place):
        label = f"{entry['path']}: frame {entry['file_path']!r}"
        numbers = []
        for key in ("timestep_index", "camera_index"):
            value = entry.get(key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise InputError(
                    f"{label} has the {key} {value!r}, not a whole number; export it again"
                )
            numbers.append(value)
        images = frame_images([entry])
        if not images:
            raise InputError(f"{label} has no image; add it, or take the frame out of the file")
        split = splits.get(_plain(entry["file_path"]), "train")
        timestep, camera_index = numbers
        found.append(_Listed(entry, timestep, camera_index, split, images[0]))
    found.sort(key=lambda frame: (frame.timestep, frame.camera_index))
    for frame, other in pairwise(found):
        if frame.name == other.name:
            raise InputError(
                f"{frame.label} and {other.label} of {place} have the same timestep_index and"
                " camera_index; export it again"
            )
    if not any(frame.split == "train" for frame in found):
        raise InputError(f"{place} has no frames to train on; add transforms_train.json")
    return found


def _splits(place: Path) -> dict[str, Split]:
    names = split_names(place)
    chosen: tuple[Split, ...] = ("test", "val", "train")
    return {_plain(name): split for split in chosen for name in names[split]}


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _read_meshes(
    path: Path, frame_of: Mapping[int, str]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Vertices `(T, V, 3)` of the timesteps in `frame_of` and faces `(F, 3)`.

    Args:
        path: The meshes.
        frame_of: The first frame of each timestep, for messages.
    """
    if path.suffix.lower() == ".npz" and path.is_file():
        meshes, label = read_all_meshes(path, frame_of)
        names = {step: f"timestep {step} in {label}" for step in meshes}
    else:
        files = mesh_files(path)
        _check_timesteps(path, files, frame_of)
        meshes = {step: read_mesh(files[step]) for step in progress(sorted(frame_of), "meshes")}
        names = {step: str(file) for step, file in files.items()}
    _check_timesteps(path, meshes, frame_of)
    first, *others = sorted(meshes)
    for step in others:
        _check_same(names[step], meshes[step], names[first], meshes[first], frame_of[step])
    return np.stack([meshes[step][0] for step in sorted(meshes)]), meshes[first][1]


def _check_timesteps(path: Path, found: Mapping[int, Any], frame_of: Mapping[int, str]) -> None:
    """Raise an InputError where a frame has no mesh, or a mesh no frame."""
    missing = [step for step in frame_of if step not in found]
    if missing:
        raise InputError(
            f"{path} has no mesh for {len(missing)} of {len(frame_of)} timesteps, first timestep"
            f" {missing[0]} of {frame_of[missing[0]]}; add it, or take its frames out of the"
            " transforms"
        )
    unseen = sorted(set(found) - set(frame_of))
    if unseen:
        raise InputError(
            f"{path} has a mesh for timestep {unseen[0]}, which no camera shows"
            f" ({len(unseen)} such timesteps; the last frame is {frame_of[max(frame_of)]}); remove"
            " it, or add its frames to the transforms"
        )


def _check_same(name: str, mesh: Mesh, first_name: str, first: Mesh, frame: str) -> None:
    """Raise an InputError where a mesh has other triangles than the first, or is its mirror."""
    if len(mesh[0]) != len(first[0]) or not np.array_equal(mesh[1], first[1]):
        raise InputError(
            f"{name}, the mesh of {frame}, has {len(mesh[0])} vertices and {len(mesh[1])} faces in"
            f" another order than {first_name} with {len(first[0])} and {len(first[1])}; all"
            " timesteps need the same triangles, so track them with one topology"
        )
    points, others = (v.astype(np.float64) - v.mean(axis=0) for v in (mesh[0], first[0]))
    if np.linalg.det(points.T @ others) < 0:
        raise InputError(
            f"{name}, the mesh of {frame}, is the mirror image of {first_name}; write both in the"
            " same axes"
        )


def check_meshes(sequence: RiggedSequence, labels: Sequence[str]) -> None:
    """Check that the cameras see the meshes from outside, and where the foregrounds are.

    Args:
        sequence: Frames whose images have alpha.
        labels: What messages call the frames.

    Raises:
        InputError: normals point inwards, or the mesh is mirrored or elsewhere in the world.
    """
    spread = np.linspace(0, len(sequence.frames) - 1, _CHECKED_FRAMES).round().astype(int)
    places = sorted(set(spread.tolist()))
    frames = [sequence.frames[place] for place in places]
    facing, inside = zip(*_seen(sequence.meshes, frames), strict=True)
    worst = labels[places[int(np.argmin(np.nan_to_num(inside, nan=-1)))]]
    if np.isnan(inside).all():
        raise InputError(
            f"no camera has the mesh in its image, first {labels[0]}; write meshes and cameras in"
            " the same world and unit"
        )
    if np.nanmean(facing) < LEAST_SEEN:
        raise InputError(
            f"{labels[places[0]]} sees the mesh from inside, as its normals point inwards: the"
            " mesh is mirrored, or its triangles turn clockwise; write them counter-clockwise seen"
            " from outside"
        )
    share = float(np.nanmean(inside))
    for axis in range(3):
        flip = np.ones(3, np.float32)
        flip[axis] = -1
        mirrored = MeshSequence(sequence.meshes.vertices * flip, sequence.meshes.faces[:, ::-1])
        other = [value for _, value in _seen(mirrored, frames)]
        if not np.isnan(other).all() and np.nanmean(other) > share + MIRRORED_BY:
            raise InputError(
                f"the mesh is mirrored along {'xyz'[axis]}: {share:.0%} of it lies in the"
                f" foreground of the images, but {np.nanmean(other):.0%} of its mirror image"
                f" ({worst} fits worst); write meshes and cameras in the same axes"
            )
    if share < LEAST_SEEN:
        raise InputError(
            f"only {share:.0%} of the mesh lies in the foreground of the images ({worst} fits"
            " worst); write meshes and cameras in the same world and unit, and check the masks"
        )


def _seen(meshes: MeshSequence, frames: Sequence[RiggedFrame]) -> Iterator[tuple[float, float]]:
    """Per frame, the part of what it sees of the mesh that faces it, and that lies in front of the
    foreground; NaN where it sees nothing of the mesh."""
    cameras = joined_cameras(frames)
    factors = np.minimum(1, _CHECKED_PX / cameras.sizes.max(axis=1, keepdims=True))
    sizes = np.maximum(1, np.rint(cameras.sizes * factors)).astype(np.int64)
    surface = MovingSurface(
        meshes, [frame.timestep for frame in frames], cameras.scaled(sizes), depth_tolerance=0.01
    )
    for place, frame in enumerate(frames):
        triangles, towards = surface.facing(place)
        rows, columns = np.nonzero(triangles)
        if not len(rows):
            yield np.nan, np.nan
            continue
        alpha = read_picture(frame.image).rgba()[..., 3]
        scale = np.array(alpha.shape) / triangles.shape
        y = ((rows + 0.5) * scale[0]).astype(int)
        x = ((columns + 0.5) * scale[1]).astype(int)
        yield float(towards[triangles].mean()), float((alpha[y, x] > FOREGROUND_ALPHA).mean())


def _camera(frame: _Listed, pose: GivenPose, sizes: Mapping[str, tuple[int, int]]) -> Cameras:
    size = sizes[frame.entry["file_path"]]
    pinhole = pinhole_of(pose.lens, size)
    if pinhole.distorted is not None:
        raise InputError(
            f"{frame.entry['path']}: {frame.label} has a lens with distortion; undistort the images"
            " before the meshes are tracked"
        )
    return Cameras(
        (frame.name,), np.array([size]), pinhole.matrix[None], pose.world_to_camera[None]
    )


def _read_image(frame: _Listed, mask: Path | None) -> RgbaImage:
    """Straight colors and alpha: the image's own, else its mask's."""
    picture = read_picture(frame.image)
    image = picture.rgba()
    if picture.shown_alpha is not None:
        return image
    if mask is None or not mask.is_file():
        what = "no mask" if mask is None else f"the mask {mask}, which does not exist"
        raise InputError(
            f"{frame.label} has no alpha and {what}; write RGBA images, or name a mask in its"
            " fg_mask_path"
        )
    alpha = read_mask_file(mask).astype(np.float32) / np.float32(255)
    if alpha.shape != image.shape[:2]:
        raise InputError(
            f"{mask} is {alpha.shape[1]}x{alpha.shape[0]} px, but the image of {frame.label} is"
            f" {image.shape[1]}x{image.shape[0]} px; write them in one size"
        )
    return np.dstack([_off_white(image[..., :3], alpha), alpha])


def _off_white(colors: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colors without the white that a soft edge has mixed in, where the background is white."""
    behind = colors[alpha == 0]
    if not len(behind) or (behind > 0.98).all(axis=1).mean() < 0.95:
        return colors
    share = np.maximum(alpha, 1e-3)[..., None]
    return np.clip((colors - (1 - alpha[..., None])) / share, 0, 1).astype(np.float32)
