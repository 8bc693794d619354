"""A head that moves: images of several cameras at several timesteps, and a mesh per timestep.

On disk a sequence is a folder: `sequence.json` (frames and cameras), `meshes.npz` (`vertices` and
`faces`), `images/{frame}.png` and `masks/{frame}.png`.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras, check_view_name
from headstyle.base.errors import InputError, Origin, result_of
from headstyle.base.files import read_arrays, read_json, whole_folder, write_json
from headstyle.base.settings import Setting

SETTINGS = (
    Setting(
        "subjects",
        {},
        {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9-]*$"},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["source"],
                "properties": {
                    "source": {"enum": ["synthetic", "sequence"]},
                    "seed": {"type": "integer", "minimum": 1},
                    "driven_by": {"type": "integer", "minimum": 1},
                    "frames": {"type": "string", "minLength": 1},
                    "meshes": {"type": "string", "minLength": 1},
                },
            },
        },
        meaning="Heads that move. `{source: synthetic, seed, driven_by}` is a procedural head and "
        "the head whose motion moves it, too. `{source: sequence, frames, meshes}` is a folder of "
        "GaussianAvatars and its meshes.",
    ),
    Setting(
        "prompts",
        [],
        {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
        meaning="Prompts of the study by which moving heads are stylized.",
    ),
)
Split = Literal["train", "val", "test"]
"""train: to fit to. val: cameras held out (a novel view). test: timesteps held out (a novel
expression)."""
SPLITS: tuple[Split, ...] = get_args(Split)
DRIVEN = "driven"
"""Folder inside of a sequence's with another sequence: the same head, moved by another one."""
_ORIGIN = result_of("import_sequence or synthesize_sequence")


@dataclass(frozen=True)
class MeshSequence:
    """One mesh that moves. Its triangles are the same at every timestep."""

    vertices: NDArray[np.float32]
    """Positions in the world. Shape `(T, V, 3)`."""
    faces: NDArray[np.int32]
    """Triangles, counter-clockwise seen from outside. Shape `(F, 3)`."""

    def __post_init__(self) -> None:
        if self.vertices.ndim != 3 or self.vertices.shape[2] != 3 or not self.vertices.size:
            raise ValueError(f"vertices is {self.vertices.shape}, expected (T, V, 3)")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or not self.faces.size:
            raise ValueError(f"faces is {self.faces.shape}, expected (F, 3)")
        if self.faces.min() < 0 or self.faces.max() >= self.vertices.shape[1]:
            raise ValueError(f"faces name vertices beyond the {self.vertices.shape[1]} there are")

    def __len__(self) -> int:
        """Number of timesteps."""
        return len(self.vertices)


@dataclass(frozen=True)
class RiggedFrame:
    """One image: what one camera sees at one timestep."""

    name: str
    """File stem of the image, and the name of its camera."""
    timestep: int
    """Place of its mesh in `MeshSequence.vertices`."""
    camera_index: int
    """Which camera took it. The same camera has the same index at all timesteps."""
    camera: Cameras
    """Its camera alone, under the frame's name; see `joined_cameras` for those of several."""
    image: Path
    """RGBA, or RGB on white with a mask beside it."""
    mask: Path | None
    """Foreground in white; None where the image has an alpha channel."""
    split: Split
    """What the frame is for."""

    def __post_init__(self) -> None:
        if self.camera.names != (self.name,):
            raise ValueError(f"the frame {self.name!r} has the cameras {self.camera.names}")
        if self.split not in SPLITS:
            raise ValueError(f"the frame {self.name!r} has the split {self.split!r}")


@dataclass(frozen=True)
class RiggedSequence:
    """The frames of one head, and its meshes."""

    meshes: MeshSequence
    """A mesh per timestep."""
    frames: tuple[RiggedFrame, ...]
    """Sorted by timestep, then camera. Every timestep of a mesh has a frame."""

    def __post_init__(self) -> None:
        names = [frame.name for frame in self.frames]
        if len(set(names)) != len(names):
            raise ValueError("frame names are not unique")
        for frame in self.frames:
            if not 0 <= frame.timestep < len(self.meshes):
                raise ValueError(f"the frame {frame.name!r} has no mesh: timestep {frame.timestep}")

    def of_split(self, *splits: Split) -> tuple[RiggedFrame, ...]:
        """The frames of some splits, in order."""
        return tuple(frame for frame in self.frames if frame.split in splits)

    def at(self, timestep: int) -> tuple[RiggedFrame, ...]:
        """The frames of one timestep, in order."""
        return tuple(frame for frame in self.frames if frame.timestep == timestep)


