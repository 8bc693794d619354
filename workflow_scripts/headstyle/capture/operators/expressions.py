"""Operators that move the face: a smile. The same moves give training heads their expressions."""

from dataclasses import replace

import numpy as np

from headstyle.capture.anatomy import FaceFrame, mouth_line_y
from headstyle.capture.operators.base import Edit, blended, is_part, linear, points_of
from headstyle.capture.shapes import Points, Scalars, smoothstep
from headstyle.capture.surface import MM, HeadSurface, Part

TOOTH = (0.93, 0.91, 0.86)
TOOTH_WIDTH_MM = 7.6
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
    shown = gap * np.float32(np.clip(strength * 1.5, 0, 1))
    albedo[chosen] = blended(albedo[chosen], _teeth(q, frame), shown)
    return replace(surface, vertices=vertices, albedo=albedo)


def mouth_gap(q: Points, frame: FaceFrame) -> Scalars:
    """1 in the groove between the lips, 0 on them, without the corners."""
    t = np.abs(q[:, 0]) / np.float32(frame.mouth_half_width)
    height = np.abs(q[:, 1] - mouth_line_y(q, frame))
    return smoothstep(1.7, 0.9, height) * smoothstep(0.98, 0.8, t) * (q[:, 2] > 60)


def corner_offsets(q: Points, frame: FaceFrame, up_mm: float, out_mm: float) -> Points:
    """Moves that draw the corners of the mouth up and apart [mm]. Shape `(N, 3)`."""
    beside = np.abs(q[:, 0]) - np.float32(frame.mouth_half_width)
    above = q[:, 1] - np.float32(frame.mouth_y)
    weight = np.exp(-((beside / 15) ** 2) - (above / 15) ** 2) * smoothstep(20, 50, q[:, 2])
    offsets = np.outer(weight, np.float32([out_mm, up_mm, -0.35 * up_mm]))
    offsets[:, 0] *= np.sign(q[:, 0])
    return offsets


def parting_offsets(
    q: Points, frame: FaceFrame, gap: Scalars, upper_mm: float, lower_mm: float
) -> Points:
    """Moves that part the lips and set back what shows between them [mm]. Shape `(N, 3)`."""
    t = np.abs(q[:, 0]) / np.float32(frame.mouth_half_width)
    height = q[:, 1] - mouth_line_y(q, frame)
    opening = np.sqrt(np.clip(1 - t * t, 0, 1)) * smoothstep(40, 60, q[:, 2])
    up = upper_mm * smoothstep(0, 1.9, height) * np.exp(-((np.maximum(height, 0) / 14) ** 2))
    down = lower_mm * smoothstep(0, -1.9, height) * np.exp(-((np.minimum(height, 0) / 42) ** 2))
    offsets = np.zeros_like(q)
    offsets[:, 1] = opening * (up - down)
    offsets[:, 2] = -0.35 * (upper_mm + lower_mm) * gap * opening
    return offsets


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


def _teeth(q: Points, frame: FaceFrame) -> Points:
    """The colors of a row of teeth that ends in the dark of the mouth's corners [linear]."""
    t = np.abs(q[:, 0]) / np.float32(frame.mouth_half_width)
    from_seam = np.mod(q[:, 0], TOOTH_WIDTH_MM)
    from_seam = np.minimum(from_seam, TOOTH_WIDTH_MM - from_seam)
    shade = (1 - 0.4 * smoothstep(0.9, 0, from_seam)) * (1 - 0.8 * smoothstep(0.7, 0.95, t))
    return linear(*TOOTH) * shade[:, None].astype(np.float32)
