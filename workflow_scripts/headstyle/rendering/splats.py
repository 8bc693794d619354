"""Splat scenes: made from points, and stored as PLY in the layout of 3D Gaussian splatting."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyParseError
from scipy.spatial import KDTree

from headstyle.base.errors import InputError
from headstyle.base.files import whole_file
from headstyle.rendering.renderer import Splats, check_splats

# The constant basis: a color c is stored as (c - 1/2) / SH0.
SH0 = 0.28209479177387814
INITIAL_OPACITY = 0.1
NEIGHBORS = 3


def splats_from_points(
    points: NDArray[np.floating],
    colors: NDArray[np.floating],
    sh_degree: int,
    seed: int,
    min_count: int = 0,
) -> Splats:
    """Start a scene with one round splat per point, as large as the distance to its neighbors.

    Args:
        points: Positions in the world. Shape `(N, 3)`.
        colors: Their colors in [0, 1]. Shape `(N, 3)`.
        sh_degree: Highest degree of the harmonics to make room for, 0 to 3.
        seed: Seed of the random orientations and of the added points.
        min_count: Smallest number of splats. If there are fewer points, copies are added, each
            moved by about the distance to its neighbors.

    Returns:
        Trainable float32 tensors on the CPU. Scales are the root mean square distance to the
        three nearest neighbors; opacities are 0.1.

    Raises:
        InputError: there are fewer than four points, or positions that are not finite.
    """
    points = np.asarray(points, dtype=np.float64)
    colors = np.asarray(colors, dtype=np.float64)
    if len(points) <= NEIGHBORS:
        raise InputError(
            f"a scene needs more than {NEIGHBORS} points to start from, got {len(points)}; "
            "check the poses' sparse reconstruction and the masks"
        )
    if points.shape != colors.shape or points.shape[1:] != (3,):
        raise ValueError(f"points {points.shape} and colors {colors.shape} are not both (N, 3)")
    if not np.isfinite(points).all():
        raise InputError("the points to start from are not all finite; estimate the poses again")
    generator = np.random.default_rng(seed)
    points, colors = _add_copies(points, colors, min_count, generator)
    spacing = neighbor_distances(points)
    count, bases = len(points), (sh_degree + 1) ** 2
    logit = float(np.log(INITIAL_OPACITY / (1 - INITIAL_OPACITY)))
    return to_splats(
        {
            "means": points,
            "scales": np.repeat(np.log(spacing)[:, None], 3, axis=1),
            "quats": generator.normal(size=(count, 4)),
            "opacities": np.full(count, logit),
            "sh0": (colors[:, None, :] - 0.5) / SH0,
            "shN": np.zeros((count, bases - 1, 3)),
        }
    )


def neighbor_distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square distance of each point to its three nearest neighbors. Shape `(N,)`."""
    distances, _ = KDTree(points).query(points, k=NEIGHBORS + 1)
    spacing = np.sqrt(np.mean(distances[:, 1:] ** 2, axis=1))
    # Several points at one place would become splats of size zero.
    return np.maximum(spacing, 1e-4 * np.median(spacing) + 1e-12)


def to_splats(arrays: dict[str, NDArray[np.floating]]) -> Splats:
    """Trainable float32 tensors of a scene's arrays (names and shapes of `Splats`)."""
    return Splats(
        {
            name: torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(array, np.float32)))
            for name, array in arrays.items()
        }
    )


def write_ply(path: str | Path, splats: Splats) -> None:
    """Write a scene in the common 3DGS layout (binary, float32) in one atomic step.

    As in that layout, scales are logarithms and opacities are logits. f_rest holds all values of
    red, then of green, then of blue.
    """
    check_splats(splats)
    arrays = {name: value.detach().cpu().numpy() for name, value in splats.items()}
    count = len(arrays["means"])
    rest = arrays["shN"].transpose(0, 2, 1).reshape(count, -1)
    columns = np.concatenate(
        [
            arrays["means"],
            np.zeros((count, 3), np.float32),
            arrays["sh0"].reshape(count, 3),
            rest,
            arrays["opacities"][:, None],
            arrays["scales"],
            arrays["quats"],
        ],
        axis=1,
    )
    table = np.empty(count, dtype=[(name, "<f4") for name in _columns(rest.shape[1])])
    for i, name in enumerate(table.dtype.names or ()):
        table[name] = columns[:, i]
    with whole_file(path) as partial:
        PlyData([PlyElement.describe(table, "vertex")], byte_order="<").write(partial)


def write_splat(path: str | Path, splats: Splats) -> None:
    """Write a scene in the `.splat` format of web viewers (gsplat's exporter) in one atomic step.

    A splat takes 32 bytes: position and size as float32, color, opacity and rotation as 8-bit
    numbers. Colors that depend on the direction are left out.
    """
    from gsplat import export_splats

    check_splats(splats)
    tensors = {name: value.detach().cpu() for name, value in splats.items()}
    content = export_splats(**tensors, format="splat")
    with whole_file(path) as partial:
        partial.write_bytes(content)


def read_ply(path: str | Path) -> Splats:
    """Read a scene in the common 3DGS layout; harmonics of degree 0 to 3.

    Raises:
        InputError: the file is missing, is no PLY, or lacks one of the layout's columns.
    """
    try:
        vertices = PlyData.read(path)["vertex"]
    except (OSError, PlyParseError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a PLY of splats ({error}); train or export it again"
        ) from None
    available = {prop.name for prop in vertices.properties}
    rest = sum(name.startswith("f_rest_") for name in available)
    missing = [n for n in _columns(rest) if n not in available and n not in ("nx", "ny", "nz")]
    if missing or rest not in (0, 9, 24, 45):
        reason = f"column {missing[0]} is missing" if missing else f"{rest} f_rest columns"
        raise InputError(f"{path} is not in the 3DGS layout ({reason}); export it as 3DGS PLY")

    def columns(*names: str) -> NDArray[np.float32]:
        return np.stack([np.asarray(vertices[name], np.float32) for name in names], axis=1)

    count = len(vertices)
    harmonics = np.zeros((count, 0), np.float32)
    if rest:
        harmonics = columns(*(f"f_rest_{i}" for i in range(rest)))
    return to_splats(
        {
            "means": columns("x", "y", "z"),
            "scales": columns("scale_0", "scale_1", "scale_2"),
            "quats": columns("rot_0", "rot_1", "rot_2", "rot_3"),
            "opacities": columns("opacity")[:, 0],
            "sh0": columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None, :],
            "shN": harmonics.reshape(count, 3, rest // 3).transpose(0, 2, 1),
        }
    )


def _columns(rest: int) -> list[str]:
    return [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{i}" for i in range(rest)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]


def _add_copies(
    points: NDArray[Any],
    colors: NDArray[Any],
    min_count: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    missing = min_count - len(points)
    if missing <= 0:
        return points, colors
    chosen = generator.integers(len(points), size=missing)
    spread = neighbor_distances(points)[chosen, None]
    moved = points[chosen] + spread * generator.normal(size=(missing, 3)) / np.sqrt(3)
    return np.concatenate([points, moved]), np.concatenate([colors, colors[chosen]])
