"""Heads as opaque discs (surfels, Pfister et al. 2000), one per vertex, in 16 bytes each.

Worker processes make them, so nothing here needs torch or a GPU.
"""

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from headstyle.base.images import to_srgb
from headstyle.capture.head import sculpt_head
from headstyle.capture.operators import COLORS, OPERATORS, STUDY_OPERATORS, Edit, edit_surface
from headstyle.capture.primitives.shapes import vertex_normals
from headstyle.capture.surface import HeadSurface, Part
from numpy.typing import NDArray
from scipy import sparse

POSITION_STEP_M = 2e-5
"""One step of a stored coordinate: 16 bits reach 0.65 m either way."""
SPACING_STEP_M = 1e-6
GEOMETRY = np.dtype(
    [("position", "<i2", 3), ("spacing", "<u2"), ("normal", "i1", 3), ("openness", "u1")]
)
PAINT = np.dtype([("srgb", "u1", 3), ("part", "u1")])
OPENNESS_RAYS = 4
OPENNESS_SMOOTHINGS = 6
RAY_OFFSET_M = 0.0012
STUDY_EDITS = 3
"""Edits of each head by the study's operators; one more is an everyday recoloring."""

COLOR_GROUPS: tuple[tuple[Part, ...], ...] = (
    (Part.SKIN, Part.LIPS),
    (Part.HAIR, Part.BROW, Part.BEARD),
    (Part.SHIRT,),
)
"""Parts whose colors may be varied together, unless an edit paints one of them."""


@dataclass(frozen=True)
class Surfels:
    """One version of a head."""

    geometry: NDArray[np.void]
    """Where the discs are, by `GEOMETRY`: position, spacing of the neighbors (0 is no disc), normal
    in 1/127, and the part of the sky that the vertex sees in 1/255. Shape `(V,)`."""
    paint: NDArray[np.void]
    """Albedo [sRGB, 0 to 255] and `Part`, by `PAINT`. Shape `(V,)`."""


@dataclass(frozen=True)
class EditedSurfels:
    """A true edit of a head."""

    edit: Edit
    geometry: NDArray[np.void] | None
    """None where the edit only paints: the discs are where they were."""
    paint: NDArray[np.void]
    free_groups: tuple[bool, ...]
    """For each of `COLOR_GROUPS`, whether the edit leaves its colors alone."""


@dataclass(frozen=True)
class PackedHead:
    """A head and a few true edits of it."""

    seed: int
    original: Surfels
    edits: tuple[EditedSurfels, ...]


def draw_edits(seed: int) -> tuple[Edit, ...]:
    """Which edits of a head are made: a few of the study's operators and an everyday recoloring.

    Seeds in a row take turns, so that all operators come equally often. Most edits have full
    strength, some 0.4 to 1.2 of it.
    """
    rng = np.random.default_rng([20_241, seed])
    study = tuple(STUDY_OPERATORS.values())
    everyday = tuple(name for name in OPERATORS if name not in study)
    first = STUDY_EDITS * seed
    operators = [study[(first + i) % len(study)] for i in range(STUDY_EDITS)]
    operators.append(everyday[seed % len(everyday)])
    edits = []
    for operator in operators:
        strength = 1.0 if rng.random() < 0.7 else float(rng.uniform(0.4, 1.2))
        color = str(rng.choice(list(COLORS))) if OPERATORS[operator].takes_color else None
        edits.append(Edit(operator, strength, color))
    return tuple(edits)


def pack_head(seed: int, coarseness: float) -> PackedHead:
    """Sculpt the head of a seed and the edits that the seed draws.

    Args:
        seed: 1 or more; `draw_edits(seed)` tells the edits.
        coarseness: As in `sculpt_head`.
    """
    surface = sculpt_head(seed, coarseness)
    original = Surfels(pack_geometry(surface), pack_paint(surface))
    edits = []
    for edit in draw_edits(seed):
        changed = edit_surface(surface, edit)
        stays = np.array_equal(changed.vertices, surface.vertices)
        stays &= np.array_equal(changed.faces, surface.faces)
        geometry = None if stays else pack_geometry(changed)
        paint = pack_paint(changed)
        edits.append(EditedSurfels(edit, geometry, paint, free_groups(original.paint, paint)))
    return PackedHead(seed, original, tuple(edits))


