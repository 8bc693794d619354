"""The operator that puts a hat on."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headstyle.capture.operators.base import (
    Albedo,
    Edit,
    Piece,
    blended,
    is_part,
    like_hair,
    linear,
    noise_of,
    points_of,
    with_pieces,
)
from headstyle.capture.operators.pieces import outward, ring_faces
from headstyle.capture.primitives.shapes import Points, smoothstep
from headstyle.capture.surface import HeadSurface, Part

FELTS = ((0.33, 0.20, 0.12), (0.44, 0.28, 0.16), (0.55, 0.37, 0.21))
"""Browns of the hat over dark, medium and bright hair."""
BAND = (0.12, 0.08, 0.06)
SEAT_MM = np.array([0, 53, -10], np.float64)
"""The middle of the hat's opening."""
TILT_RAD = 0.06
"""How far the brim is tilted: the front is low, the back is high."""
HEAD_ROOM_MM = 9.0
LOWEST_CROWN_MM = 84.0
CROWN_MM = 116.0
BRIM_MM = 68.0
SPOKES = 220


def cowboy_hat(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P5: a brown hat with a creased crown, a dark band and a brim that curls up at the sides.

    Below full strength crown and brim are smaller and colored more like the hair.
    """
    strength = edit.strength
    noise = noise_of(surface.who.seed)
    felt = like_hair(*FELTS, hair=surface.who.hair)
    hair = surface.albedo[surface.parts == Part.HAIR]
    if len(hair):
        felt = blended(hair.mean(axis=0), felt, 2 * strength)
    local, faces, band = _hat(surface.who.head_width, strength)
    vertices = local @ _tilt().T + SEAT_MM
    fuzz = noise(vertices.astype(np.float32), 5, 21) + noise(vertices.astype(np.float32), 40, 22)
    albedo: Albedo = felt * (1 + 0.05 * fuzz)[:, None]
    albedo = blended(albedo.astype(np.float32), _band_color(), band)
    hidden = _under_hat(points_of(surface), surface)
    surface = replace(surface, faces=surface.faces[~hidden[surface.faces].all(axis=1)])
    return with_pieces(surface, Piece(vertices.astype(np.float32), faces, albedo))


def _band_color() -> Albedo:
    return linear(*BAND)


def _under_hat(p: Points, surface: HeadSurface) -> NDArray[np.bool_]:
    """Which vertices the hat hides: hair and skin above its opening."""
    above = (p - SEAT_MM.astype(np.float32)) @ _tilt().astype(np.float32)[:, 1]
    return (above > 5) & is_part(surface, Part.HAIR, Part.SKIN)


def _tilt() -> NDArray[np.float64]:
    """Rotation from the hat's own axes to the head's. Shape `(3, 3)`."""
    cosine, sine = np.cos(TILT_RAD), np.sin(TILT_RAD)
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def _hat(
    head_width: float, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float32]]:
    """A hat whose opening lies in y = 0: vertices [mm], triangles, and how much is band."""
    height = LOWEST_CROWN_MM + (CROWN_MM - LOWEST_CROWN_MM) * strength
    brim = BRIM_MM * strength
    around = np.linspace(0, 2 * np.pi, SPOKES, endpoint=False)
    x = (74 * head_width + HEAD_ROOM_MM) * np.sin(around)
    z = (99 + HEAD_ROOM_MM) * np.cos(around)
    direction = np.stack([np.sin(around), np.cos(around)])

    rings, band = [], []
    # From the middle of the top over the rounded edge and down the crown.
    for inward in np.linspace(0, 1, 26)[:-1]:
        rings.append(_crown_ring(x, z, 0.80 * inward, height * (1 - 0.05 * inward**6), height))
        band.append(0.0)
    for down in np.linspace(0, 1, 36):
        scale = 0.80 + 0.20 * np.sqrt(1 - (1 - min(down * 3.0, 1)) ** 2) * (0.9 + 0.1 * down)
        y = height * 0.95 * (1 - down)
        rings.append(_crown_ring(x, z, scale, y, height))
        band.append(float(smoothstep(20.5, 19.0, np.float32(y))) * (y > 2.5))
    # The brim's upper side, its edge, and back along the lower side.
    reach = np.concatenate([np.linspace(0.04, 1, 26), np.linspace(1, 0, 22)])
    lower = np.concatenate([np.zeros(26), np.full(22, 3.0)])
    for d, under in zip(reach, lower, strict=True):
        curl = 40 * strength * d**2.2 * np.abs(direction[0]) ** 2.5
        droop = 9 * strength * d**1.5 * np.abs(direction[1]) ** 3
        rim = (x + brim * d * direction[0] * (1 - 0.18 * d), curl - droop - under)
        rings.append(np.stack([rim[0], rim[1], z + brim * d * direction[1] * 0.95], axis=1))
        band.append(0.0)
    vertices = np.concatenate(rings)
    faces = ring_faces(len(rings), SPOKES)
    values = np.repeat(np.array(band, np.float32), SPOKES)
    _, faces, values = outward(vertices, faces, values)
    return vertices, faces, values


def _crown_ring(
    x: NDArray[np.float64], z: NDArray[np.float64], scale: float, y: float, height: float
) -> NDArray[np.float64]:
    """One ring of the crown, with the crease along its top and the pinch of its front."""
    x, z = x * scale, z * scale
    high = np.clip(y / height, 0, 1)
    ahead = np.clip(z / 80, 0, 1)
    pinched = x * (1 - 0.34 * high**1.5 * ahead)
    crease = (
        24 * high**8 * np.exp(-((pinched / 20) ** 2)) * (1 - np.clip(np.abs(z) / 112, 0, 1) ** 3)
    )
    taper = 1 - 0.07 * high
    return np.stack([pinched * taper, y - crease - 8 * high * ahead**2, z * taper], axis=1)
