"""Colours of skin, eyes, lips, brows, beard and hair, as solid textures of the head [sRGB]."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.capture.anatomy import (
    EYEBALL_RADIUS_MM,
    FaceFrame,
    almond,
    beard_region,
    mouth_line_y,
)
from headstyle.capture.hair import strand_coordinates
from headstyle.capture.identity import Identity
from headstyle.capture.primitives.noise import Noise
from headstyle.capture.primitives.shapes import Points, Scalars, smoothstep

Colors = NDArray[np.floating[Any]]
"""sRGB in [0, 1]. Shape `(N, 3)`."""
IRIS_RADIUS_MM = 6.3
PUPIL_RADIUS_MM = 2.5


def skin_color(p: Points, who: Identity, frame: FaceFrame, noise: Noise) -> Colors:
    """Skin with its flush, shadows under the eyes, blotches, freckles and moles."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    skin = np.array(who.skin, np.float32)
    color = np.broadcast_to(skin, p.shape).copy()

    def spot(center: tuple[float, float, float], radius: float) -> Scalars:
        folded = np.stack([x, y, z], axis=1)
        return np.exp(
            -(((folded - np.array(center, np.float32)) / np.float32(radius)) ** 2).sum(axis=1)
        )

    flush = (
        0.8 * spot((44, -30, 66), 20) + 0.7 * spot(frame.nose_tip, 15) + 0.9 * spot(frame.ear, 30)
    )
    flush += 0.4 * spot((0, -100, 78), 14) + 0.12 * noise.fractal(p, 30, 3, 41)
    _tint(color, skin * np.array([0.98, 0.72, 0.68], np.float32), 0.55 * flush)
    eye_x, eye_y, eye_z = frame.eye
    _tint(
        color,
        skin * np.array([0.72, 0.58, 0.58], np.float32),
        0.55 * spot((eye_x - 3, eye_y - 13, eye_z + 8), 12),
    )
    _tint(
        color,
        skin * np.array([0.78, 0.62, 0.60], np.float32),
        0.5 * spot((eye_x, eye_y + 8, eye_z + 10), 9),
    )
    blotches = (
        0.05 * noise.fractal(p, 14, 4, 42) + 0.03 * noise(p, 2.4, 43) + 0.02 * noise(p, 1.5, 44)
    )
    color *= 1 + blotches[:, None]

    # Freckles where two noises are high at once; denser over nose and cheeks.
    where = 0.35 + spot((25, -18, 80), 34) + 0.3 * noise(p, 25, 45)
    freckled = smoothstep(2.0, 2.7, noise(p, 3.6, 46) + 0.75 * who.freckles * where)
    _tint(color, skin * np.array([0.74, 0.58, 0.48], np.float32), 0.7 * freckled)
    moles = smoothstep(3.6, 3.9, noise(p, 8, 47))
    _tint(color, skin * np.array([0.38, 0.26, 0.22], np.float32), 0.8 * moles)
    if who.age:
        _age(color, p, who, frame, noise)
    if who.eye_shadow:
        lid = spot((eye_x + 1, eye_y + 9, eye_z + 12), 11) * smoothstep(2, 7, y - eye_y)
        _tint(color, np.array(who.eye_shadow, np.float32), 0.8 * lid)
    return np.clip(color, 0, 1)


def _age(color: Colors, p: Points, who: Identity, frame: FaceFrame, noise: Noise) -> None:
    """Lines of forehead, eyes and cheeks, and spots, in place."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    lines = smoothstep(0.55, 1.0, np.sin((y + 2.2 * noise(p, 34, 61)) * 0.72))
    lines *= np.exp(-(((y - 58) / 17) ** 2)) * smoothstep(56, 34, x) * smoothstep(25, 50, z)
    # Lines that fan out from the outer corner of the eye.
    side, above = x - frame.eye[0] - 12, y - frame.eye[1] - 1
    fan = smoothstep(0.4, 1.0, np.cos(np.arctan2(above, np.maximum(side, 0.1)) * 11))
    fan *= np.exp(-((np.hypot(side - 8, above) / 9) ** 2)) * (side > 2) * smoothstep(10, 30, z)
    # The fold from the wing of the nose around the corner of the mouth.
    down = np.clip((frame.nose_tip[1] + 2 - y) / 36, 0, 1)
    fold = np.exp(-(((x - 15 - 19 * down**0.8) / 2.4) ** 2)) * smoothstep(50, 62, z)
    fold *= smoothstep(0, 0.12, down) * smoothstep(1.0, 0.85, down)
    dark = np.clip(0.5 * lines + 0.6 * fan + 0.8 * fold, 0, 1) * np.float32(who.age)
    _tint(
        color,
        np.array(who.skin, np.float32) * np.array([0.60, 0.48, 0.45], np.float32),
        0.75 * dark,
    )
    spots = smoothstep(1.9, 2.4, noise(p, 10, 62)) * smoothstep(0.45, 1, np.float32(who.age))
    _tint(
        color,
        np.array(who.skin, np.float32) * np.array([0.66, 0.52, 0.42], np.float32),
        0.5 * spots,
    )


def lip_amount(p: Points, frame: FaceFrame) -> Scalars:
    """How much a point of the skin is lip, 0 to 1."""
    t = np.clip(np.abs(p[:, 0]) / np.float32(frame.mouth_half_width), 0, 1.2)
    line = mouth_line_y(p, frame)
    taper = np.sqrt(np.maximum(1 - t * t, 0))
    # Cupid's bow: the upper edge dips in the middle.
    bow = 1 - 0.28 * np.exp(-((t / 0.16) ** 2)) - 0.12 * t
    upper = line + np.float32(frame.upper_lip) * taper * bow
    lower = line - np.float32(frame.lower_lip) * taper
    inside = np.minimum(upper - p[:, 1], p[:, 1] - lower)
    return smoothstep(-0.5, 0.9, inside) * (p[:, 2] > 60) * (t < 1.0)


def lip_color(p: Points, who: Identity, frame: FaceFrame, noise: Noise) -> Colors:
    """Lips, darker towards the line between them, with fine upright creases."""
    base = np.array(who.skin, np.float32) * np.array([0.90, 0.56, 0.56], np.float32)
    if who.lip_tint:
        base = base + np.float32(0.75) * (np.array(who.lip_tint, np.float32) - base)
    creases = noise(p * np.array([1, 0.25, 0.4], np.float32), 2.2, 48)
    shade = 1 + 0.07 * creases + 0.05 * noise.fractal(p, 8, 3, 49)
    crack = np.exp(-(((p[:, 1] - mouth_line_y(p, frame)) / 1.1) ** 2))
    return np.clip(base * (shade * (1 - 0.55 * crack))[:, None], 0, 1).astype(np.float32)


def brow_amount(p: Points, who: Identity, noise: Noise) -> Scalars:
    """How much of a point of the skin is covered by the eyebrow's hairs, 0 to 1."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    t = (x - 12) / 42
    center = 19 + 9.0 * np.sin(np.clip(t, 0, 1) * 2.3) - 4.5 * t
    center = center + np.float32(who.brow_raise_mm)
    half = (4.6 if who.beard else 3.4) * who.brow_thickness * np.clip(1.15 - 0.75 * t, 0.1, 1)
    hairs = noise(np.stack([x * 0.35 + y * 0.25, y - 0.35 * x, z * 0.3], axis=1), 2.0, 50)
    inside = half - np.abs(y - center) + 0.9 * hairs
    ends = smoothstep(-0.06, 0.06, t) * smoothstep(1.06, 0.9, t)
    return smoothstep(-0.8, 1.8, inside) * ends * (z > 30) * (0.78 + 0.14 * hairs)


def lash_amount(p: Points, frame: FaceFrame) -> Scalars:
    """How dark the lids' edges are with lashes, 0 to 1: more above than below."""
    outside = almond(p, frame)
    above = smoothstep(-1.5, 1.0, p[:, 1] - np.float32(frame.eye[1]))
    width = 0.7 + 1.3 * above
    # Few towards the nose.
    lateral = smoothstep(-13, 0, np.abs(p[:, 0]) - np.float32(frame.eye[0]))
    dark = smoothstep(1.6, 0.2, outside / width) * (0.35 + 0.6 * above) * (0.15 + 0.85 * lateral)
    return dark * (p[:, 2] > frame.eye[2])


def beard_amount(p: Points, who: Identity, frame: FaceFrame, noise: Noise) -> Scalars:
    """How much of the skin the beard covers, 0 to 1; nothing if the head is shaved."""
    if not who.beard:
        return np.zeros(len(p), dtype=np.float32)
    ragged = beard_region(p, frame) + 0.10 * noise(p, 7, 51)
    return smoothstep(0.35, 0.75, ragged) * np.float32(min(1.0, 0.25 + who.beard))


def beard_color(p: Points, who: Identity, noise: Noise) -> Colors:
    """Short hairs that grow downwards, a little redder than the hair."""
    strands = noise(p * np.array([1, 0.3, 0.8], np.float32), 2.2, 52) + 0.7 * noise(p, 6, 53)
    base = np.array(who.hair, np.float32) * np.array([1.15, 1.0, 0.95], np.float32)
    return np.clip(base * (1 + 0.28 * strands)[:, None], 0.01, 1).astype(np.float32)


