"""Operators that only repaint: hair, shirt, skin, eyes and lips."""

from dataclasses import replace

import numpy as np

from headstyle.capture.operators.base import (
    Albedo,
    Edit,
    is_part,
    linear,
    luminance,
    named_color,
    points_of,
)
from headstyle.capture.paint import IRIS_RADIUS_MM, PUPIL_RADIUS_MM
from headstyle.capture.primitives.shapes import Scalars, smoothstep
from headstyle.capture.surface import HeadSurface, Part

RED_HAIR = (0.66, 0.13, 0.06)
BLUE_SHIRT = (0.10, 0.25, 0.68)
BROW_SHARE = 0.55
"""Brows follow the hair's new color only partly."""


def red_hair_blue_shirt(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P4: red hair, reddish brows and beard, and a blue shirt with a trace of its pattern."""
    surface = _dyed(surface, linear(*RED_HAIR), edit.strength)
    return _with_shirt(surface, linear(*BLUE_SHIRT), edit.strength)


def hair_color(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """Hair of a named color. Beard and brows take part of the color."""
    return _dyed(surface, named_color(edit.color), edit.strength)


def shirt_color(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """A shirt of a named color."""
    return _with_shirt(surface, named_color(edit.color), edit.strength)


def skin_color(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """Skin and lips of a named color."""
    chosen = is_part(surface, Part.SKIN, Part.LIPS)
    return _repainted(surface, chosen, named_color(edit.color), 0.92 * min(edit.strength, 1), 0.9)


def eye_color(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """Irises of a named color."""
    chosen = np.flatnonzero(surface.parts == Part.EYE)
    local = points_of(surface)[chosen]
    local -= np.array(surface.frame.eye, np.float32) * np.stack(
        [np.sign(local[:, 0]), np.ones(len(local)), np.ones(len(local))], axis=1
    ).astype(np.float32)
    x, y, z = local.T
    radius = np.hypot(x, y)
    amount = smoothstep(IRIS_RADIUS_MM + 0.3, IRIS_RADIUS_MM - 0.3, radius) * (z > 0)
    amount *= smoothstep(PUPIL_RADIUS_MM - 0.2, PUPIL_RADIUS_MM + 0.4, radius)
    # The glint stays.
    amount *= smoothstep(1.0, 1.6, np.hypot(x + 2.2, y - 2.4))
    return _repainted(surface, chosen, named_color(edit.color), amount * min(edit.strength, 1), 0.6)


def lip_color(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """Lipstick of a named color."""
    chosen = surface.parts == Part.LIPS
    return _repainted(surface, chosen, named_color(edit.color), 0.9 * min(edit.strength, 1), 0.6)


def _dyed(surface: HeadSurface, color: Albedo, strength: float) -> HeadSurface:
    strength = min(strength, 1)
    for part, share in ((Part.HAIR, 1.0), (Part.BEARD, 0.85), (Part.BROW, BROW_SHARE)):
        surface = _repainted(surface, surface.parts == part, color, share * strength, 0.75)
    return surface


def _with_shirt(surface: HeadSurface, color: Albedo, strength: float) -> HeadSurface:
    return _repainted(surface, surface.parts == Part.SHIRT, color, min(strength, 1), 0.25)


def _repainted(
    surface: HeadSurface,
    chosen: np.ndarray,
    color: Albedo,
    amount: Scalars | float,
    contrast: float,
) -> HeadSurface:
    """Give vertices a new color. Relative brightness is kept, raised to the power `contrast`."""
    albedo = surface.albedo.copy()
    old = albedo[chosen]
    if len(old):
        brightness = luminance(old)
        relative = np.clip(brightness / max(float(np.median(brightness)), 1e-4), 0.1, 3)
        target = np.clip(color * relative[:, None] ** np.float32(contrast), 0, 1)
        share = np.asarray(amount, np.float32)
        if share.ndim:
            share = share[:, None]
        albedo[chosen] = old + share * (target - old)
    return replace(surface, albedo=albedo)
