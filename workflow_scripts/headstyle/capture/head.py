"""The textured head of a seed: sculpted, perhaps edited, and lit, ready to be photographed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstyle.base.images import to_linear
from headstyle.capture import anatomy, clothes, hair, mouth, paint
from headstyle.capture.anatomy import FaceFrame
from headstyle.capture.identity import Identity, draw_identity
from headstyle.capture.lighting import irradiance
from headstyle.capture.operators import Edit, edit_surface
from headstyle.capture.primitives.noise import Noise
from headstyle.capture.primitives.shapes import Points, mesh_of, vertex_normals
from headstyle.capture.surface import MM, HeadSurface, Part

__all__ = [
    "HeadMesh",
    "HeadSurface",
    "Part",
    "light_surface",
    "sculpt_head",
    "synthesize_head",
]

HEAD_SPACING_MM = 1.6
HAIR_SPACING_MM = 2.0
CLOTHES_SPACING_MM = 2.8
EYE_RINGS = 90


@dataclass(frozen=True)
class HeadMesh:
    """A head with shoulders: x to the viewer's right, y up, z out of the face [m]."""

    vertices: NDArray[np.float64]
    """Shape `(V, 3)`."""
    faces: NDArray[np.int64]
    """Triangles, counter-clockwise seen from outside. Shape `(F, 3)`."""
    albedo: NDArray[np.float32]
    """Linear reflectance in [0, 1]. Shape `(V, 3)`."""
    irradiance: NDArray[np.float32]
    """Linear light that arrives, shadows included. Shape `(V, 3)`."""
    parts: NDArray[np.uint8]
    """The `Part` of each vertex, so that an edit can recolour one of them. Shape `(V,)`."""

    @property
    def radiance(self) -> NDArray[np.float32]:
        """Linear light that leaves each vertex, the same in all directions. Shape `(V, 3)`."""
        return self.albedo * self.irradiance


@dataclass(frozen=True)
class _Piece:
    vertices: Points
    faces: NDArray[np.int64]
    colors: paint.Colors
    """sRGB. Shape `(V, 3)`."""
    parts: NDArray[np.uint8]


def synthesize_head(seed: int, coarseness: float = 1.0, edit: Edit | None = None) -> HeadMesh:
    """The lit head of a seed, edited if an edit is given. See `sculpt_head` and `edit_surface`."""
    surface = sculpt_head(seed, coarseness)
    return light_surface(edit_surface(surface, edit) if edit else surface)


def sculpt_head(seed: int, coarseness: float = 1.0) -> HeadSurface:
    """The head of a seed. The same seed gives the same head; other seeds differ in every trait.

    Args:
        seed: 1 or more.
        coarseness: How many times longer the triangles' edges are than the capture's 0.8 mm in
            the face. Values above 1 serve previews, training and tests.
    """
    who = draw_identity(seed)
    frame = FaceFrame.of(who)
    noise = Noise(seed)
    pieces = [
        _skin(who, frame, noise, coarseness),
        *(_eye(who, frame, noise, side, coarseness) for side in (-1, 1)),
        *([] if who.hairstyle == "bald" else [_hair(who, frame, noise, coarseness)]),
        _shirt(who, noise, coarseness),
    ]
    starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces[:-1])])
    return HeadSurface(
        vertices=np.concatenate([piece.vertices for piece in pieces]).astype(np.float64) * MM,
        faces=np.concatenate(
            [piece.faces + start for piece, start in zip(pieces, starts, strict=True)]
        ),
        albedo=to_linear(np.clip(np.concatenate([piece.colors for piece in pieces]), 0, 1)),
        parts=np.concatenate([piece.parts for piece in pieces]),
        who=who,
        frame=frame,
    )


def light_surface(surface: HeadSurface) -> HeadMesh:
    """The head in the light of the photo studio."""
    light = irradiance(surface.vertices, surface.faces, surface.albedo)
    return HeadMesh(surface.vertices, surface.faces, surface.albedo, light, surface.parts)


