"""Signed distance functions (negative inside, millimetres) and the meshes drawn from them.

The formulas are the usual ones of implicit modelling (Quilez, "Distance functions" and "Smooth
minimum").
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes
from trimesh.remesh import subdivide

from headstyle.capture.primitives.kernels import summed_crosses

Points = NDArray[np.floating[Any]]
"""Positions [mm]. Shape `(N, 3)`."""
Scalars = NDArray[np.floating[Any]]
"""One value per point. Shape `(N,)`."""
DistanceFunction = Callable[[Points], Scalars]
Triple = tuple[float, float, float]


def ellipsoid(points: Points, center: Triple, radii: Triple) -> Scalars:
    """Distance to an axis-parallel ellipsoid (exact on it, approximate away from it)."""
    inverse = np.float32(1) / np.array(radii, np.float32)
    # Column by column: numpy is slow along axes of three.
    x, y, z = ((points[:, k] - np.float32(center[k])) * inverse[k] for k in range(3))
    length = np.sqrt(x * x + y * y + z * z)
    x, y, z = x * inverse[0], y * inverse[1], z * inverse[2]
    gradient = np.sqrt(x * x + y * y + z * z)
    return length * (length - 1) / np.maximum(gradient, 1e-6)


def sphere(points: Points, center: Triple, radius: float) -> Scalars:
    """Distance to a sphere."""
    x, y, z = (points[:, k] - np.float32(center[k]) for k in range(3))
    return np.sqrt(x * x + y * y + z * z) - np.float32(radius)


def round_cone(
    points: Points, start: Triple, end: Triple, start_radius: float, end_radius: float
) -> Scalars:
    """Distance to a capsule whose radius grows linearly from start to end."""
    axis = np.array(end, np.float32) - np.array(start, np.float32)
    offset = points - np.array(start, np.float32)
    along = np.clip(offset @ axis / (axis @ axis), 0, 1)
    radius = np.float32(start_radius) + along * np.float32(end_radius - start_radius)
    x, y, z = (offset[:, k] - along * axis[k] for k in range(3))
    return np.sqrt(x * x + y * y + z * z) - radius


def union(first: Scalars, second: Scalars, blend: float) -> Scalars:
    """Union whose seam is rounded over about `blend` millimetres."""
    near = np.maximum(np.float32(blend) - np.abs(first - second), 0) / np.float32(blend)
    return np.minimum(first, second) - near * near * np.float32(blend / 4)


def intersection(first: Scalars, second: Scalars, blend: float) -> Scalars:
    """Intersection whose seam is rounded over about `blend` millimetres."""
    return -union(-first, -second, blend)


def difference(first: Scalars, second: Scalars, blend: float) -> Scalars:
    """What of the first is not in the second, the seam rounded over about `blend` millimetres."""
    return -union(-first, second, blend)


def smoothstep(low: float, high: float, values: Scalars | np.floating[Any]) -> Scalars:
    """0 below `low`, 1 above `high`, smooth between (`low` > `high` turns it around)."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mesh_of(
    distance: DistanceFunction, lower: Triple, upper: Triple, spacing_mm: float, quick: bool = False
) -> tuple[Points, NDArray[np.int64]]:
    """The zero surface of a distance function, with edges of about half of `spacing_mm`.

    Distances are computed on a coarse grid first and at full resolution only near the surface. The
    marching cubes' triangles are split in four and the vertices are pulled onto the surface.
    `quick` does so once, not twice, and takes a narrower band for near.

    Returns:
        Vertices [mm], shape `(V, 3)`, and triangles, counter-clockwise from outside, `(F, 3)`.
    """
    coarse_factor = 4
    low = np.array(lower, np.float32)
    cells = np.ceil((np.array(upper, np.float32) - low) / (spacing_mm * coarse_factor)).astype(int)
    coarse_axes = [np.arange(n + 1) * spacing_mm * coarse_factor for n in cells]
    coarse = distance(_grid_points(coarse_axes) + low).reshape([n + 1 for n in cells])

    shape = tuple(cells * coarse_factor + 1)
    field = ndimage.zoom(coarse, [n / m for n, m in zip(shape, coarse.shape, strict=True)], order=1)
    near = np.abs(field) < (1.5 if quick else 2.5) * coarse_factor * spacing_mm
    field[near] = distance(np.argwhere(near).astype(np.float32) * np.float32(spacing_mm) + low)

    vertices, faces, _, _ = marching_cubes(
        field, 0.0, spacing=(spacing_mm,) * 3, gradient_direction="descent"
    )
    vertices, faces = subdivide(vertices + low, faces)
    vertices = vertices.astype(np.float32)
    faces = faces.astype(np.int64)
    for _ in range(1 if quick else 2):
        step = np.clip(distance(vertices), -spacing_mm / 2, spacing_mm / 2)
        vertices -= step[:, None] * vertex_normals(vertices, faces)
    return vertices, faces


def vertex_normals(vertices: Points, faces: NDArray[np.int64]) -> Points:
    """Area-weighted unit normals of the vertices. Shape `(V, 3)`."""
    normals = summed_crosses(np.ascontiguousarray(vertices), np.ascontiguousarray(faces))
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.maximum(lengths, 1e-12)).astype(np.float32)


def _grid_points(axes: list[NDArray[np.float64]]) -> Points:
    grids = np.meshgrid(*axes, indexing="ij")
    return np.stack(grids, axis=-1).reshape(-1, 3).astype(np.float32)
