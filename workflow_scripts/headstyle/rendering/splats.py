"""Splat scenes: made from points, and stored as PLY in the layout of 3D Gaussian splatting.

`headstyle.rendering.splat_files` reads and writes the other formats.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy  # Its parts are loaded when they are asked for.
import torch
from numpy.typing import NDArray

from headstyle.base.errors import InputError, Origin, first_line
from headstyle.base.tables.ply import read_ply_tables, write_ply_tables
from headstyle.rendering.packed_splats import is_packed, unpack
from headstyle.rendering.quantized import SH0
from headstyle.rendering.renderer import Splats, check_splats

logger = logging.getLogger("headstyle")

INITIAL_OPACITY = 0.1
NEIGHBORS = 3

# Columns of the harmonics above the constant one, for degrees 0 to 4; 3 is the renderer's highest.
_REST_COUNTS = (0, 9, 24, 45, 72)
_MOST_BASES = 15
# Thickness of a disk relative to its smaller radius.
_DISK_THICKNESS = 1e-3
_SPLATS = Origin("correct the path", "train or export it again")


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
    distances, _ = scipy.spatial.KDTree(points).query(points, k=NEIGHBORS + 1)
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


def write_ply(
    path: str | Path,
    splats: Splats,
    properties: Mapping[str, NDArray[np.floating]] = MappingProxyType({}),
) -> None:
    """Write a scene in the common 3DGS layout (binary, float32) in one atomic step.

    As in that layout, scales are logarithms and opacities are logits. f_rest holds all values of
    red, then of green, then of blue.

    Args:
        path: The file.
        splats: The scene.
        properties: Further columns after those of the layout, by name; readers that do not know
            them leave them out. Shape `(N,)` each.
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
            *(np.asarray(values, np.float32)[:, None] for values in properties.values()),
        ],
        axis=1,
    )
    names = [*_columns(rest.shape[1]), *properties]
    table = np.empty(count, dtype=[(name, "<f4") for name in names])
    for i, name in enumerate(table.dtype.names or ()):
        table[name] = columns[:, i]
    write_ply_tables(path, {"vertex": table})


def read_ply(path: str | Path) -> Splats:
    """Read a scene in the 3DGS layout, as any program writes it, or a compressed one.

    Harmonics may be missing or of degree 1 to 4, of which the fourth is left out; numbers may be
    doubles, and other properties may stand between. The disks of 2DGS, which have two scales, get
    a third one that is next to nothing. Splats with a number that is not finite are left out; the
    log says how many.

    Raises:
        InputError: the file is missing, is no PLY, is truncated, lacks one of the layout's columns,
            or has no finite splat.
    """
    tables = read_ply_tables(path, _SPLATS)
    if is_packed(tables):
        try:
            return to_splats(only_finite(unpack(tables), path))
        except InputError:
            raise
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read as compressed splats ({first_line(error)});"
                f" {_SPLATS.if_wrong}"
            ) from None
    vertices = tables.get("vertex", np.empty(0, [("none", "f4")]))
    available = set(vertices.dtype.names or ())
    rest = sum(name.startswith("f_rest_") for name in available)
    is_flat = "scale_1" in available and "scale_2" not in available
    optional = {"nx", "ny", "nz", *(["scale_2"] if is_flat else [])}
    missing = [name for name in _columns(rest) if name not in available | optional]
    if missing or rest not in _REST_COUNTS:
        reason = f"column {missing[0]} is missing" if missing else f"{rest} f_rest columns"
        raise InputError(f"{path} is not in the 3DGS layout ({reason}); export it as 3DGS PLY")

    def columns(*names: str) -> NDArray[np.float32]:
        return np.stack([np.asarray(vertices[name], np.float32) for name in names], axis=1)

    count = len(vertices)
    harmonics = np.zeros((count, 0), np.float32)
    if rest:
        harmonics = columns(*(f"f_rest_{i}" for i in range(rest)))
    harmonics = harmonics.reshape(count, 3, rest // 3)[:, :, :_MOST_BASES]
    if rest // 3 > _MOST_BASES:
        logger.warning("%s has harmonics of degree 4, which are left out", path)
    scales = columns("scale_0", "scale_1", *([] if is_flat else ["scale_2"]))
    if is_flat:
        thinnest = scales.min(axis=1, keepdims=True) + np.float32(np.log(_DISK_THICKNESS))
        scales = np.concatenate([scales, thinnest], axis=1)
    arrays = {
        "means": columns("x", "y", "z"),
        "scales": scales,
        "quats": columns("rot_0", "rot_1", "rot_2", "rot_3"),
        "opacities": columns("opacity")[:, 0],
        "sh0": columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None, :],
        "shN": harmonics.transpose(0, 2, 1),
    }
    return to_splats(only_finite(arrays, path))


def only_finite(
    arrays: dict[str, NDArray[np.float32]], path: str | Path
) -> dict[str, NDArray[np.float32]]:
    """The splats of which all numbers are finite; the others are counted in the log.

    Args:
        arrays: Names and shapes of `Splats`.
        path: The file they come from, for messages.

    Raises:
        InputError: none is left.
    """
    count = len(arrays["means"])
    kept = np.ones(count, dtype=bool)
    for name, values in arrays.items():
        # A logit of infinity is an opacity of 0 or 1.
        bad = np.isnan(values) if name == "opacities" else ~np.isfinite(values)
        kept &= ~bad.reshape(count, -1).any(axis=1)
    kept &= np.linalg.norm(arrays["quats"], axis=1) > 0
    if not kept.any():
        raise InputError(f"{path} has no splat with finite numbers; train or export it again")
    if not kept.all():
        logger.warning(
            "%s: %d of %d splats are left out, since their numbers are not finite",
            path,
            count - kept.sum(),
            count,
        )
        return {name: values[kept] for name, values in arrays.items()}
    return arrays


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
