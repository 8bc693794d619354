"""The shape of the bare head, as a signed distance function in millimetres.

Left and right are modelled once, on the absolute value of x. `FaceFrame` holds where the features
of one identity lie, so that the shape and the paint agree.
"""

from dataclasses import dataclass

import numpy as np

from headstyle.capture.identity import Identity
from headstyle.capture.primitives.shapes import (
    Points,
    Scalars,
    difference,
    ellipsoid,
    intersection,
    round_cone,
    smoothstep,
    sphere,
    union,
)

EYEBALL_RADIUS_MM = 14.4
LID_THICKNESS_MM = 1.5
EAR_LOBE_NARROWEST = 0.6
"""Width of the ear, relative to its upper half, at and below the end of the lobe."""


@dataclass(frozen=True)
class FaceFrame:
    """Landmarks of one head [mm]. A landmark off the middle is given for positive x."""

    eye: tuple[float, float, float]
    """Centre of the eyeball."""
    eye_half_width: float
    """Half the distance between the two corners of the eye."""
    eye_upper: float
    """Height of the upper lid's edge above the eye's centre."""
    eye_lower: float
    """Depth of the lower lid's edge below the eye's centre."""
    nose_tip: tuple[float, float, float]
    """Position of the tip of the nose."""
    mouth_y: float
    """Height of the line between the lips."""
    mouth_half_width: float
    """Half the distance between the two corners of the mouth."""
    upper_lip: float
    """Height of the upper lip's red at the middle."""
    lower_lip: float
    """Height of the lower lip's red at the middle."""
    ear: tuple[float, float, float]
    """Centre of the ear."""
    corner_rise: float
    """How much higher the corners of the mouth are than its middle."""

    @classmethod
    def of(cls, who: Identity) -> "FaceFrame":
        """The landmarks that follow from a head's traits."""
        nose_y = -34 * who.nose_length
        return cls(
            eye=(who.eye_spacing_mm, 0.0, 67.2),
            eye_half_width=12.9,
            eye_upper=6.3 * who.eye_opening,
            eye_lower=4.9 * who.eye_opening,
            nose_tip=(0.0, nose_y, 88 + 17 * who.nose_height),
            mouth_y=-63.0,
            mouth_half_width=24.5 * who.mouth_width,
            upper_lip=7.0 * who.lip_fullness,
            lower_lip=9.0 * who.lip_fullness,
            ear=(73.5 * who.head_width, -8.0, -8.0),
            corner_rise=1.5 + who.mouth_corners_mm,
        )


def skull(points: Points, who: Identity) -> Scalars:
    """Distance to the cranium, without face, neck and ears. Hair grows from it."""
    p = _folded(points)
    p[:, 0] /= who.head_width
    head = ellipsoid(p, (0, 32, -12), (74, 87, 98))
    return union(head, ellipsoid(p, (0, 34, 26), (64, 68, 60)), 20)


def bare_head(points: Points, who: Identity, frame: FaceFrame) -> Scalars:
    """Distance to the head with face, ears and neck, without hair and clothes."""
    p = _folded(points)
    head = union(skull(points, who), _face(p, who, frame), 14)
    head = union(head, _nose(p, who, frame), 7)
    head = _with_eyelids(p, head, frame)
    head = _with_mouth(p, head, frame)
    neck = union(
        round_cone(p, (0, -60, -26), (0, -185, -34), who.neck_radius_mm, who.neck_radius_mm + 3),
        # The muscle from behind the ear to the collar bone.
        round_cone(p, (48, -45, -22), (12, -215, 22), 11, 8),
        18,
    )
    head = union(head, neck, 16)
    return union(head, _ear(p, who, frame), 3)


def _face(p: Points, who: Identity, frame: FaceFrame) -> Scalars:
    jaw, chin_y = who.jaw_width, -100 - who.chin_drop_mm
    face = ellipsoid(p, (0, -24, 26), (64, 80, 60))
    jaws = round_cone(p, (46 * jaw, -56, -2), (17 * jaw, chin_y + 4, 62), 15, 13)
    face = union(face, jaws, 26)
    face = union(face, ellipsoid(p, (0, chin_y, 67), (17 * jaw, 14, 15)), 16)
    cheek = ellipsoid(p, (42, -19, 54), (22, 19 * who.cheek_fullness, 22 * who.cheek_fullness))
    face = union(face, cheek, 18)
    face = union(face, ellipsoid(p, (0, -64, 66), (30, 26, 24)), 14)
    # The sockets lie back from forehead and cheek; the brow hangs over them.
    eye_x, eye_y, _ = frame.eye
    face = difference(face, ellipsoid(p, (eye_x + 1, eye_y - 1, 93), (20, 15, 17)), 10)
    brow = round_cone(
        p, (14, 16, 78.5), (46, 20, 62), 6.0 + 2.0 * who.brow_depth, 5.0 + 1.5 * who.brow_depth
    )
    return union(face, brow, 12)


def _nose(p: Points, who: Identity, frame: FaceFrame) -> Scalars:
    _, tip_y, tip_z = frame.nose_tip
    width = who.nose_width
    bridge = round_cone(p, (0, 12, 80), (0, tip_y + 5, tip_z - 9), 6.5 * width, 8.0 * width)
    tip = ellipsoid(p, (0, tip_y, tip_z - 9), (9.5 * width, 8.5, 9.5))
    nose = union(bridge, tip, 7)
    wing = ellipsoid(p, (11 * width, tip_y - 3, tip_z - 18), (6.8 * width, 7, 9.5))
    nose = union(nose, wing, 3.5)
    nostril = ellipsoid(p, (6.2 * width, tip_y - 10, tip_z - 14), (3.6 * width, 5.0, 5.6))
    return difference(nose, nostril, 2.5)


