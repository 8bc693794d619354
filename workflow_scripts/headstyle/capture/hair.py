"""Four hairstyles: a solid of distance functions, and the strands that lie on it."""

import numpy as np

from headstyle.capture.anatomy import FaceFrame, skull
from headstyle.capture.identity import Identity
from headstyle.capture.noise import Noise
from headstyle.capture.shapes import (
    Points,
    Scalars,
    difference,
    ellipsoid,
    intersection,
    smoothstep,
    sphere,
    union,
)

CROWN = np.float32([0.12, 0.88, -0.46]) / np.float32(np.linalg.norm([0.12, 0.88, -0.46]))
"""Direction of the whorl, from which the strands run down all around."""


def hair_solid(points: Points, who: Identity, frame: FaceFrame, noise: Noise) -> Scalars:
    """Distance to the hair, a solid that reaches into the head."""
    p = points.copy()
    if who.hairstyle == "long":
        # Waves that grow towards the tips.
        swing = smoothstep(20, -140, p[:, 1])
        p[:, 0] += 5 * swing * np.sin(p[:, 1] / 17 + 0.03 * p[:, 2])
        p[:, 2] += 4 * swing * np.sin(p[:, 1] / 21 + 1.3)
    scalp = skull(p, who) - _thickness(p, who, noise)
    ear = sphere(np.abs(p) * (1, 0, 0) + p * (0, 1, 1), frame.ear, 1.0)
    if who.hairstyle in ("short", "curly"):
        return difference(scalp, ear - (27 if who.hairstyle == "short" else 20), 8)
    hair = union(scalp, _curtain(p, who), 10)
    return difference(hair, _face_opening(p, who, noise), 7)


def strand_coordinates(points: Points, stretch: float = 9.0) -> Points:
    """Where a point lies on its strand: noise looked up here runs along the strands.

    Two coordinates go around the crown and are the same along one strand; the third goes down
    the strand, shortened `stretch` times. All in millimetres at the widest part of the head.
    """
    side = np.cross(CROWN, np.float32([1, 0, 0]))
    side /= np.linalg.norm(side)
    front = np.cross(CROWN, side)
    from_center = points - np.float32([0, 20, -10])
    a, b, c = from_center @ side, from_center @ front, from_center @ CROWN
    around = np.maximum(np.hypot(a, b), 1e-3)
    length = 95 * np.arctan2(around, c)
    # Below the head's middle strands hang straight down.
    length += np.maximum(-c, 0) * 0.5
    twist = np.float32(0.10) * np.sin(length / 31)
    angle = np.arctan2(b, a) + twist
    return np.stack([95 * np.cos(angle), 95 * np.sin(angle), length / stretch], axis=1).astype(
        np.float32
    )


def hair_relief(points: Points, who: Identity, noise: Noise) -> Scalars:
    """How far locks and strands stand out of the solid [mm]."""
    if who.hairstyle == "curly":
        curls = np.abs(noise(points, 15, 1)) + 0.6 * np.abs(noise(points, 8, 2))
        return 4.2 * curls + 0.8 * noise(points, 3.2, 3) - 3.0
    along = strand_coordinates(points)
    locks = 1.5 if who.hairstyle == "short" else 2.2
    return (
        locks * noise(along, 17, 4) + 0.55 * locks * noise(along, 7, 5) + 0.35 * noise(along, 3, 6)
    )


def _thickness(p: Points, who: Identity, noise: Noise) -> Scalars:
    """Height of the hair over the scalp [mm]; negative, under the skin, where none grows."""
    inside = _hairline(p) + 3.0 * noise(p, 16, 7)
    grown = smoothstep(-5, 16, inside)
    top = smoothstep(20, 100, p[:, 1])
    full = {
        "short": 5 + 11 * top,
        "curly": 22 + 8 * top,
        "bob": 9 + 5 * top,
        "long": 8 + 6 * top,
    }[who.hairstyle]
    return -6 + grown * (full + 6)


def _hairline(p: Points) -> Scalars:
    """Distance inside the region where hair grows [mm], roughly: forehead, temples, nape."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    # A widow's peak, receding corners, and sideburns in front of the ears.
    forehead = (
        y - 0.42 * z - 39 + 6 * np.exp(-((x / 9) ** 2)) - 7 * np.exp(-(((x - 34) / 13) ** 2))
    ) * 0.9
    temples = np.minimum(14 - z, y + 14)
    nape = np.minimum(-22 - z, y + 78)
    return (
        -union(-forehead, union(-temples, -nape, 10), 12)
        if False
        else np.maximum(forehead, np.maximum(temples, nape)).astype(np.float32)
    )


def _curtain(p: Points, who: Identity) -> Scalars:
    """Hair that hangs around the back and the sides."""
    bottom, flare = {"bob": (-88.0, 0.10), "long": (-205.0, 0.04)}[who.hairstyle]
    q = p.copy()
    hanging = np.minimum(q[:, 1], 10) - 10
    q[:, 1] = np.where(q[:, 1] < 10, 10 + 0.12 * hanging, q[:, 1])
    q[:, 0] /= 1 - flare * hanging / 100
    shell = ellipsoid(q, (0, 18, -24), (91 * who.head_width, 108, 98))
    # Tips turn inward.
    return intersection(shell, np.float32(bottom) - p[:, 1] - 0.06 * p[:, 2], 26)


def _face_opening(p: Points, who: Identity, noise: Noise) -> Scalars:
    """What is cut out of the curtain in front of the face."""
    half_width, top = {"bob": (60.0, 34.0), "long": (63.0, 78.0)}[who.hairstyle]
    along = strand_coordinates(p, stretch=30)
    fringe = 3.5 * noise(along, 14, 8) + 1.8 * noise(along, 5, 9)
    x, y, z = np.abs(p[:, 0]) + fringe * 0.6, p[:, 1] + fringe, p[:, 2]
    if who.hairstyle == "long":
        # Parted off the middle: the opening is a pointed arch.
        x = np.abs(p[:, 0] - 8 * smoothstep(20, 80, y)) + fringe * 0.5
        top = 88.0
        outline = (
            (np.hypot(x / half_width, np.maximum(y + 10, 0) / (top + 10)) - 1) * half_width * 0.8
        )
    else:
        arch = 4 * np.cos(np.clip(x / 45, 0, 1.5))
        outline = (
            union(x - half_width, y - (top - arch), -1)
            if False
            else np.maximum(x - half_width, y - (top + arch - 4))
        )
    return np.maximum(outline, 8 - z).astype(np.float32)
