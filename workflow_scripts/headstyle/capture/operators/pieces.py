"""Meshes that edits add to a head: leaves (animals' and elves' ears), whiskers, a hat [mm]."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.capture.primitives.shapes import Points, Triple

Mesh = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]
"""Vertices `(V, 3)`, triangles `(F, 3)` and one value per vertex `(V,)`."""

SPACING_MM = 2.2
"""Approximate edge length of added meshes."""


@dataclass(frozen=True)
class Leaf:
    """A pointed, cupped blade that stands on a base, such as an ear."""

    base: Triple
    """Center of the base."""
    direction: Triple
    """Direction from base to tip, of any length."""
    front: Triple
    """Approximate direction that the hollow side faces."""
    length: float
    """Distance from base to tip."""
    half_width: float
    """Half the width at the widest place."""
    fullness: float
    """Position of the widest place between the base (0) and the tip (1), exclusive."""
    cup: float
    """Depth of the hollow at the widest place."""
    bend: float = 0.0
    """How far the tip turns to the front; negative to the back."""
    thickness: float = 2.6
    """Thickness of the blade."""


def leaf_mesh(leaf: Leaf) -> tuple[Points, NDArray[np.int64], NDArray[np.float32]]:
    """Vertices, triangles, and how deep in the hollow each vertex lies, 0 to 1."""
    up = _unit(leaf.direction)
    front = np.asarray(leaf.front, dtype=np.float64)
    front = _unit(front - (front @ up) * up)
    side = np.cross(up, front)
    rings = max(int(leaf.length / SPACING_MM), 12)
    spokes = max(int(4 * leaf.half_width / SPACING_MM), 16)
    t = np.linspace(0, 1, rings)[:, None]
    angle = np.linspace(0, 2 * np.pi, spokes, endpoint=False)[None, :]
    across, facing = np.cos(angle), np.sin(angle)
    # The exponent sets the widest place; the base stays half as wide.
    width = leaf.half_width * np.sin(np.pi * t ** (np.log(0.5) / np.log(leaf.fullness))) ** 0.8
    at_base = 0.6 * leaf.half_width * (1 - t / leaf.fullness)
    width = np.where(t < leaf.fullness, np.maximum(width, at_base), width)
    share = width / leaf.half_width
    depth = leaf.cup * share * (1 - across**2) + leaf.thickness * np.sqrt(share) * -facing
    depth -= leaf.bend * t**2
    vertices = (
        np.asarray(leaf.base)
        + (leaf.length * t * np.ones_like(across))[..., None] * up
        + (width * across)[..., None] * side
        - depth[..., None] * front
    )
    hollow = np.clip(facing * 3, 0, 1) * np.clip((0.86 - np.abs(across)) * 5, 0, 1)
    hollow = hollow * np.clip((0.93 - t) * 8, 0, 1)
    return outward(vertices.reshape(-1, 3), ring_faces(rings, spokes), hollow.ravel())


def whisker_mesh(start: Triple, end: Triple, sag: float, radius: float) -> Mesh:
    """A thin hair from start to end that tapers and hangs by `sag` at its end."""
    rings, spokes = 24, 5
    t = np.linspace(0, 1, rings)[:, None, None]
    first, last = np.asarray(start), np.asarray(end)
    along = _unit(last - first)
    side = _unit(np.cross(along, (0.0, 1.0, 0.0)))
    above = np.cross(side, along)
    angle = (np.arange(spokes) * 2 * np.pi / spokes)[None, :, None]
    around = np.cos(angle) * side + np.sin(angle) * above
    axis = first + t * (last - first) - np.array([0, sag, 0]) * t**2
    vertices = axis + radius * (1 - 0.75 * t) * around
    return outward(vertices.reshape(-1, 3), ring_faces(rings, spokes), np.zeros(rings * spokes))


def ring_faces(rings: int, spokes: int) -> NDArray[np.int64]:
    """Triangles between rings of vertices stored one ring after the other. Shape `(F, 3)`."""
    ring, spoke = np.meshgrid(np.arange(rings - 1), np.arange(spokes), indexing="ij")
    a = (ring * spokes + spoke).ravel()
    b = (ring * spokes + (spoke + 1) % spokes).ravel()
    return np.concatenate(
        [np.stack([a, b, a + spokes], axis=1), np.stack([b, b + spokes, a + spokes], axis=1)]
    )


def outward(vertices: NDArray[Any], faces: NDArray[np.int64], value: NDArray[Any]) -> Mesh:
    """The mesh with its triangles turned so that it encloses a positive volume."""
    a, b, c = (vertices[faces[:, i]] - vertices.mean(axis=0) for i in range(3))
    if np.einsum("ij,ij->", a, np.cross(b, c)) < 0:
        faces = faces[:, ::-1]
    return vertices.astype(np.float32), faces, value.astype(np.float32)


def _unit(vector: Triple | NDArray[np.float64]) -> NDArray[np.float64]:
    vector = np.asarray(vector, dtype=np.float64)
    return vector / np.linalg.norm(vector)