def almond(points: Points, frame: FaceFrame) -> Scalars:
    """Distance, in the frontal plane, to the opening between the lids: two circles' overlap."""
    x = np.abs(points[:, 0]) - np.float32(frame.eye[0])
    # The outer corner lies a little higher.
    y = points[:, 1] - np.float32(frame.eye[1]) - np.float32(0.07) * x
    half = frame.eye_half_width
    upper = (half**2 + frame.eye_upper**2) / (2 * frame.eye_upper)
    lower = (half**2 + frame.eye_lower**2) / (2 * frame.eye_lower)
    above = np.hypot(x, y + np.float32(upper - frame.eye_upper)) - np.float32(upper)
    below = np.hypot(x, y - np.float32(lower - frame.eye_lower)) - np.float32(lower)
    return np.maximum(above, below)


def _with_eyelids(p: Points, head: Scalars, frame: FaceFrame) -> Scalars:
    lids = sphere(p, frame.eye, EYEBALL_RADIUS_MM + LID_THICKNESS_MM)
    head = union(head, lids, 3)
    opening = np.maximum(almond(p, frame), np.float32(frame.eye[2] + 2) - p[:, 2])
    return difference(head, opening, 1.6)


def mouth_line_y(points: Points, frame: FaceFrame) -> Scalars:
    """Height of the line between the lips at each point's x: a flat M with corners drawn up."""
    t = np.abs(points[:, 0]) / np.float32(frame.mouth_half_width)
    return np.float32(frame.mouth_y) - 1.2 * np.exp(-((t / 0.25) ** 2)) + frame.corner_rise * t**3


def _with_mouth(p: Points, head: Scalars, frame: FaceFrame) -> Scalars:
    half = frame.mouth_half_width
    upper = ellipsoid(
        p,
        (6.5, frame.mouth_y + 0.42 * frame.upper_lip, 86.0),
        (half * 0.66, frame.upper_lip * 0.75, 7.0),
    )
    lower = ellipsoid(
        p,
        (0, frame.mouth_y - 0.50 * frame.lower_lip, 85.0),
        (half * 0.78, frame.lower_lip * 0.72, 8.4),
    )
    head = union(union(head, upper, 5), lower, 5)
    groove = ellipsoid(p, (0, frame.mouth_y + 12, 96), (3.2, 9, 4))
    head = difference(head, groove, 5)
    line = np.hypot(
        p[:, 1] - mouth_line_y(p, frame), np.maximum(86 - p[:, 0] ** 2 / 60 - p[:, 2], 0)
    )
    inside_corners = np.maximum(line - 0.9, p[:, 0] - np.float32(half))
    return difference(head, np.maximum(inside_corners, 60 - p[:, 2]), 2.2)


def _ear(p: Points, who: Identity, frame: FaceFrame) -> Scalars:
    """A tilted bowl with a rolled rim, flaring away from the head towards the back."""
    size = who.ear_size
    x, y, z = ((p - np.array(frame.ear, np.float32)) / np.float32(size)).T
    # Flare 30 degrees out, tilt the top 12 degrees back.
    y, z = 0.978 * y - 0.208 * z, 0.208 * y + 0.978 * z
    x, z = 0.87 * x + 0.5 * z, -0.5 * x + 0.87 * z
    q = np.stack([x, y, z + 8], axis=1)
    # The lobe is narrower. The width must not reach 0 far below the ear: the field would turn
    # inside out.
    widths = np.clip(1 + np.float32(0.012) * (y + 6), EAR_LOBE_NARROWEST, 1)
    q[:, 2] /= widths
    outer = ellipsoid(q, (0, 0, 0), (7.5, 31, 19))
    bowl = ellipsoid(q, (7.5, 3, 1.5), (8.0, 24, 13.5))
    ear = difference(outer, bowl, 2.5)
    fold = round_cone(q, (1.5, 15, 2), (1.0, -9, -6.5), 2.4, 2.4)
    ear = union(ear, intersection(fold, outer - 1.5, 1.0), 2.5)
    canal_flap = ellipsoid(q, (2.5, -4, 12), (4, 6, 4))
    return union(ear, canal_flap, 3) * np.float32(size * 0.9)


def beard_region(points: Points, frame: FaceFrame) -> Scalars:
    """Where a beard grows, 0 to 1: jaw, chin and upper lip, up to the sideburns."""
    p = _folded(points)
    x, y, z = p.T
    # The upper edge runs from the ear down to the corner of the mouth.
    edge = np.interp(x, [0, 18, 30, 48, 60, 68, 74], [-48, -46, -58, -54, -34, -8, 10]).astype(
        np.float32
    )
    edge = np.maximum(edge, np.interp(z, [5, 15, 24, 36], [8, 0, -38, -70]).astype(np.float32))
    below = smoothstep(5, -6, y - edge)
    front = smoothstep(-10, 8, z)
    above_neck = smoothstep(-140, -118, y + 0.25 * (z - 60))
    under_nose = smoothstep(frame.nose_tip[1] - 9, frame.nose_tip[1] - 13, y)
    under_nose = np.maximum(under_nose, smoothstep(30, 42, x))
    return below * front * above_neck * under_nose


def _folded(points: Points) -> Points:
    folded = points.astype(np.float32, copy=True)
    folded[:, 0] = np.abs(folded[:, 0])
    return folded