def hair_color(p: Points, who: Identity, noise: Noise) -> Colors:
    """Hair with locks and strands of different brightness."""
    if who.hairstyle == "curly":
        strands = 0.5 * noise(p, 3.0, 54) + 0.5 * noise(p, 1.8, 55) + 0.4 * noise(p, 12, 56)
    else:
        along = strand_coordinates(p, who, stretch=14)
        strands = (
            0.55 * noise(along, 2.2, 54)
            + 0.45 * noise(along, 4.5, 55)
            + 0.45 * noise(along, 13, 56)
        )
    shade = np.exp(0.30 * strands)
    warm = 0.06 * noise(p, 30, 57)
    if not who.reserved:
        # Grey hair is grey throughout.
        warm *= np.float32(min(1.0, 2 * (max(who.hair) - min(who.hair))))
    base = np.array(who.hair, np.float32) * (1 + warm[:, None] * np.array([1, 0, -1], np.float32))
    return np.clip(base * shade[:, None], 0.01, 1).astype(np.float32)


def eye_color(local: Points, who: Identity, noise: Noise) -> Colors:
    """An eyeball that looks along z; `local` is relative to its centre [mm]."""
    x, y, z = local.T
    radius = np.hypot(x, y)
    angle = np.arctan2(y, x)
    color = np.broadcast_to(np.array([0.90, 0.87, 0.85], np.float32), local.shape).copy()
    veins = smoothstep(1.2, 2.2, noise(local, 3.0, 58)) * smoothstep(7, 11, radius)
    _tint(
        color,
        np.array([0.80, 0.45, 0.42], np.float32),
        0.5 * veins + 0.25 * smoothstep(8, 12, radius),
    )

    ring = np.stack([np.cos(angle) * 9, np.sin(angle) * 9, radius * 0.25], axis=1)
    fibers = noise(ring.astype(np.float32), 1.6, 59)
    iris = np.array(who.eye, np.float32) * (1 + 0.30 * fibers)[:, None]
    _tint(iris, np.array([0.62, 0.44, 0.24], np.float32), 0.55 * smoothstep(3.9, 2.4, radius))
    iris *= (1 - 0.65 * smoothstep(IRIS_RADIUS_MM - 1.3, IRIS_RADIUS_MM, radius))[:, None]
    in_iris = smoothstep(IRIS_RADIUS_MM + 0.35, IRIS_RADIUS_MM - 0.35, radius) * (z > 0)
    color += in_iris[:, None] * (iris - color)
    pupil = smoothstep(PUPIL_RADIUS_MM + 0.3, PUPIL_RADIUS_MM - 0.3, radius) * (z > 0)
    _tint(color, np.array([0.02, 0.02, 0.02], np.float32), pupil)
    glint = smoothstep(1.25, 0.75, np.hypot(x + 2.2, y - 2.4)) * (z > 0)
    _tint(color, np.array([1, 1, 1], np.float32), 0.95 * glint)
    return np.clip(color, 0, 1)


def eyeball(frame: FaceFrame, side: int, rings: int = 90) -> tuple[Points, NDArray[np.int64]]:
    """The front of an eyeball as rings around its axis; `side` is 1 for positive x, else -1."""
    polar = np.linspace(0.004, 1.75, rings)
    spokes = 2 * rings
    around = np.arange(spokes) * 2 * np.pi / spokes
    local = np.stack(
        [
            np.outer(np.sin(polar), np.cos(around)),
            np.outer(np.sin(polar), np.sin(around)),
            np.broadcast_to(np.cos(polar)[:, None], (rings, spokes)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    center = np.array(frame.eye) * (side, 1, 1)
    ring, spoke = np.meshgrid(np.arange(rings - 1), np.arange(spokes), indexing="ij")
    a = (ring * spokes + spoke).ravel()
    b = (ring * spokes + (spoke + 1) % spokes).ravel()
    faces = np.concatenate(
        [np.stack([a, a + spokes, b], axis=1), np.stack([b, a + spokes, b + spokes], axis=1)]
    )
    return (center + EYEBALL_RADIUS_MM * local).astype(np.float32), faces


def _tint(color: Colors, tint: NDArray[np.float32], amount: Scalars) -> None:
    """Move colours towards a tint, in place."""
    color += np.clip(amount, 0, 1).astype(np.float32)[:, None] * (tint - color)
