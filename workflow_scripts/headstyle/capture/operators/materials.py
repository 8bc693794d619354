"""Operators that change what a head is made of: stone."""

from dataclasses import replace

import numpy as np

from headstyle.capture.operators.base import Edit, blended, linear, luminance, noise_of, points_of
from headstyle.capture.shapes import smoothstep, vertex_normals
from headstyle.capture.surface import MM, HeadSurface

STONE = (0.60, 0.60, 0.595)
STONE_ROUGHNESS_MM = 0.5


def stone(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P3: grey stone throughout, eyes and clothes too, with speckles, veins and a rough face."""
    noise, p = noise_of(surface.who.seed), points_of(surface)
    mottled = noise.fractal(p, 45, 3, 1)
    grain = noise(p, 3.4, 2)
    vein = smoothstep(0.10, 0.02, np.abs(noise(p, 70, 3) + 0.25 * noise(p, 14, 4)))
    specks = smoothstep(1.7, 2.2, noise(p, 4.6, 5))
    # A trace of the old light and dark, so that brows and lips remain as if carved and weathered.
    brightness = luminance(surface.albedo)
    trace = np.clip(brightness / max(float(np.median(brightness)), 1e-3), 0, 1.5) ** 0.5
    tone = (0.78 + 0.22 * trace) * (1 + 0.10 * mottled + 0.13 * grain)
    tone *= (1 - 0.42 * vein) * (1 - 0.5 * specks)
    target = linear(*STONE) * np.clip(tone, 0.15, 1.8)[:, None]
    albedo = blended(surface.albedo, target, edit.strength)
    rough = STONE_ROUGHNESS_MM * edit.strength * (0.6 * grain - 1.2 * specks)
    normals = vertex_normals(p, surface.faces)
    return replace(
        surface, albedo=albedo, vertices=surface.vertices + (rough * MM)[:, None] * normals
    )
