"""Meshes of the user's: one NPZ, OBJ or PLY a timestep, or one NPZ for all. No pickle is read."""

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError, first_line
from headstyle.base.files import read_arrays

SUFFIXES = (".npz", ".obj", ".ply")
_NEXT = "write it again with vertices (V, 3) and faces (F, 3), as docs/rigged.md shows"
_NEXT_ALL = "write it again with vertices (T, V, 3) and faces (F, 3), as docs/rigged.md shows"
_MOST_BYTES = 1 << 30

Mesh = tuple[NDArray[np.float32], NDArray[np.int32]]
"""Vertices `(V, 3)` and triangles `(F, 3)`."""


def mesh_files(path: Path) -> dict[int, Path]:
    """The mesh file of each timestep in a folder, by the last number in its name.

    Raises:
        InputError: the folder is missing, holds no mesh, or two of one timestep.
    """
    if not path.is_dir():
        raise InputError(
            f"{path} is no folder of meshes and no NPZ; correct meshes, which names it"
        )
    found: dict[int, Path] = {}
    for file in sorted(path.iterdir()):
        numbers = re.findall(r"\d+", file.stem)
        if file.suffix.lower() not in SUFFIXES or not numbers:
            continue
        timestep = int(numbers[-1])
        if timestep in found:
            raise InputError(
                f"{found[timestep]} and {file.name} are both meshes of timestep {timestep}; remove"
                " one of them"
            )
        found[timestep] = file
    if not found:
        raise InputError(
            f"{path} holds no mesh; it needs one file a timestep, such as 00000.npz, .obj or .ply"
        )
    return found


def read_all_meshes(path: Path, timesteps: Iterable[int]) -> tuple[dict[int, Mesh], str]:
    """Meshes by timestep from one NPZ of all, and what to call them in messages.

    Args:
        path: `vertices` (T, V, 3), `faces` (F, 3), and perhaps `timesteps` (T,).
        timesteps: What the vertices are of, in order, where the file does not tell.

    Raises:
        InputError: the file cannot be read, or has another number of timesteps.
    """
    vertices, faces = read_arrays(path, ("vertices", "faces"), "meshes", _NEXT_ALL)
    order = sorted(timesteps)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if "timesteps" in arrays:
                order = [int(step) for step in arrays["timesteps"].ravel()]
    except ValueError as error:
        raise InputError(f"{path} cannot be read as meshes ({error}); {_NEXT_ALL}") from None
    if vertices.ndim != 3 or len(vertices) != len(order):
        raise InputError(
            f"{path} has vertices of the shape {vertices.shape}, but the frames have {len(order)}"
            f" timesteps ({_some(order)}); add the array timesteps, which says whose they are, or"
            " write one mesh for each"
        )
    return {
        step: _checked(path, points, faces) for step, points in zip(order, vertices, strict=True)
    }, path.name


def read_mesh(path: Path) -> Mesh:
    """One mesh. Polygons become triangles; vertices keep their order.

    Raises:
        InputError: the file cannot be read, or its faces name vertices that it does not have.
    """
    if path.suffix.lower() == ".npz":
        vertices, faces = read_arrays(path, ("vertices", "faces"), "a mesh", _NEXT)
        return _checked(path, vertices, faces)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it has more than 1 GiB")
        read = _read_obj if path.suffix.lower() == ".obj" else _read_ply
        return _checked(path, *read(path))
    except InputError:
        raise
    # What parsers raise on files of other programs.
    except Exception as error:
        raise InputError(
            f"{path} cannot be read as a mesh ({first_line(error)}); {_NEXT}"
        ) from None


def _read_obj(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Positions and triangles of a Wavefront OBJ.

    General readers split vertices at the seams of textures, which changes their order.
    """
    vertices: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(word) for word in words[1:4]])
        elif words[0] == "f":
            corners = [int(word.partition("/")[0]) for word in words[1:]]
            # Counted from 1; below 0 from the last vertex so far.
            corners = [c - 1 if c > 0 else len(vertices) + c for c in corners]
            faces += [(corners[0], *pair) for pair in pairwise(corners[1:])]
    return np.array(vertices), np.array(faces)


def _read_ply(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    from trimesh.exchange.ply import load_ply

    with path.open("rb") as file:
        content = load_ply(file)
    return np.asarray(content["vertices"]), np.asarray(content["faces"])


def _checked(path: Path, vertices: NDArray[Any], faces: NDArray[Any]) -> Mesh:
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or not len(vertices):
        raise InputError(f"{path} has vertices of the shape {vertices.shape}; {_NEXT}")
    if faces.ndim != 2 or faces.shape[1:] != (3,) or not len(faces) or faces.dtype.kind not in "iu":
        raise InputError(f"{path} has faces of the shape {faces.shape}, not triangles; {_NEXT}")
    if not np.isfinite(vertices).all():
        raise InputError(f"{path} has vertices that are not finite; {_NEXT}")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(
            f"{path} has faces that name vertices beyond the {len(vertices)} there are; {_NEXT}"
        )
    return vertices.astype(np.float32), faces.astype(np.int32)


def _some(values: list[int]) -> str:
    return ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")


def check_rigged(section: Mapping[str, Any], prompts: Collection[str]) -> None:
    """Check what the section `rigged` says of its heads, beyond its schema.

    Args:
        section: The section.
        prompts: Those of the study.

    Raises:
        InputError: a head lacks what its source needs or has what it does not take, a path does not
            exist, or a prompt is not one of the study's.
    """
    for name, entry in section["subjects"].items():
        key = f"rigged.subjects.{name}"
        takes = ("frames", "meshes") if entry["source"] == "sequence" else ("seed", "driven_by")
        for other in sorted(set(entry) - {"source", *takes}):
            raise InputError(
                f"{key} has {other}, which the source {entry['source']} does not take; remove it,"
                " or choose the other source"
            )
        for own in takes if entry["source"] == "sequence" else ():
            if own not in entry:
                raise InputError(f"{key} has no {own}; name a path, as docs/rigged.md shows")
            if not Path(entry[own]).exists():
                raise InputError(
                    f"{key}.{own} names {entry[own]}, which does not exist; correct it"
                )
    for prompt in section["prompts"]:
        if prompt not in prompts:
            raise InputError(
                f"rigged.prompts names {prompt!r}, which is not in study.prompts"
                f" ({', '.join(prompts)}); add it there"
            )


def files_of_sequence(frames: str, meshes: str) -> list[str]:
    """The files that a user's sequence is read from, as far as they are there; for a rule."""
    place, source = Path(frames), Path(meshes)
    folder = place if place.is_dir() else place.parent
    found = {place} if place.is_file() else set(folder.glob("transforms*.json"))
    for name in ("images", "fg_masks"):
        found |= set((folder / name).glob("*"))
    found |= {source} if source.is_file() else set(source.glob("*"))
    return sorted(str(path) for path in found if path.is_file())
