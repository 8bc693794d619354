"""What all operators share: the request, named colors, and small tools on surfaces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.images import to_linear
from headstyle.capture.identity import Color
from headstyle.capture.primitives.noise import Noise
from headstyle.capture.primitives.shapes import Points, Scalars
from headstyle.capture.surface import MM, HeadSurface, Part

Albedo = NDArray[np.floating[Any]]
"""Linear reflectance in [0, 1]. Shape `(N, 3)`, or `(3,)` for one color."""

COLORS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "red": (0.78, 0.10, 0.09),
        "orange": (0.92, 0.46, 0.10),
        "yellow": (0.93, 0.80, 0.20),
        "green": (0.16, 0.58, 0.24),
        "turquoise": (0.13, 0.66, 0.66),
        "blue": (0.12, 0.27, 0.75),
        "purple": (0.47, 0.18, 0.66),
        "pink": (0.94, 0.48, 0.66),
        "brown": (0.42, 0.25, 0.13),
        "gray": (0.52, 0.52, 0.53),
        "black": (0.07, 0.07, 0.08),
        "white": (0.93, 0.93, 0.92),
    }
)
"""Colors by name [sRGB]."""

HAIR_BRIGHTNESS = (0.2, 0.4)
"""Highest mean sRGB value of dark hair, and of medium hair."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of linear red, green and blue in the relative luminance (IEC 61966-2-1)."""


@dataclass(frozen=True)
class Edit:
    """An instruction to change a head."""

    operator: str
    """A key of `OPERATORS`."""
    strength: float = 1.0
    """0 changes nothing, 1 is the whole edit, and a little more than 1 exaggerates."""
    color: str | None = None
    """A key of `COLORS`, for operators that take one."""


@dataclass(frozen=True)
class Operator:
    """A kind of edit."""

    apply: Callable[[HeadSurface, Edit], HeadSurface]
    """Called with a strength above 0, and with a known color if it takes one."""
    takes_color: bool = False
    """Whether the edit needs a color."""


@dataclass(frozen=True)
class Piece:
    """Something to add to a head."""

    vertices: Points
    """Positions [mm]. Shape `(N, 3)`."""
    faces: NDArray[np.int64]
    """Triangles. Shape `(F, 3)`."""
    albedo: Albedo
    """Color of the vertices."""


def named_color(name: str | None) -> Albedo:
    """The linear value of one of `COLORS`. Shape `(3,)`."""
    assert name is not None, "an operator that takes a color is called with one"
    return linear(*COLORS[name])


def linear(red: float, green: float, blue: float) -> Albedo:
    """The linear value of a color in sRGB. Shape `(3,)`."""
    return to_linear(np.array([red, green, blue]))


def like_hair(dark: Color, medium: Color, bright: Color, hair: Color) -> Albedo:
    """One of three colors [sRGB], by how bright the hair is; linear. Shape `(3,)`.

    The color differs between heads, yet a photograph determines it. An editor network cannot
    predict a color drawn at random.
    """
    place = np.searchsorted(HAIR_BRIGHTNESS, float(np.mean(hair)))
    return linear(*(dark, medium, bright)[place])


@lru_cache(maxsize=4)
def noise_of(seed: int) -> Noise:
    """Solid noise of a head's edits; it differs from the noise that the head was made with."""
    return Noise(seed + 7_000_003)


def points_of(surface: HeadSurface) -> Points:
    """The vertices in millimetres. Shape `(V, 3)`."""
    return (surface.vertices / MM).astype(np.float32)


def luminance(albedo: Albedo) -> Scalars:
    """Relative luminance. Shape `(N,)`."""
    return albedo @ LUMINANCE


def blended(albedo: Albedo, target: Albedo, amount: Scalars | float) -> Albedo:
    """Colors moved towards a target by an amount in [0, 1]; larger amounts count as 1."""
    amount = np.clip(np.asarray(amount, dtype=np.float32), 0, 1)
    if amount.ndim:
        amount = amount[:, None]
    return np.clip(albedo + amount * (target - albedo), 0, 1)


def is_part(surface: HeadSurface, *parts: Part) -> NDArray[np.bool_]:
    """Which vertices belong to one of the parts. Shape `(V,)`."""
    table = np.zeros(256, dtype=bool)
    table[list(parts)] = True
    return table[surface.parts]


def moved(surface: HeadSurface, chosen: NDArray[Any], offsets_mm: Points) -> HeadSurface:
    """The surface with the chosen vertices (mask or indices) moved by offsets."""
    vertices = surface.vertices.copy()
    vertices[chosen] += offsets_mm.astype(np.float64) * MM
    return replace(surface, vertices=vertices)


def with_pieces(surface: HeadSurface, *pieces: Piece) -> HeadSurface:
    """The surface with pieces appended, as `Part.EXTRA`."""
    vertices, faces, albedo, parts = (
        [surface.vertices],
        [surface.faces],
        [surface.albedo],
        [surface.parts],
    )
    start = len(surface.vertices)
    for piece in pieces:
        vertices.append(piece.vertices.astype(np.float64) * MM)
        faces.append(piece.faces + start)
        albedo.append(np.clip(piece.albedo, 0, 1).astype(np.float32))
        parts.append(np.full(len(piece.vertices), Part.EXTRA, dtype=np.uint8))
        start += len(piece.vertices)
    return replace(
        surface,
        vertices=np.concatenate(vertices),
        faces=np.concatenate(faces),
        albedo=np.concatenate(albedo),
        parts=np.concatenate(parts),
    )
