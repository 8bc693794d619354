"""The operator that moves the face: a smile."""

from dataclasses import replace

import numpy as np

from headstyle.capture.anatomy import FaceFrame
from headstyle.capture.mouth import (
    TOOTH,
    corner_offsets,
    mouth_gap,
    parting_offsets,
    tooth_shade,
)
from headstyle.capture.operators.base import Edit, blended, is_part, linear, points_of
from headstyle.capture.primitives.shapes import Points, smoothstep
from headstyle.capture.surface import MM, HeadSurface, Part

UPPER_LIFT_MM = 2.6
LOWER_DROP_MM = 6.0
"""How far the lips part from the line between them."""


def smile(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P8: corners of the mouth up and out, cheeks and lower lids up, teeth between the lips."""
    strength, frame = edit.strength, surface.frame
    p = points_of(surface)
    near = (np.abs(p[:, 0]) < 78) & (p[:, 1] > -125) & (p[:, 1] < 0) & (p[:, 2] > 5)
    near &= is_part(surface, Part.SKIN, Part.LIPS, Part.BEARD, Part.BROW)
    chosen = np.flatnonzero(near)
    q = p[chosen]
    gap = mouth_gap(q, frame)
    offsets = corner_offsets(q, frame, 9.5 * strength, 6.0 * strength)
    offsets += parting_offsets(q, frame, gap, UPPER_LIFT_MM * strength, LOWER_DROP_MM * strength)
    offsets += strength * _cheek_offsets(q, frame)
    vertices = surface.vertices.copy()
    vertices[chosen] += offsets.astype(np.float64) * MM

    albedo = surface.albedo.copy()
    teeth = linear(*TOOTH) * tooth_shade(q, frame)[:, None]
    shown = gap * np.float32(np.clip(strength * 1.5, 0, 1))
    albedo[chosen] = blended(albedo[chosen], teeth, shown)
    return replace(surface, vertices=vertices, albedo=albedo)


def _cheek_offsets(q: Points, frame: FaceFrame) -> Points:
    x = np.abs(q[:, 0])
    cheek = np.exp(-(((x - 41) / 17) ** 2) - ((q[:, 1] + 32) / 15) ** 2)
    # The fold between cheek and mouth deepens.
    fold = np.exp(-(((x - 31) / 5) ** 2) - ((q[:, 1] - frame.mouth_y - 12) / 12) ** 2)
    eye_x, eye_y, _ = frame.eye
    lid = np.exp(-(((x - eye_x) / 13) ** 2) - ((q[:, 1] - eye_y + 9) / 5) ** 2)
    front = smoothstep(15, 45, q[:, 2])
    offsets = np.zeros_like(q)
    offsets[:, 0] = 2.0 * cheek * np.sign(q[:, 0])
    offsets[:, 1] = 4.0 * cheek + 1.8 * lid
    offsets[:, 2] = 5.0 * cheek - 2.2 * fold
    return offsets * (front * smoothstep(0, -6, q[:, 1]))[:, None]
