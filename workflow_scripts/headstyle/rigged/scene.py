"""The scene of a head that moves: bound splats, where they are at a timestep, and their file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headstyle.base.errors import InputError, result_in_folder, result_of
from headstyle.base.files import whole_folder
from headstyle.base.images import RgbaImage, read_rgba, write_image
from headstyle.base.tables.ply import read_ply_tables
from headstyle.rendering.renderer import Splats, render_views
from headstyle.rendering.splats import read_ply, write_ply
from headstyle.rigged.binding import TriangleFrames, to_world, triangle_frames
from headstyle.rigged.sequence import (
    DRIVEN,
    SPLITS,
    MeshSequence,
    RiggedFrame,
    RiggedSequence,
    read_sequence,
)

TRIANGLE = "triangle"
"""Column of a scene's file: the number of the triangle that a splat is bound to."""
_ORIGIN = result_of("train_rigged or stylize_rigged")


@dataclass(frozen=True)
class RiggedScene:
    """Splats in the frames of a mesh's triangles."""

    splats: Splats
    """Names and shapes of `Splats`; positions and extents in units of a triangle's scale."""
    triangles: Tensor
    """The triangle of each splat. Shape `(N,)`, int64."""

    def to(self, device: str | torch.device) -> "RiggedScene":
        """The same on a device."""
        moved = {k: torch.nn.Parameter(v.detach().to(device)) for k, v in self.splats.items()}
        return RiggedScene(Splats(moved), self.triangles.to(device))

    @torch.no_grad()
    def at(self, frames: TriangleFrames) -> Splats:
        """The splats in the world, where the triangles of one timestep take them."""
        placed = to_world(dict(self.splats.items()), frames, self.triangles)
        return Splats({name: torch.nn.Parameter(value) for name, value in placed.items()})


def frames_of(meshes: MeshSequence, device: str | torch.device = "cpu") -> TriangleFrames:
    """The triangles' frames at all timesteps, with a leading axis T."""
    vertices, faces = torch.from_numpy(meshes.vertices), torch.from_numpy(meshes.faces)
    return triangle_frames(vertices, faces).to(device)


def render_frames(
    scene: RiggedScene, frames: Iterable[RiggedFrame], triangles: TriangleFrames
) -> Iterator[tuple[RiggedFrame, RgbaImage, np.ndarray, np.ndarray]]:
    """Render what each frame's camera sees at the frame's timestep.

    Args:
        scene: The bound splats; their device renders.
        frames: What to render.
        triangles: The frames of the mesh's triangles at all timesteps, on the same device.

    Yields:
        The frame, its image with straight alpha `(H, W, 4)`, median and expected depth `(H, W)`.
    """
    timestep, placed = -1, Splats()
    for frame in frames:
        if frame.timestep != timestep:
            timestep, placed = frame.timestep, scene.at(triangles.at(frame.timestep))
        ((_, image, median, expected),) = render_views(placed, frame.camera)
        yield frame, image, median, expected


def write_frames(
    scene: RiggedScene,
    folders: Mapping[str, Sequence[RiggedFrame]],
    triangles: Mapping[str, TriangleFrames],
    renders: str | Path,
    depth: str | Path,
) -> None:
    """Render to `renders/{split}/{frame}.png` and `depth/{split}/{frame}.npz`, each in one step.

    The depth files hold `median` and `expected`: z as float32, 0 where there is no surface.

    Args:
        scene: The bound splats; their device renders.
        folders: The frames of each split.
        triangles: For each split the frames of the mesh's triangles at all timesteps.
        renders: Folder of the images.
        depth: Folder of the depth files.
    """
    with whole_folder(renders) as images, whole_folder(depth) as depths:
        for split, frames in folders.items():
            (images / split).mkdir()
            (depths / split).mkdir()
            for frame, image, median, expected in render_frames(scene, frames, triangles[split]):
                write_image(images / split / f"{frame.name}.png", image)
                path = depths / split / f"{frame.name}.npz"
                np.savez_compressed(path, median=median, expected=expected)


def write_all_frames(
    scene: RiggedScene,
    sequence: RiggedSequence,
    driven: RiggedSequence | None,
    renders: str | Path,
    depth: str | Path,
) -> None:
    """Render all frames of a head: images to `renders/{split}/{frame}.png`, depth as `.npz`.

    The frames of another head's motion, which have no truth, go to the split `driven`.

    Args:
        scene: The bound splats; their device renders.
        sequence: The head.
        driven: The same head, moved by another one.
        renders: Folder of the images.
        depth: Folder of the depth files.
    """
    device = scene.splats["means"].device
    folders: dict[str, Sequence[RiggedFrame]] = {
        split: frames for split in SPLITS if (frames := sequence.of_split(split))
    }
    triangles = dict.fromkeys(folders, frames_of(sequence.meshes, device))
    if driven is not None:
        folders[DRIVEN] = driven.frames
        triangles[DRIVEN] = frames_of(driven.meshes, device)
    write_frames(scene, folders, triangles, renders, depth)


def read_driven(folder: str | Path) -> RiggedSequence | None:
    """The sequence inside of a sequence's folder, where another head moves this one; may be none.

    Raises:
        InputError: it is damaged.
    """
    inner = Path(folder) / DRIVEN
    return read_sequence(inner) if inner.is_dir() else None


def write_scene(path: str | Path, scene: RiggedScene) -> None:
    """Write bound splats as PLY in the 3DGS layout, with the column `triangle`.

    Other programs see the splats as they lie in their triangles' frames, which is no head.
    """
    write_ply(path, scene.splats, {TRIANGLE: scene.triangles.cpu().numpy()})


def read_scene(path: str | Path, meshes: MeshSequence) -> RiggedScene:
    """Read bound splats.

    Raises:
        InputError: the file is missing or damaged, has no column `triangle`, or is bound to a mesh
            with more triangles.
    """
    splats = read_ply(path)
    table = read_ply_tables(path, _ORIGIN)["vertex"]
    if TRIANGLE not in (table.dtype.names or ()) or len(table) != len(splats["means"]):
        raise InputError(f"{path} holds no splats bound to a mesh; {_ORIGIN.if_wrong}")
    triangles = torch.from_numpy(table[TRIANGLE].astype(np.int64))
    if triangles.min() < 0 or triangles.max() >= len(meshes.faces):
        raise InputError(
            f"{path} is bound to triangle {int(triangles.max())}, but the mesh has"
            f" {len(meshes.faces)}; {_ORIGIN.if_wrong}"
        )
    return RiggedScene(splats, triangles)


def frame_image(frame: RiggedFrame) -> RgbaImage:
    """A frame's image with straight alpha, that of its mask where it has one.

    Raises:
        InputError: a file is missing, cannot be decoded, or has another size than its camera.
    """
    image = read_rgba(frame.image)
    width, height = frame.camera.sizes[0].tolist()
    if image.shape[:2] != (height, width):
        raise _of_another_size(frame.image, image, width, height)
    if frame.mask is not None:
        mask = read_rgba(frame.mask)
        if mask.shape[:2] != (height, width):
            raise _of_another_size(frame.mask, mask, width, height)
        image = np.concatenate([image[..., :3], mask[..., :1]], axis=2)
    return image


def _of_another_size(path: Path, image: RgbaImage, width: int, height: int) -> InputError:
    found = f"{image.shape[1]}x{image.shape[0]}"
    again = result_in_folder(path).if_wrong
    return InputError(f"{path} is {found} px but its camera says {width}x{height} px; {again}")