def _skin(who: Identity, frame: FaceFrame, noise: Noise, coarseness: float) -> _Piece:
    vertices, faces = mesh_of(
        lambda p: anatomy.bare_head(_uneven(p, noise), who, frame),
        (-100, -192, -120),
        (100, 130, 125),
        HEAD_SPACING_MM * coarseness,
        _quick(who, coarseness),
    )
    p = _uneven(vertices, noise)
    lips = paint.lip_amount(p, frame)
    beard = (1 - lips) * paint.beard_amount(p, who, frame, noise)
    brow = paint.brow_amount(p, who, noise)
    colors = paint.skin_color(p, who, frame, noise)
    dark_hair = np.array(who.hair, np.float32) * np.float32(0.75)
    scalp = 0.85 * hair.hairline_amount(p, who, noise)
    for amount, layer in (
        (scalp, dark_hair),
        (lips, paint.lip_color(p, who, frame, noise)),
        (beard, paint.beard_color(p, who, noise)),
        (brow, dark_hair),
        (paint.lash_amount(p, frame), dark_hair * np.float32(0.4)),
    ):
        colors += amount.astype(np.float32)[:, None] * (layer - colors)
    parts = np.full(len(p), Part.SKIN, dtype=np.uint8)
    for amount, part in (
        (scalp, Part.HAIR),
        (lips, Part.LIPS),
        (beard, Part.BEARD),
        (brow, Part.BROW),
    ):
        parts[amount > 0.5] = part
    if who.beard:
        # A beard stands out from the chin and is rough.
        rough = 1 + 0.22 * noise(p, 5, 31) + 0.12 * noise(p, 2.6, 32)
        raised = 7.0 * who.beard**2 * beard**2 * rough
        vertices = vertices + raised.astype(np.float32)[:, None] * vertex_normals(vertices, faces)
    if who.mouth_opening_mm:
        vertices, colors = _mouth_opened(vertices, colors, p, who, frame)
    if who.hairstyle == "bald":
        return _Piece(vertices, faces, colors, parts)
    hidden = hair.hair_solid(vertices, who, frame, noise) < -6
    return _without(_Piece(vertices, faces, colors, parts), hidden)


def _mouth_opened(
    vertices: Points, colors: NDArray[np.float32], p: Points, who: Identity, frame: FaceFrame
) -> tuple[Points, paint.Colors]:
    """Part the lips a little and color the groove between them."""
    gap = mouth.mouth_gap(p, frame)
    opening = who.mouth_opening_mm
    offsets = mouth.parting_offsets(p, frame, gap, 0.35 * opening, 0.65 * opening)
    inside = np.array(mouth.TOOTH, np.float32) * (0.55 * mouth.tooth_shade(p, frame))[:, None]
    shown = (gap * np.float32(min(1, opening / 2)))[:, None]
    return vertices + offsets, colors + shown * (inside - colors)


def _eye(who: Identity, frame: FaceFrame, noise: Noise, side: int, coarseness: float) -> _Piece:
    vertices, faces = paint.eyeball(frame, side, rings=max(24, round(EYE_RINGS / coarseness)))
    local = vertices - np.array(frame.eye, np.float32) * np.array([side, 1, 1], np.float32)
    colors = paint.eye_color(local, who, noise)
    return _Piece(vertices, faces, colors, np.full(len(vertices), Part.EYE, dtype=np.uint8))


def _hair(who: Identity, frame: FaceFrame, noise: Noise, coarseness: float) -> _Piece:
    vertices, faces = mesh_of(
        lambda p: hair.hair_solid(p, who, frame, noise),
        (-130, hair.style_of(who).bottom - 25, -160),
        (130, 165, 130),
        HAIR_SPACING_MM * coarseness,
        _quick(who, coarseness),
    )
    colors = paint.hair_color(vertices, who, noise)
    relief = hair.hair_relief(vertices, who, noise)
    vertices = vertices + relief[:, None] * vertex_normals(vertices, faces)
    hidden = anatomy.bare_head(_uneven(vertices, noise), who, frame) < -3
    parts = np.full(len(vertices), Part.HAIR, dtype=np.uint8)
    return _without(_Piece(vertices, faces, colors, parts), hidden)


def _shirt(who: Identity, noise: Noise, coarseness: float) -> _Piece:
    vertices, faces = mesh_of(
        lambda p: clothes.torso(p, who, noise),
        (-200, -290, -150),
        (200, -120, 110),
        CLOTHES_SPACING_MM * coarseness,
        _quick(who, coarseness),
    )
    colors = clothes.cloth_color(vertices, who, noise)
    relief = clothes.cloth_relief(vertices, noise)
    vertices = vertices + relief[:, None] * vertex_normals(vertices, faces)
    return _Piece(vertices, faces, colors, np.full(len(vertices), Part.SHIRT, dtype=np.uint8))


def _quick(who: Identity, coarseness: float) -> bool:
    """Whether approximate meshes suffice. Training draws many coarse heads."""
    return coarseness > 1 and not who.reserved


def _without(piece: _Piece, hidden: NDArray[np.bool_]) -> _Piece:
    """The piece without the triangles whose three corners are hidden inside another piece."""
    faces = piece.faces[~hidden[piece.faces].all(axis=1)]
    is_used = np.zeros(len(hidden), dtype=bool)
    is_used[faces] = True
    used = np.flatnonzero(is_used)
    position = np.zeros(len(hidden), dtype=np.int64)
    position[used] = np.arange(len(used))
    return _Piece(piece.vertices[used], position[faces], piece.colors[used], piece.parts[used])


def _uneven(p: Points, noise: Noise) -> Points:
    """Positions shifted by about a millimetre, because no face is quite symmetric."""
    bend = np.stack([noise(p, 110, 33), noise(p, 110, 34), noise(p, 110, 35)], axis=1)
    return p + np.float32(1.1) * bend
