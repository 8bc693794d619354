"""The bust's clothes: a torso of distance functions, its folds, and its patterns."""

import numpy as np
from numpy.typing import NDArray

from headstyle.capture.identity import Identity
from headstyle.capture.primitives.noise import Noise
from headstyle.capture.primitives.shapes import (
    Points,
    Scalars,
    ellipsoid,
    intersection,
    round_cone,
    smoothstep,
    union,
)

NECK_CENTER = np.array([0, -150, -30], np.float32)
"""Center of the patterns: they run around this point and away from it."""
HEM_Y = -272.0


def torso(points: Points, who: Identity, noise: Noise) -> Scalars:
    """Distance to the clothed shoulders and chest, cut off below like a bust."""
    p = points.copy()
    p[:, 0] = np.abs(p[:, 0])
    slim = who.neck_radius_mm / 55
    shoulders = round_cone(p, (0, -212, -32), (110 * slim**0.5, -232, -34), 60, 43)
    body = union(shoulders, ellipsoid(p, (0, -290, -16), (128 * slim**0.5, 120, 88)), 45)
    trapezius = round_cone(p, (20, -148, -46), (105, -205, -40), 34, 22)
    body = union(body, trapezius, 40)
    body -= 1.6 * noise(points, 70, 21) + 1.0 * noise(points, 30, 22)
    body = intersection(body, np.float32(HEM_Y) - points[:, 1], 14)
    # An opening for the neck, and the ribbed collar around it.
    x, y, z = points.T
    level = y + 170 + 0.38 * (z + 30)
    around = np.hypot(x, (z + 31) * 0.93)
    body = np.maximum(body, level - 6)
    collar = np.hypot(around - (who.neck_radius_mm + 5), level * 0.75) - 7.0
    return union(body, collar, 4).astype(np.float32)


def cloth_relief(points: Points, noise: Noise) -> Scalars:
    """How far the knit stands out [mm]."""
    return 0.35 * noise(points, 4.0, 23)


def cloth_color(points: Points, who: Identity, noise: Noise) -> NDArray[np.float32]:
    """The pattern's colours [sRGB]. Shape `(N, 3)`."""
    offset = points - NECK_CENTER
    distance = np.linalg.norm(offset, axis=1)
    angle = np.arctan2(offset[:, 0], offset[:, 2])
    paint = {"plaid": _plaid, "yoke": _yoke, "dots": _dots, "stripes": _stripes, "plain": _plain}[
        who.pattern
    ]
    main, second, third = (np.array(color, np.float32) for color in who.clothes)
    wobble = 1.2 * noise(points, 25, 24)
    amounts = paint(points, distance + wobble, angle)
    color = np.broadcast_to(main, points.shape)
    for tint, amount in zip((second, third), amounts, strict=True):
        color = color + amount[:, None] * (tint - color)
    # Yarn is never even: flecks and a slow mottling.
    flecks = 0.09 * noise(points, 2.6, 25) + 0.07 * noise.fractal(points, 22, 3, 26)
    return np.clip(color * (1 + flecks[:, None]), 0, 1).astype(np.float32)


def _edge(values: Scalars) -> Scalars:
    """0 to 1 across an edge about 1.5 mm wide."""
    return smoothstep(-0.75, 0.75, values)


def _band(values: Scalars, center: float, half_width: float) -> Scalars:
    return _edge(np.float32(half_width) - np.abs(values - np.float32(center)))


def _plaid(points: Points, distance: Scalars, angle: Scalars) -> tuple[Scalars, Scalars]:
    down = 0.5 * points[:, 2] - points[:, 1]
    across = points[:, 0]

    def lines(values: Scalars, period: float, center: float, half_width: float) -> Scalars:
        return _band(np.mod(values, period), center, half_width)

    dark = 0.45 * lines(across, 46, 14, 9) + 0.45 * lines(down, 46, 20, 9)
    light = 0.8 * np.maximum(lines(across, 46, 36, 1.5), lines(down, 46, 42, 1.5))
    return dark, light


def _yoke(points: Points, distance: Scalars, angle: Scalars) -> tuple[Scalars, Scalars]:
    def waves(count: int, phase: float = 0.0) -> Scalars:
        """A zigzag around the neck, -1 to 1."""
        return 2 / np.pi * np.arcsin(np.sin(count * angle + phase))

    zigzag = _band(distance - 7 * waves(14), 92, 4.5)
    leaves = _edge(8 * np.abs(waves(9)) - np.abs(distance - 116) * 0.9 - 1.5)
    spots = _edge(3.2 - np.hypot(distance - 136, 7 * waves(26)))
    bands = np.maximum(_band(distance, 103, 1.6), _band(distance, 130, 1.6))
    seeds = _edge(1.4 - np.hypot(np.mod(distance, 15) - 7.5, 9 * waves(18, 0.7))) * _edge(
        distance - 150
    )
    light = np.maximum.reduce([zigzag, spots, seeds])
    return light, np.maximum(leaves, bands)


def _plain(points: Points, distance: Scalars, angle: Scalars) -> tuple[Scalars, Scalars]:
    nothing = np.zeros_like(distance)
    return nothing, nothing


def _dots(points: Points, distance: Scalars, angle: Scalars) -> tuple[Scalars, Scalars]:
    row = np.floor(distance / 19)
    # As many dots in a row as fit around, every other row shifted.
    count = np.maximum(np.round(2 * np.pi * (row + 0.5) * 0.8), 1)
    place = angle / (2 * np.pi) * count + 0.5 * np.mod(row, 2)
    cell = np.floor(place)
    chance = np.mod(np.sin(row * 12.9898 + np.mod(cell, count) * 78.233) * 43758.5, 1)
    across = (place - cell - 0.5) * 2 * np.pi * distance / count
    radius = 3.2 + 3.2 * chance
    dot = _edge(radius - np.hypot(across, np.mod(distance, 19) - 9.5))
    return dot * (chance < 0.62), dot * (chance >= 0.62)


def _stripes(points: Points, distance: Scalars, angle: Scalars) -> tuple[Scalars, Scalars]:
    down = -points[:, 1] + 0.25 * points[:, 2]
    wide = _band(np.mod(down, 21), 8, 4.2)
    thin = _band(np.mod(down, 21), 17.5, 0.8)
    return wide, thin