def joined_cameras(frames: Iterable[RiggedFrame]) -> Cameras:
    """The cameras of several frames, named as they, in their order."""
    cameras = [frame.camera for frame in frames]
    return Cameras(
        tuple(name for camera in cameras for name in camera.names),
        np.concatenate([camera.sizes for camera in cameras]),
        np.concatenate([camera.intrinsics for camera in cameras]),
        np.concatenate([camera.world_to_camera for camera in cameras]),
    )


def write_sequence(
    folder: str | Path, sequence: RiggedSequence, driven: RiggedSequence | None = None
) -> None:
    """Write a sequence's folder, whole or not at all. Images and masks are copied.

    Args:
        folder: Where to.
        sequence: The head.
        driven: The same head, moved by another one: for the folder `driven` inside.
    """
    with whole_folder(folder) as partial:
        _write(partial, sequence)
        if driven is not None:
            (partial / DRIVEN).mkdir()
            _write(partial / DRIVEN, driven)


def _write(folder: Path, sequence: RiggedSequence) -> None:
    frames = []
    for frame in sequence.frames:
        entry: dict[str, Any] = {
            "name": frame.name,
            "timestep": frame.timestep,
            "camera_index": frame.camera_index,
            "split": frame.split,
        }
        for key, path in (("image", frame.image), ("mask", frame.mask)):
            entry[key] = None if path is None else f"{key}s/{frame.name}{path.suffix.lower()}"
            if path is not None:
                target = folder / entry[key]
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        width, height = frame.camera.sizes[0].tolist()
        entry |= {
            "width": width,
            "height": height,
            "K": frame.camera.intrinsics[0].tolist(),
            "world_to_camera": frame.camera.world_to_camera[0].tolist(),
        }
        frames.append(entry)
    np.savez(
        folder / "meshes.npz",
        vertices=sequence.meshes.vertices.astype(np.float32),
        faces=sequence.meshes.faces.astype(np.int32),
    )
    convention = "OpenCV axes (x right, y down, z forward), pixel centres at +0.5"
    write_json(folder / "sequence.json", {"convention": convention, "frames": frames})


def read_sequence(folder: str | Path) -> RiggedSequence:
    """Read a sequence's folder.

    Raises:
        InputError: a file is missing or damaged, or frames and meshes do not fit together.
    """
    folder = Path(folder)
    path = folder / "sequence.json"
    content = read_json(path, _ORIGIN)
    meshes = _read_meshes(folder / "meshes.npz", _ORIGIN)
    try:
        frames = tuple(_frame(folder, entry) for entry in content["frames"])
        return RiggedSequence(meshes, frames)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path} is not the frames of a sequence ({error}); {_ORIGIN.if_wrong}"
        ) from None


def _read_meshes(path: Path, origin: Origin) -> MeshSequence:
    vertices, faces = read_arrays(
        path, ("vertices", "faces"), "the meshes of a sequence", origin.if_wrong
    )
    try:
        return MeshSequence(vertices.astype(np.float32), faces.astype(np.int32))
    except ValueError as error:
        raise InputError(
            f"{path} is not the meshes of a sequence ({error}); {origin.if_wrong}"
        ) from None


def _frame(folder: Path, entry: dict[str, Any]) -> RiggedFrame:
    name = entry["name"]
    check_view_name(name)
    paths: Sequence[str | None] = (entry["image"], entry["mask"])
    for inner in paths:
        if inner is not None:
            check_view_name(inner)
    camera = Cameras(
        (name,),
        np.array([(entry["width"], entry["height"])], dtype=np.int64),
        np.array([entry["K"]], dtype=np.float64),
        np.array([entry["world_to_camera"]], dtype=np.float64),
    )
    mask = None if entry["mask"] is None else folder / entry["mask"]
    return RiggedFrame(
        name,
        int(entry["timestep"]),
        int(entry["camera_index"]),
        camera,
        folder / entry["image"],
        mask,
        entry["split"],
    )
