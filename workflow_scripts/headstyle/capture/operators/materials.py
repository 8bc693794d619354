"""Operators that change what a head is made of: stone, oil paint, plastic."""

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from headstyle.capture.operators.base import (
    Albedo,
    Edit,
    blended,
    linear,
    luminance,
    noise_of,
    points_of,
)
from headstyle.capture.primitives.shapes import Points, Scalars, smoothstep, vertex_normals
from headstyle.capture.surface import MM, HeadSurface, Part

STONE = (0.60, 0.60, 0.595)
STONE_ROUGHNESS_MM = 0.5

STROKE_WIDTH_MM = 5.6
STROKE_STRETCH = 0.16
"""Factor that shortens the coordinate along a stroke."""
STROKE_RELIEF_MM = 0.7
STROKE_DIRECTIONS = np.array(
    [p for p in product((-1, 0, 1), repeat=3) if p > (0, 0, 0)],
    np.float32,
)
"""Thirteen directions, one of each pair of opposite ones."""
STROKE_DIRECTIONS /= np.linalg.norm(STROKE_DIRECTIONS, axis=1, keepdims=True)
PALETTE = (
    (0.05, 0.08, 0.28),
    (0.08, 0.22, 0.55),
    (0.12, 0.45, 0.55),
    (0.45, 0.62, 0.32),
    (0.88, 0.68, 0.18),
    (0.97, 0.86, 0.42),
    (0.98, 0.95, 0.80),
)
"""The palette from shadow to light [sRGB]: night blues, green, ochre, yellow, cream."""
PAINTERS_LIGHT = (-0.55, 0.55, 0.63)

PLASTIC = (0.80, 0.80, 0.82)
PLASTIC_SHARE = 0.62
"""Part of each part's color that the plain material replaces."""
SMOOTHINGS = 10


def stone(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P3: grey stone throughout, eyes and clothes too, with speckles, veins and a rough face."""
    noise, p = noise_of(surface.who.seed), points_of(surface)
    mottled = noise.fractal(p, 45, 3, 1)
    grain = noise(p, 3.4, 2)
    vein = smoothstep(0.10, 0.02, np.abs(noise(p, 70, 3) + 0.25 * noise(p, 14, 4)))
    specks = smoothstep(1.7, 2.2, noise(p, 4.6, 5))
    # Keep a trace of the old brightness, so that brows and lips stay visible as if carved.
    brightness = luminance(surface.albedo)
    trace = np.clip(brightness / max(float(np.median(brightness)), 1e-3), 0, 1.5) ** 0.5
    tone = (0.78 + 0.22 * trace) * (1 + 0.10 * mottled + 0.13 * grain)
    tone *= (1 - 0.42 * vein) * (1 - 0.5 * specks)
    target = linear(*STONE) * np.clip(tone, 0.15, 1.8)[:, None]
    albedo = blended(surface.albedo, target, edit.strength)
    rough = STONE_ROUGHNESS_MM * edit.strength * (0.6 * grain - 1.2 * specks)
    normals = vertex_normals(p, surface.faces)
    return replace(
        surface, albedo=albedo, vertices=surface.vertices + (rough * MM)[:, None] * normals
    )


def van_gogh(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P6: oil paint. Strokes of a vivid palette lie on the surface and swirl around it.

    Each stroke is noise stretched along one of thirteen directions: the one nearest to a smooth
    field of tangents. So a stroke keeps its place on the surface in every view.
    """
    noise, p = noise_of(surface.who.seed), points_of(surface)
    normals = vertex_normals(p, surface.faces)
    swirl = np.stack([noise(p, 120, offset) for offset in (31, 32, 33)], axis=1)
    swirl += np.array([0.3, 0.6, 0.2], np.float32)
    tangent = np.cross(normals, swirl)
    along = STROKE_DIRECTIONS[np.abs(tangent @ STROKE_DIRECTIONS.T).argmax(axis=1)]
    shortened = np.einsum("ij,ij->i", p, along)[:, None] * along
    drawn_out = p - np.float32(1 - STROKE_STRETCH) * shortened
    stroke = noise(drawn_out, STROKE_WIDTH_MM, 34)
    fine = noise(drawn_out, 0.5 * STROKE_WIDTH_MM, 35)

    light = normals @ np.array(PAINTERS_LIGHT, np.float32)
    tone = luminance(surface.albedo) ** np.float32(0.4545)
    tone = 0.08 + 0.58 * tone + 0.24 * light + 0.14 * stroke + 0.05 * fine
    target = 0.58 * _palette(tone) + 0.42 * _vivid(surface.albedo)
    target *= np.exp(np.float32(0.16) * fine + np.float32(0.12) * stroke)[:, None]
    albedo = blended(surface.albedo, target.astype(np.float32), edit.strength)
    relief = STROKE_RELIEF_MM * edit.strength * np.clip(0.7 * stroke + 0.4 * fine, -2, 2)
    relief = np.where(surface.parts == Part.EYE, 0, relief)
    return replace(
        surface, albedo=albedo, vertices=surface.vertices + (relief * MM)[:, None] * normals
    )


def plastic(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P7: a plain 3D model. One smooth pale material, each part a single washed-out tint."""
    plain = linear(*PLASTIC)
    albedo = surface.albedo.copy()
    for part in Part:
        chosen = surface.parts == part
        if not chosen.any():
            continue
        # Eyes stay painted, so that the model has a gaze.
        tint = albedo[chosen] if part == Part.EYE else np.median(albedo[chosen], axis=0)
        share = 0.6 * PLASTIC_SHARE if part == Part.EYE else PLASTIC_SHARE
        target = tint + np.float32(share) * (plain - tint)
        albedo[chosen] = blended(albedo[chosen], target, edit.strength)
    vertices = _smoothed(surface, min(edit.strength, 1.5))
    return replace(surface, vertices=vertices, albedo=albedo)


def _palette(tone: Scalars) -> Albedo:
    """The palette's color of each tone, 0 for the darkest and 1 for the lightest [linear]."""
    colors = np.stack([linear(*color) for color in PALETTE])
    places = np.linspace(0.05, 0.95, len(PALETTE))
    return np.stack([np.interp(tone, places, colors[:, k]) for k in range(3)], axis=1).astype(
        np.float32
    )


def _vivid(albedo: Albedo) -> Albedo:
    """Colors twice as far from grey."""
    grey = luminance(albedo)[:, None]
    return np.clip(grey + 2.0 * (albedo - grey), 0, 1)


def _smoothed(surface: HeadSurface, strength: float) -> NDArray[np.float64]:
    """Vertices moved towards the repeated average of their neighbors, except eyeballs. `(V, 3)`."""
    faces, count = surface.faces, len(surface.vertices)
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    ones = np.ones(len(starts), dtype=np.float32)
    links = sparse.csr_matrix((ones, (starts, ends)), shape=(count, count))
    degree = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1)[:, None]
    smooth: Points = surface.vertices.astype(np.float32)
    for _ in range(SMOOTHINGS):
        smooth = (links @ smooth) / degree
    change = smooth - surface.vertices
    change[surface.parts == Part.EYE] = 0
    return surface.vertices + strength * change
