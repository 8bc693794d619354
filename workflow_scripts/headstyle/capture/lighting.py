"""A photo studio for diffuse surfaces: the light at each vertex, shadows included.

Diffuse light looks the same from everywhere, so it is computed once per head and not once per
photograph.
"""

from typing import Any

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from scipy import sparse

from headstyle.capture.primitives.shapes import vertex_normals

KEY_DIRECTION = (-0.70, 0.62, 0.70)
KEY_COLOR = (0.84, 0.80, 0.74)
FILL_DIRECTION = (0.92, 0.20, 0.40)
FILL_COLOR = (0.30, 0.31, 0.33)
SKY_COLOR = (0.36, 0.37, 0.39)
FLOOR_COLOR = (0.19, 0.17, 0.16)
KEY_SOFTNESS = 0.22
"""Radius of the key light, divided by its distance."""
AMBIENT_RAYS = 5
KEY_RAYS = 3
OFFSET = 0.0012
"""Rays start this far above the surface [m]."""


def irradiance(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    albedo: NDArray[np.float32],
    seed: int = 0,
) -> NDArray[np.float32]:
    """Light arriving at each vertex: soft key, fill, and ambient light with occlusion.

    Args:
        vertices: Positions [m]. Shape `(V, 3)`.
        faces: Triangles. Shape `(F, 3)`.
        albedo: Linear reflectances. Light between the walls of a crevice depends on them. Shape
            `(V, 3)`.
        seed: Seed of the ray directions.

    Returns:
        Linear light, 1 for white in full light. Shape `(V, 3)`.
    """
    scene = EmbreeScene()
    TriangleMesh(scene, vertices.astype(np.float32), faces.astype(np.int32))
    normals = vertex_normals(vertices.astype(np.float32), faces)
    starts = (vertices + OFFSET * normals).astype(np.float32)
    rng = np.random.default_rng(seed)
    average = _neighbor_average(faces, len(vertices))

    open_sky = np.zeros(len(vertices))
    lit = np.zeros(len(vertices))
    for _ in range(AMBIENT_RAYS):
        # A random point of the unit sphere around the normal's tip gives cosine-weighted rays.
        open_sky += _unoccluded(scene, starts, normals + _unit(rng.normal(size=normals.shape)))
    for _ in range(KEY_RAYS):
        jitter = KEY_SOFTNESS * _unit(rng.normal(size=normals.shape))
        lit += _unoccluded(scene, starts, _unit(KEY_DIRECTION) + jitter)
    # Few rays per vertex give noisy light, so average over the neighbours.
    for _ in range(6):
        open_sky, lit = average @ open_sky, average @ lit
    open_sky = (open_sky / AMBIENT_RAYS)[:, None]
    lit = (lit / KEY_RAYS)[:, None]

    # Light between the walls of a crevice ("multi-bounce", Jimenez et al. 2016).
    open_sky = open_sky / (1 - 0.9 * albedo * (1 - open_sky))
    up = 0.5 + 0.5 * normals[:, 1:2]
    ambient = open_sky * (up * SKY_COLOR + (1 - up) * np.array(FLOOR_COLOR))
    key = lit * _lambert(normals, KEY_DIRECTION) * KEY_COLOR
    fill = open_sky * _lambert(normals, FILL_DIRECTION) * FILL_COLOR
    return (ambient + key + fill).astype(np.float32)


def _lambert(normals: NDArray[np.float32], direction: tuple[float, float, float]) -> NDArray[Any]:
    return np.maximum(normals @ _unit(direction), 0)[:, None]


def _unit(vectors: NDArray[Any] | tuple[float, float, float]) -> NDArray[np.float64]:
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _unoccluded(
    scene: EmbreeScene, starts: NDArray[np.float32], directions: NDArray[Any]
) -> NDArray[Any]:
    directions = np.ascontiguousarray(_unit(directions), dtype=np.float32)
    return scene.run(starts, directions, query="OCCLUDED") != 0


def _neighbor_average(faces: NDArray[np.int64], count: int) -> sparse.csr_matrix:
    """The matrix that averages each vertex with its neighbours. Shape `(V, V)`."""
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    ones = np.ones(2 * len(starts) + count, dtype=np.float32)
    rows = np.concatenate([starts, ends, np.arange(count)])
    columns = np.concatenate([ends, starts, np.arange(count)])
    matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(count, count))
    return sparse.diags(1 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix
