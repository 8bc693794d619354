"""A head that moves: its mouth, brows and lids, and its pose, as moves of the vertices at rest.

A move depends on where a vertex lies on the head at rest, and on its part. So a fine and a coarse
mesh of one head move alike, and a vertex is the same point of the surface at every timestep.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstyle.capture.anatomy import EYEBALL_RADIUS_MM, LID_THICKNESS_MM, FaceFrame
from headstyle.capture.mouth import TOOTH, corner_offsets, mouth_gap, parting_offsets, tooth_shade
from headstyle.capture.operators.base import blended, is_part, linear, points_of
from headstyle.capture.primitives.shapes import Points, Scalars, smoothstep
from headstyle.capture.surface import MM, HeadSurface, Part

NECK_MM = (0.0, -100.0, -30.0)
"""The point about which the head turns."""
STILL_MM, TURNED_MM = -190.0, -105.0
"""Below the first height nothing turns; above the second, all does."""
CLOSED = 0.96
"""How much of the way to the lower lid the upper one goes at most."""


@dataclass(frozen=True)
class Expression:
    """What a head does at one timestep. All zeros are the head at rest."""

    jaw_mm: float = 0.0
    """How far the lips part."""
    smile: float = 0.0
    """How far the corners of the mouth are drawn up, 0 to 1."""
    brow_mm: float = 0.0
    """How far the brows rise; below 0 they sink."""
    blink: float = 0.0
    """How far the upper lids close, 0 to 1."""
    yaw_deg: float = 0.0
    """Turn to the viewer's right."""
    pitch_deg: float = 0.0
    """Nod down."""
    roll_deg: float = 0.0
    """Tilt to the viewer's left."""


def motion_of(seed: int, timesteps: int) -> tuple[Expression, ...]:
    """What the head of a seed does. Other seeds do the same things, more or less and otherwise.

    Args:
        seed: 1 or more.
        timesteps: How many moments of it; the first is the head at rest.
    """
    rng = np.random.default_rng([seed, 4711])
    times = np.arange(timesteps) / timesteps
    jaw, smile, brow, yaw, pitch, roll = rng.uniform(0.7, 1.0, 6)
    yaw, pitch, roll = (size * rng.choice([-1, 1]) for size in (yaw, pitch, roll))
    talking, nodding = rng.permutation([2, 3])
    parted = np.sin(np.pi * talking * times) ** 2
    return tuple(
        Expression(
            jaw_mm=float(11 * jaw * parted[i]),
            smile=float(smile * np.sin(np.pi * t) ** 2),
            brow_mm=float(4 * brow * np.sin(2 * np.pi * t)),
            # Twice, so that a blink is in what is held out and in what is not.
            blink=float(np.sin(2 * np.pi * t) ** 4),
            yaw_deg=float(13 * yaw * np.sin(2 * np.pi * t)),
            pitch_deg=float(6 * pitch * np.sin(np.pi * nodding * t)),
            roll_deg=float(6 * roll * np.sin(4 * np.pi * t)),
        )
        for i, t in enumerate(times)
    )


def with_mouth_inside(surface: HeadSurface) -> HeadSurface:
    """The surface with teeth and darkness painted into the groove between the lips."""
    p = points_of(surface)
    skin = np.flatnonzero(is_part(surface, Part.SKIN, Part.LIPS, Part.BEARD))
    inside = linear(*TOOTH) * (0.5 * tooth_shade(p[skin], surface.frame))[:, None]
    albedo = surface.albedo.copy()
    albedo[skin] = blended(albedo[skin], inside, mouth_gap(p[skin], surface.frame))
    return replace(surface, albedo=albedo)


def moved_vertices(surface: HeadSurface, expression: Expression) -> NDArray[np.float64]:
    """The vertices [m] of the head at rest, moved. Shape `(V, 3)`."""
    p = points_of(surface)
    face = np.flatnonzero(is_part(surface, Part.SKIN, Part.LIPS, Part.BEARD, Part.BROW))
    q = p[face]
    moved = p.astype(np.float64)
    moved[face] += _face_offsets(q, surface.frame, expression)
    moved[face] += _lid_offsets(q, surface.frame, CLOSED * expression.blink)
    return _turned(moved, expression) * MM


def _face_offsets(q: Points, frame: FaceFrame, expression: Expression) -> Points:
    smile, jaw = expression.smile, expression.jaw_mm
    offsets = corner_offsets(q, frame, 8.0 * smile, 5.0 * smile)
    offsets += parting_offsets(q, frame, mouth_gap(q, frame), 0.15 * jaw, 0.85 * jaw)
    x = np.abs(q[:, 0])
    front = smoothstep(15, 45, q[:, 2])
    cheek = np.exp(-(((x - 41) / 17) ** 2) - ((q[:, 1] + 32) / 15) ** 2) * front
    offsets += np.outer(cheek, [0.0, 3.0 * smile, 4.0 * smile])
    brow = np.exp(-(((x - 30) / 24) ** 2) - ((q[:, 1] - 26) / 13) ** 2) * front
    offsets[:, 1] += expression.brow_mm * brow
    return offsets


def _lid_offsets(q: Points, frame: FaceFrame, closed: float) -> Points:
    """The upper lid slides down over the eyeball, as far as the lower lid's edge [mm]."""
    center = np.array(frame.eye, np.float32) * np.array([1, 1, 1], np.float32)
    offset = q - center
    x = np.abs(q[:, 0]) - center[0]
    offset[:, 0] = x
    upper, lower = lid_edges(x, frame)
    radius = np.linalg.norm(offset, axis=1)
    y = offset[:, 1]
    above = smoothstep(9, 0.5, y - upper) * smoothstep(0.35, 0.65, (y - lower) / (upper - lower))
    on_lid = smoothstep(EYEBALL_RADIUS_MM + LID_THICKNESS_MM + 5, EYEBALL_RADIUS_MM + 2.5, radius)
    on_lid *= (offset[:, 2] > 0) & (np.abs(x) < frame.eye_half_width)
    new_y = y - closed * (upper - lower) * above * on_lid
    # Along the sphere about the eyeball's center on which the point lies.
    depth = np.sqrt(np.maximum(radius**2 - x**2 - new_y**2, 0))
    offsets = np.zeros_like(q)
    offsets[:, 1] = new_y - y
    offsets[:, 2] = np.where(on_lid > 0, depth - np.maximum(offset[:, 2], 0), 0)
    return offsets


def lid_edges(x: Scalars, frame: FaceFrame) -> tuple[Scalars, Scalars]:
    """Heights of the upper and the lower lid's edge above the eye's center, x beside it [mm]."""
    half = np.float32(frame.eye_half_width)
    inner = np.clip(x, -half, half)
    edges = []
    for height, sign in ((frame.eye_upper, 1), (frame.eye_lower, -1)):
        radius = (half**2 + height**2) / (2 * height)
        arc = np.sqrt(radius**2 - inner**2) - (radius - height)
        edges.append(sign * np.maximum(arc, 0.05) + np.float32(0.07) * x)
    return edges[0], edges[1]


def _turned(points: NDArray[np.float64], expression: Expression) -> NDArray[np.float64]:
    """The head turned about the neck [mm]; the turn fades out down the neck."""
    share = smoothstep(STILL_MM, TURNED_MM, points[:, 1]).astype(np.float64)
    turned = points - NECK_MM
    for degrees, (first, second) in (
        (expression.roll_deg, (0, 1)),
        (expression.pitch_deg, (1, 2)),
        (expression.yaw_deg, (2, 0)),
    ):
        angle = np.radians(degrees) * share
        a, b = turned[:, first].copy(), turned[:, second].copy()
        turned[:, first] = np.cos(angle) * a - np.sin(angle) * b
        turned[:, second] = np.sin(angle) * a + np.cos(angle) * b
    return turned + NECK_MM
