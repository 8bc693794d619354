"""Moves of the face's vertices: a mouth that opens or widens. Lighting comes later."""

import numpy as np

from headstyle.capture.anatomy import FaceFrame, mouth_line_y
from headstyle.capture.primitives.shapes import Points, Scalars, smoothstep

TOOTH = (0.93, 0.91, 0.86)
"""Color of teeth [sRGB]."""
TOOTH_WIDTH_MM = 7.6


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
    offsets = np.outer(weight, np.array([out_mm, up_mm, -0.35 * up_mm], np.float32))
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


def tooth_shade(q: Points, frame: FaceFrame) -> Scalars:
    """How bright teeth are, 0 to 1: a row with seams, in the dark towards the corners."""
    t = np.abs(q[:, 0]) / np.float32(frame.mouth_half_width)
    from_seam = np.mod(q[:, 0], TOOTH_WIDTH_MM)
    from_seam = np.minimum(from_seam, TOOTH_WIDTH_MM - from_seam)
    shade = (1 - 0.4 * smoothstep(0.9, 0, from_seam)) * (1 - 0.8 * smoothstep(0.7, 0.95, t))
    return shade.astype(np.float32)