def pack_geometry(surface: HeadSurface) -> NDArray[np.void]:
    """Positions, spacings, normals and openness as bytes. Shape `(V,)`, of `GEOMETRY`."""
    normals = vertex_normals(surface.vertices.astype(np.float32), surface.faces)
    openness = sky_openness(surface.vertices, surface.faces, normals)
    packed = np.zeros(len(surface.vertices), dtype=GEOMETRY)
    limit = np.iinfo(np.int16).max
    packed["position"] = np.clip(np.rint(surface.vertices / POSITION_STEP_M), -limit, limit)
    steps = vertex_spacing(surface.vertices, surface.faces) / SPACING_STEP_M
    # Below 2^15, so that a signed integer of the same size holds it too.
    packed["spacing"] = np.minimum(np.rint(steps), limit)
    packed["normal"] = np.rint(normals * 127)
    packed["openness"] = np.rint(openness * 255)
    return packed


def pack_paint(surface: HeadSurface) -> NDArray[np.void]:
    """Colors and parts as bytes. Shape `(V,)`, of `PAINT`."""
    packed = np.zeros(len(surface.vertices), dtype=PAINT)
    packed["srgb"] = np.rint(to_srgb(surface.albedo) * 255)
    packed["part"] = surface.parts
    return packed


def free_groups(original: NDArray[np.void], edited: NDArray[np.void]) -> tuple[bool, ...]:
    """Which of `COLOR_GROUPS` keep every color; an edit appends vertices and removes none."""
    shared = edited[: len(original)]
    touched = (original["srgb"] != shared["srgb"]).any(axis=1)
    touched |= original["part"] != shared["part"]
    painted = np.unique(np.concatenate([original["part"][touched], shared["part"][touched]]))
    return tuple(not np.isin(group, painted).any() for group in COLOR_GROUPS)


def vertex_spacing(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """Root mean square length of the edges that meet at each vertex [m]. Shape `(V,)`.

    0 where there is none: an edit that hides a vertex takes its faces away.
    """
    following = np.roll(faces, -1, axis=1)
    squares = ((vertices[faces] - vertices[following]) ** 2).sum(axis=2).ravel()
    count = len(vertices)
    total = np.bincount(faces.ravel(), squares, count)
    total += np.bincount(following.ravel(), squares, count)
    # Every corner of a triangle ends two of its edges.
    ends = 2 * np.bincount(faces.ravel(), minlength=count)
    return np.sqrt(total / np.maximum(ends, 1))


def sky_openness(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    normals: NDArray[np.float32],
    seed: int = 0,
) -> NDArray[np.float64]:
    """Cosine-weighted part of each vertex's sky that the head leaves open, in [0, 1].

    A few rays per vertex, averaged with those of its neighbors.
    """
    scene = EmbreeScene()
    TriangleMesh(scene, vertices.astype(np.float32), faces.astype(np.int32))
    starts = (vertices + RAY_OFFSET_M * normals).astype(np.float32)
    rng = np.random.default_rng(seed)
    openness = np.zeros(len(vertices))
    for _ in range(OPENNESS_RAYS):
        # Cosine-weighted: a point of the unit sphere around the normal's tip.
        sphere = rng.standard_normal(normals.shape, dtype=np.float32)
        sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
        # Embree answers 0 where something is hit.
        openness += scene.run(starts, normals + sphere, query="OCCLUDED") != 0
    openness /= OPENNESS_RAYS
    average = _neighbor_average(faces, len(vertices))
    for _ in range(OPENNESS_SMOOTHINGS):
        openness = average @ openness
    return np.clip(openness, 0, 1)


def _neighbor_average(faces: NDArray[np.int64], count: int) -> sparse.csr_matrix:
    """The matrix that averages each vertex with its neighbors. Shape `(V, V)`."""
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    rows = np.concatenate([starts, ends, np.arange(count)])
    columns = np.concatenate([ends, starts, np.arange(count)])
    ones = np.ones(len(rows), dtype=np.float32)
    matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(count, count))
    return sparse.diags(1 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix
