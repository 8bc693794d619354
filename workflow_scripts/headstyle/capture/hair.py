"""Hairstyles: a solid of distance functions, and the strands that lie on it."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headstyle.capture.anatomy import FaceFrame, skull
from headstyle.capture.identity import Identity
from headstyle.capture.primitives.noise import Noise
from headstyle.capture.primitives.shapes import (
    Points,
    Scalars,
    Triple,
    difference,
    ellipsoid,
    intersection,
    smoothstep,
    sphere,
    union,
)


@dataclass(frozen=True)
class Hairstyle:
    """The numbers of one style; lengths in millimetres."""

    sides: float
    """Height over the scalp at ear level."""
    top: float
    """Height over the scalp at the top of the head."""
    parting: Triple
    """Direction of the parting's middle from the head's centre."""
    parting_length: float
    """Half the length of the parting, as an angle in radians. Near 0 the parting is a whorl."""
    locks: float
    """How far locks stand out."""
    bottom: float
    """Height of the lowest tips of the hair."""
    ear_clearance: float | None = None
    """Radius of the opening around each ear; None lets hanging hair cover the ears."""


STYLES = {
    "short": Hairstyle(4.5, 16, (-0.30, 0.90, 0.05), 0.45, 1.3, -100, ear_clearance=25),
    "long": Hairstyle(8, 13, (0.10, 0.98, 0.25), 0.85, 1.7, -205),
    "bob": Hairstyle(9, 14, (0.05, 0.92, -0.35), 0.15, 1.4, -88),
    "curly": Hairstyle(19, 30, (0.0, 1.0, 0.0), 0.1, 4.0, -110, ear_clearance=19),
    "buzz": Hairstyle(1.2, 3.0, (-0.10, 1.0, -0.2), 0.10, 0.35, -100, ear_clearance=24),
}
HEAD_RADIUS = 95.0
"""Radius of the sphere on which the widths and lengths of the strands are exact."""
CENTER = np.array([0, 20, -10], np.float32)
BALD_STUBBLE = 0.22
"""How much of the scalp's skin a shaved head's stubble covers."""


@lru_cache(maxsize=64)
def style_of(who: Identity) -> Hairstyle:
    """The head's own version of its style. The style of a bald head describes its stubble."""
    style = STYLES["buzz" if who.hairstyle == "bald" else who.hairstyle]
    x, y, z = style.parting
    return replace(
        style,
        sides=style.sides * who.hair_volume,
        top=style.top * who.hair_volume,
        parting=(x + who.parting_shift, y, z),
        bottom=style.bottom - who.hair_length_mm,
    )


def hair_solid(points: Points, who: Identity, frame: FaceFrame, noise: Noise) -> Scalars:
    """Distance to the hair, a solid that reaches into the head."""
    style = style_of(who)
    p = _waved(points, who) if who.hairstyle == "long" else points
    along = strand_coordinates(p, who, stretch=30)
    scalp = skull(p, who) - _thickness(p, along, who, noise)
    if style.ear_clearance is not None:
        folded = np.concatenate([np.abs(p[:, :1]), p[:, 1:]], axis=1)
        return difference(scalp, sphere(folded, frame.ear, style.ear_clearance), 8)
    curtain = difference(_curtain(p, who), _face_opening(p, along, who, noise), 7)
    return union(scalp, curtain, 10)


def strand_coordinates(points: Points, who: Identity, stretch: float = 9.0) -> Points:
    """Where a point lies on its strand [mm]. Noise at these coordinates runs along the strands.

    Two coordinates name the strand. The third is the place along the strand, divided by `stretch`.
    Strands leave the parting at right angles and bend downwards. They are the hyperbolas of
    elliptic coordinates whose foci are the parting's ends.
    """
    style = style_of(who)
    up = np.array(style.parting, np.float32) / np.float32(np.linalg.norm(style.parting))
    side = np.cross(up, np.array([0, 0, 1], np.float32))
    side /= np.linalg.norm(side)
    front = np.cross(side, up)
    offset = points - CENTER
    a, b, c = offset @ front, offset @ side, offset @ up
    around = np.maximum(np.hypot(a, b), 1e-3)
    polar = np.arctan2(around, c)
    # Azimuthal equidistant map of the head; its centre is the middle of the parting.
    flat = (a + 1j * b) * (polar / around / style.parting_length)
    strand = _hyperbola(flat.astype(np.complex64), exact=who.reserved)
    # Below the head's middle strands hang straight down.
    length = HEAD_RADIUS * polar + np.maximum(-c, 0) * 0.5
    strand += np.float32(0.08) * np.sin(length / 31) * np.minimum(polar, 1)
    return np.stack(
        [HEAD_RADIUS * np.cos(strand), HEAD_RADIUS * np.sin(strand), length / stretch], axis=1
    ).astype(np.float32)


def _hyperbola(places: NDArray[np.complex64], exact: bool) -> Scalars:
    """The hyperbola with foci -1 and 1 through each place: the imaginary part of arccosh [rad].

    `exact` calls numpy's arccosh. It is slower, and its last bits differ.
    """
    if exact:
        return np.arccosh(places).imag
    x, y2 = places.real, places.imag**2
    difference = np.sqrt((x + 1) ** 2 + y2) - np.sqrt((x - 1) ** 2 + y2)
    return np.copysign(np.arccos(np.clip(difference / 2, -1, 1)), places.imag)


def hair_relief(points: Points, who: Identity, noise: Noise) -> Scalars:
    """How far locks and strands stand out of the solid [mm]."""
    style = style_of(who)
    if who.hairstyle == "curly":
        curls = np.abs(noise(points, 15, 1)) + 0.6 * np.abs(noise(points, 8, 2))
        relief = style.locks * curls + 0.8 * noise(points, 3.2, 3) - 3.0
        return relief * smoothstep(-8, 12, _hairline(points, who))
    along = strand_coordinates(points, who)
    relief = noise(along, 17, 4) + 0.5 * noise(along, 7, 5) + 0.25 * noise(along, 3, 6)
    # Hair close to the skin has no relief. Hanging hair is thick everywhere.
    thick = smoothstep(-6, 20, _hairline(points, who))
    if style.ear_clearance is None:
        thick = np.maximum(thick, smoothstep(40, 10, points[:, 1]))
    return style.locks * relief * thick


def hairline_amount(points: Points, who: Identity, noise: Noise) -> Scalars:
    """How much of the skin is covered by the roots of hair, 0 to 1; ears are not."""
    on_scalp = smoothstep(7, 4, skull(points, who))
    amount = on_scalp * smoothstep(-9, 3, _hairline(points, who) + 2.5 * noise(points, 6, 10))
    return amount * np.float32(BALD_STUBBLE) if who.hairstyle == "bald" else amount


def _thickness(p: Points, along: Points, who: Identity, noise: Noise) -> Scalars:
    """Height of the hair over the scalp [mm]. It is negative where no hair grows."""
    style = style_of(who)
    ragged = 2.5 * noise(along, 12, 7)
    grown = smoothstep(-5, 24, _hairline(p, who) + ragged)
    full = style.sides + (style.top - style.sides) * smoothstep(20, 100, p[:, 1])
    return -7 + grown * (full + 7)


def _hairline(p: Points, who: Identity) -> Scalars:
    """About how far a point lies inside the hairline (forehead, temples, nape) [mm]."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    # A widow's peak, receding corners, and sideburns in front of the ears.
    peak = 5 * np.exp(-((x / 10) ** 2)) - 7 * np.exp(-(((x - 36) / 13) ** 2))
    forehead = 0.9 * (y - 0.42 * z - 33 + peak - np.float32(who.receding_mm))
    temples = np.minimum(16 - z, y + 16)
    nape = np.minimum(-22 - z, y + 78)
    return np.maximum(forehead, _either(temples, nape)).astype(np.float32)


def _either(first: Scalars, second: Scalars) -> Scalars:
    """The smooth maximum of two distances inside a region."""
    return -union(-first, -second, 10)


def _waved(points: Points, who: Identity) -> Points:
    """Positions that turn straight hair into waves. The waves grow towards the tips."""
    p = points.copy()
    swing = np.float32(who.waviness) * smoothstep(20, -140, p[:, 1])
    p[:, 0] += 5 * swing * np.sin(p[:, 1] / 17 + 0.03 * p[:, 2])
    p[:, 2] += 4 * swing * np.sin(p[:, 1] / 21 + 1.3)
    return p


def _curtain(p: Points, who: Identity) -> Scalars:
    """Hair that hangs around the back and the sides."""
    bottom = style_of(who).bottom
    flare = 0.10 if who.hairstyle == "bob" else 0.04
    q = p.copy()
    hanging = np.minimum(q[:, 1], 10) - 10
    q[:, 1] = np.where(q[:, 1] < 10, 10 + 0.12 * hanging, q[:, 1])
    q[:, 0] /= 1 - flare * hanging / 100
    shell = ellipsoid(q, (0, 18, -24), (90 * who.head_width, 106, 97))
    return intersection(shell, np.float32(bottom) - p[:, 1] - 0.06 * p[:, 2], 26)


def _face_opening(p: Points, along: Points, who: Identity, noise: Noise) -> Scalars:
    """Distance to the opening of the curtain in front of the face."""
    fringe = 2.0 * noise(along, 14, 8) + 1.2 * noise(along, 5, 9)
    y, z = p[:, 1] + fringe, p[:, 2]
    if who.hairstyle == "long":
        # An arch that follows the hairline, drawn to the side of the parting.
        x = np.abs(p[:, 0] - 5 * smoothstep(20, 80, y)) + 0.5 * fringe
        half_width, top = 62.0, 92.0
        outline = 50 * (np.hypot(x / half_width, np.maximum(y + 10, 0) / (top + 10)) - 1)
    else:
        x = np.abs(p[:, 0]) + 0.6 * fringe
        arch = 36 + 5 * np.cos(np.clip(x / 45, 0, 1.5))
        outline = intersection(x - 60, y - arch, 14)
    return np.maximum(outline, 8 - z).astype(np.float32)
