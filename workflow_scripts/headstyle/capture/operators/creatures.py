"""Operators that turn a head into another creature: rabbit and elf."""

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
    luminance,
    noise_of,
    points_of,
    with_pieces,
)
from headstyle.capture.operators.pieces import Leaf, leaf_mesh, outward, ring_faces, whisker_mesh
from headstyle.capture.primitives.noise import Noise
from headstyle.capture.primitives.shapes import Points, Scalars, smoothstep, vertex_normals
from headstyle.capture.surface import MM, HeadSurface, Part

FURS = ((0.60, 0.43, 0.29), (0.60, 0.58, 0.57), (0.93, 0.91, 0.88))
"""Brown, grey and white fur, for heads with dark, medium and bright hair."""
PALE_FUR = (0.95, 0.93, 0.90)
PINK = (0.93, 0.58, 0.60)
NOSE_PINK = (0.88, 0.42, 0.46)
DARK_EYE = (0.10, 0.06, 0.05)
PALE_SKIN = (0.95, 0.84, 0.77)


def rabbit(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P1: fur over skin and hair, two long ears with pink inside, a small pink nose, whiskers."""
    strength, frame = edit.strength, surface.frame
    noise, p = noise_of(surface.who.seed), points_of(surface)
    fur = like_hair(*FURS, hair=surface.who.hair)
    furry = is_part(surface, Part.SKIN, Part.LIPS, Part.BEARD, Part.BROW, Part.HAIR)
    chosen = np.flatnonzero(furry)
    q = p[chosen]
    tufts = _tufts(q, noise)
    albedo = surface.albedo.copy()
    coat = _coat(q, surface.parts[chosen] != Part.HAIR, surface, fur, tufts)
    albedo[chosen] = blended(albedo[chosen], coat, strength)
    eyes = np.flatnonzero(surface.parts == Part.EYE)
    albedo[eyes] = _dark_eyes(p[eyes], albedo[eyes], surface, strength)

    normals = vertex_normals(p, surface.faces)[chosen]
    offsets = (0.9 * strength * tufts)[:, None] * normals + strength * _muzzle_offsets(q, surface)
    vertices = surface.vertices.copy()
    vertices[chosen] += offsets.astype(np.float64) * MM
    skin = np.flatnonzero(surface.parts == Part.SKIN)
    vertices[skin] += strength * _flat_ears(p[skin], surface).astype(np.float64) * MM
    surface = replace(surface, vertices=vertices, albedo=albedo)
    pieces = [
        *(_rabbit_ear(side, fur, noise, strength) for side in (-1, 1)),
        *(_cheek(side, surface, fur, noise, strength) for side in (-1, 1)),
        *_whiskers(frame.nose_tip, strength),
    ]
    return with_pieces(surface, *pieces)


def elf(surface: HeadSurface, edit: Edit) -> HeadSurface:
    """P2: long pointed ears, paler skin, finer features, brows and eyes that slant upwards."""
    strength, p = edit.strength, points_of(surface)
    skin = is_part(surface, Part.SKIN, Part.LIPS)
    pale = linear(*PALE_SKIN)
    shade = luminance(surface.albedo[skin])
    typical = max(float(np.median(shade)), 1e-3)
    target = pale * np.clip(shade / typical, 0.2, 1.25)[:, None] ** np.float32(0.8)
    albedo = surface.albedo.copy()
    albedo[skin] = blended(albedo[skin], target, 0.7 * min(strength, 1.2))

    face = np.flatnonzero(is_part(surface, Part.SKIN, Part.LIPS, Part.BEARD, Part.BROW))
    vertices = surface.vertices.copy()
    offsets = strength * _fine_offsets(p[face], surface)
    vertices[face] += offsets.astype(np.float64) * MM
    skin_tone = np.median(albedo[surface.parts == Part.SKIN], axis=0)
    surface = replace(surface, vertices=vertices, albedo=albedo)
    ears = [_elf_ear(side, surface, skin_tone, strength) for side in (-1, 1)]
    return with_pieces(surface, *ears)


def _tufts(q: Points, noise: Noise) -> Scalars:
    """Short fur that points down and back: noise stretched along the strands."""
    combed = q * np.array([1, 0.32, 0.5], np.float32) + np.float32(0.25) * q[:, [1, 2, 1]]
    return 0.65 * noise(combed, 3.6, 11) + 0.5 * noise(combed, 7.5, 12)


def _coat(
    q: Points, bare: NDArray[np.bool_], surface: HeadSurface, fur: Albedo, tufts: Scalars
) -> Albedo:
    """The colors of fur: pale around the muzzle and the eyes, pink at the nose [linear]."""
    frame = surface.frame
    x, y, z = np.abs(q[:, 0]), q[:, 1], q[:, 2]
    _, nose_y, nose_z = frame.nose_tip
    muzzle = np.exp(-((x / 34) ** 2) - ((y - frame.mouth_y - 6) / 28) ** 2)
    muzzle *= smoothstep(30, 65, z)
    eyes = np.exp(-(((x - frame.eye[0]) / 19) ** 2) - ((y - frame.eye[1]) / 14) ** 2)
    pale = np.clip(muzzle + 0.8 * eyes * smoothstep(30, 55, z), 0, 1)
    throat = smoothstep(-95, -125, y) * smoothstep(-10, 30, z) * bare
    color = fur + np.maximum(pale, throat)[:, None] * (linear(*PALE_FUR) - fur)
    color = color * np.exp(np.float32(0.30) * tufts)[:, None]
    # A small nose, and the line that runs from it down to the lips.
    nose = smoothstep(1.15, 0.85, np.hypot(x / 10.5, (y - nose_y + 1) / 8.0))
    nose *= smoothstep(nose_z - 17, nose_z - 10, z)
    cleft = smoothstep(2.2, 1.0, x) * smoothstep(nose_y - 4, nose_y - 8, y)
    cleft *= smoothstep(frame.mouth_y - 5, frame.mouth_y - 1, y) * smoothstep(55, 70, z)
    lips = np.exp(-(((y - frame.mouth_y) / 2.0) ** 2)) * smoothstep(frame.mouth_half_width, 15, x)
    lips *= smoothstep(60, 72, z)
    color += nose[:, None] * (linear(*NOSE_PINK) - color)
    return color * (1 - 0.75 * np.maximum(cleft, lips))[:, None]


def _dark_eyes(p: Points, albedo: Albedo, surface: HeadSurface, strength: float) -> Albedo:
    """The colors of a rabbit's eye: all of it is iris, except for the glint."""
    eye_x, eye_y, _ = surface.frame.eye
    x = p[:, 0] - eye_x * np.sign(p[:, 0])
    glint = smoothstep(1.6, 1.0, np.hypot(x + 2.2, p[:, 1] - eye_y - 2.4))
    return blended(albedo, linear(*DARK_EYE), 0.92 * min(strength, 1) * (1 - glint))


def _muzzle_offsets(q: Points, surface: HeadSurface) -> Points:
    """The nose shrinks to a button on a rounded muzzle [mm]."""
    frame = surface.frame
    x, y, z = np.abs(q[:, 0]), q[:, 1], q[:, 2]
    nose_y = frame.nose_tip[1]
    ridge = np.exp(-((x / 13) ** 2)) * smoothstep(4, -22, y) * smoothstep(nose_y - 24, nose_y, y)
    ridge *= smoothstep(60, 80, z)
    cushion = np.exp(-(((x - 13) / 13) ** 2) - ((y - frame.mouth_y - 13) / 12) ** 2)
    cushion *= smoothstep(55, 75, z)
    offsets = np.zeros_like(q)
    offsets[:, 2] = 9 * cushion - 7.5 * ridge
    return offsets


def _flat_ears(q: Points, surface: HeadSurface) -> Points:
    """Human ears lie down against the head [mm]."""
    x, (ear_x, ear_y, ear_z) = np.abs(q[:, 0]), surface.frame.ear
    ear = smoothstep(46, 34, np.hypot(q[:, 1] - ear_y, q[:, 2] - ear_z))
    ear *= smoothstep(-6, 2, x - ear_x)
    offsets = np.zeros_like(q)
    offsets[:, 0] = -np.sign(q[:, 0]) * ear * np.maximum(x - ear_x + 5, 0)
    return offsets


def _cheek(side: int, surface: HeadSurface, fur: Albedo, noise: Noise, strength: float) -> Piece:
    """A cushion of fur over the place where the human ear was."""
    rings, spokes = 28, 44
    polar = np.linspace(1e-3, np.pi - 1e-3, rings)[:, None]
    around = np.linspace(0, 2 * np.pi, spokes, endpoint=False)[None, :]
    ball = np.stack(
        [
            np.cos(polar) * np.ones_like(around),
            np.sin(polar) * np.cos(around),
            np.sin(polar) * np.sin(around),
        ],
        axis=-1,
    ).reshape(-1, 3)
    x, y, z = surface.frame.ear
    center = np.array([side * (x - 10), y - 6, z + 1])
    vertices, faces, _ = outward(
        center + min(strength, 1) * ball * (13, 41, 33),
        ring_faces(rings, spokes),
        np.zeros(rings * spokes),
    )
    tufts = _tufts(vertices, noise)
    rough = (0.9 * tufts)[:, None] * vertex_normals(vertices, faces)
    return Piece(vertices + rough, faces, fur * np.exp(np.float32(0.30) * tufts)[:, None])


def _grown(strength: float) -> float:
    """Relative length of the ears at a strength. Small strengths show above the hair already."""
    return min(strength, 1.3) ** 0.6


def _rabbit_ear(side: int, fur: Albedo, noise: Noise, strength: float) -> Piece:
    size = _grown(strength)
    leaf = Leaf(
        base=(side * 33, 88, -8),
        direction=(side * 0.20, 1, -0.12),
        front=(side * 0.30, 0, 1),
        length=126 * size,
        half_width=25 * size**0.7,
        fullness=0.50,
        cup=11,
        bend=-14 * size,
        thickness=4.5,
    )
    vertices, faces, hollow = leaf_mesh(leaf)
    tufts = _tufts(vertices, noise)
    coat = fur * np.exp(np.float32(0.30) * tufts)[:, None]
    inside = linear(*PINK) * (1 + 0.06 * tufts)[:, None]
    normals = vertex_normals(vertices, faces)
    rough = (0.9 * tufts * (1 - hollow))[:, None]
    return Piece(vertices + rough * normals, faces, coat + hollow[:, None] * (inside - coat))


def _whiskers(nose_tip: tuple[float, float, float], strength: float) -> list[Piece]:
    _, y, z = nose_tip
    pieces = []
    for side in (-1, 1):
        for rise, drop in ((20, 3), (6, 0), (-9, -3)):
            start = (side * 15, y - 17 + drop, z - 19)
            end = (side * (15 + 62 * strength), y - 17 + drop + rise * strength, z - 27)
            vertices, faces, _ = whisker_mesh(start, end, 8 * strength, 0.75)
            pieces.append(Piece(vertices, faces, np.full(vertices.shape, 0.75, np.float32)))
    return pieces


def _fine_offsets(q: Points, surface: HeadSurface) -> Points:
    """Narrower jaw and nose, higher cheekbones, outer corners of eyes and brows up [mm]."""
    frame = surface.frame
    x, y, z = np.abs(q[:, 0]), q[:, 1], q[:, 2]
    front = smoothstep(-10, 30, z)
    jaw = np.exp(-(((y + 88) / 34) ** 2)) * front
    nose = np.exp(-((x / 17) ** 2) - ((y - frame.nose_tip[1]) / 17) ** 2) * smoothstep(70, 84, z)
    cheek = np.exp(-(((x - 50) / 16) ** 2) - ((y + 16) / 12) ** 2) * front
    eye_x, eye_y, _ = frame.eye
    beside = np.clip((x - eye_x) / 14, -1, 1.6)
    eye = np.exp(-(((x - eye_x) / 24) ** 2) - ((y - eye_y) / 13) ** 2) * smoothstep(35, 55, z)
    brow = np.exp(-(((y - 24) / 11) ** 2)) * smoothstep(18, 60, x) * smoothstep(20, 45, z)
    offsets = np.zeros_like(q)
    narrower = -0.15 * x * jaw - 0.22 * x * nose + 2.0 * cheek
    offsets[:, 0] = np.sign(q[:, 0]) * narrower
    offsets[:, 1] = 2.6 * eye * beside + 8.0 * brow + 2.0 * cheek - 2.5 * jaw * smoothstep(30, 5, x)
    offsets[:, 2] = 2.0 * cheek
    return offsets


def _elf_ear(side: int, surface: HeadSurface, skin: Albedo, strength: float) -> Piece:
    x, y, z = surface.frame.ear
    leaf = Leaf(
        base=(side * (x - 8), y - 4, z - 2),
        direction=(side * 0.62, 0.80, -0.42),
        front=(side * 0.75, -0.2, 1),
        length=92 * _grown(strength),
        half_width=19,
        fullness=0.36,
        cup=6,
        bend=-6,
        thickness=2.6,
    )
    vertices, faces, hollow = leaf_mesh(leaf)
    pinker = skin * np.array([0.92, 0.70, 0.66], np.float32)
    return Piece(vertices, faces, skin + (0.6 * hollow)[:, None] * (pinker - skin))
