"""Ladders of known inconsistency between views.

Every ladder takes consistent views and makes them differ from each other by a known amount. The
amount grows linearly with the level. Random numbers are drawn once per view and seed and are the
same on all levels. So two levels differ only in their amount.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from headstyle.base.images import RgbaImage
from headstyle.calibration.fields import (
    colors_from_lab,
    continued_colors,
    moved_colors,
    moved_image,
    smooth_field,
    solid_field,
)
from headstyle.calibration.scenes import NO_EDIT, EditedViews
from headstyle.capture.head import HeadMesh
from headstyle.capture.photograph import photograph_views


@dataclass(frozen=True)
class Ladder:
    """One kind of inconsistency."""

    units: str
    """Unit of its amount."""
    apply: Callable[[EditedViews, float, np.random.Generator], list[RgbaImage]]
    """Makes the views inconsistent by an amount above 0."""
    needs_edit: bool = False
    """Whether it applies only to edited views."""


def climbed(
    views: EditedViews, ladder: str, amount: float, rng: np.random.Generator
) -> EditedViews:
    """The views at one amount of a ladder. An amount of 0 does not change them."""
    if amount == 0:
        return views
    return views.with_images(LADDERS[ladder].apply(views, amount, rng))


def color_shift(views: EditedViews, amount: float, rng: np.random.Generator) -> list[RgbaImage]:
    """Every view gets its own constant added in CIELAB, of length `amount` [ΔE76].

    The directions come in opposite pairs, so that no seed shifts all views alike.
    """
    shifted = []
    for image, direction in zip(views.edited, _directions(len(views.edited), 3, rng), strict=True):
        lab = rgb2lab(image[..., :3]) + np.float32(amount * direction)
        colors = colors_from_lab(lab)
        shifted.append(np.concatenate([colors, image[..., 3:]], axis=2))
    return shifted


def displacement(views: EditedViews, amount: float, rng: np.random.Generator) -> list[RgbaImage]:
    """The colors of every view are moved by its own smooth field, `amount` [px] in rms."""
    return [
        moved_colors(
            image,
            np.float32(amount)
            * smooth_field(image.shape[0], image.shape[1], 0.12 * views.head_size_px, rng),
        )
        for image in views.edited
    ]


def texture(views: EditedViews, amount: float, rng: np.random.Generator) -> list[RgbaImage]:
    """Every view gets its own random texture added to its lightness, `amount` [ΔE76] in rms."""
    grained = []
    for image in views.edited:
        height, width = image.shape[:2]
        field = smooth_field(height, width, 0.012 * views.head_size_px, rng)[..., 0]
        lab = rgb2lab(image[..., :3])
        # Take one of the field's two components. Each has half of the mean square.
        lab[..., 0] = np.clip(lab[..., 0] + np.float32(amount * np.sqrt(2)) * field, 0, 100)
        colors = colors_from_lab(lab)
        grained.append(np.concatenate([colors, image[..., 3:]], axis=2))
    return grained


def local_blur(views: EditedViews, amount: float, rng: np.random.Generator) -> list[RgbaImage]:
    """Half of each view is blurred by a Gaussian of `amount` [px], in regions of its own."""
    blurred = []
    for image in views.edited:
        height, width = image.shape[:2]
        field = smooth_field(height, width, 0.15 * views.head_size_px, rng)[..., 0]
        # Soft borders: fully blurred and fully sharp regions of about the same area.
        share = np.clip(0.5 + 3 * field, 0, 1)[..., None]
        colors = continued_colors(image)
        soft = cv2.GaussianBlur(colors, (0, 0), amount)
        mixed = colors + share * (soft - colors)
        blurred.append(np.concatenate([mixed, image[..., 3:]], axis=2))
    return blurred


def misplaced_features(
    views: EditedViews, amount: float, rng: np.random.Generator
) -> list[RgbaImage]:
    """Mouth and eyes of every view are moved by `amount` [px], each in its own direction."""
    moved = []
    radius = 0.09 * views.head_size_px
    turns = rng.uniform(0, 2 * np.pi, (len(views.edited), len(views.features)))
    for view, image in enumerate(views.edited):
        offsets = np.zeros((*image.shape[:2], 2), dtype=np.float32)
        rows, columns = np.indices(image.shape[:2]) + 0.5
        for (x, y), turn in zip(_projected(views, view), turns[view], strict=True):
            distance = np.hypot(columns - x, rows - y) / radius
            # 1 on the feature, smoothly down to 0 at twice its radius.
            weight = np.clip(2 - distance, 0, 1)
            weight = weight * weight * (3 - 2 * weight)
            offsets += np.float32(amount) * weight[..., None] * [np.cos(turn), np.sin(turn)]
        moved.append(moved_colors(image, offsets.astype(np.float32)))
    return moved


def style_strength(views: EditedViews, amount: float, rng: np.random.Generator) -> list[RgbaImage]:
    """Views keep different parts of the edit, in even steps from 1 − `amount` to 1."""
    blended = []
    drops = rng.permutation(np.linspace(0, 1, len(views.edited)))
    for image, plain, drop in zip(views.edited, views.unedited, drops, strict=True):
        share = np.float32(1 - amount * drop)
        alpha = share * image[..., 3:] + (1 - share) * plain[..., 3:]
        light = share * image[..., :3] * image[..., 3:]
        light += (1 - share) * plain[..., :3] * plain[..., 3:]
        blended.append(np.concatenate([light / np.maximum(alpha, 1e-6), alpha], axis=2))
    return blended


def left_unedited(views: EditedViews, amount: float, rng: np.random.Generator) -> list[RgbaImage]:
    """A fraction `amount` of the views, drawn at random, stays unedited."""
    order = rng.permutation(len(views.edited))
    plain = set(order[: round(amount * len(views.edited))].tolist())
    pairs = zip(views.edited, views.unedited, strict=True)
    return [before if view in plain else after for view, (after, before) in enumerate(pairs)]


def geometry(views: EditedViews, amount: float, rng: np.random.Generator) -> list[RgbaImage]:
    """Every view shows a different shape: the surface is displaced by a smooth field in space.

    The field's length is `amount` [px at the surface] in rms. Procedural heads are photographed
    again. The pixels of a capture's renders are moved by the projected field at their surface.
    """
    length = amount / views.pixels_per_unit
    wavelength = 1.2 * views.head_size_px / views.pixels_per_unit
    fields = [np.random.default_rng(seed) for seed in rng.integers(2**48, size=len(views.edited))]
    draw = _photographed_anew if views.mesh is not None else _moved_by_shape
    return [draw(views, view, length, wavelength, field) for view, field in enumerate(fields)]


LADDERS: Mapping[str, Ladder] = MappingProxyType(
    {
        "color_shift": Ladder("ΔE", color_shift),
        "displacement": Ladder("px", displacement),
        "texture": Ladder("ΔE", texture),
        "local_blur": Ladder("px", local_blur),
        "misplaced_features": Ladder("px", misplaced_features),
        "style_strength": Ladder("fraction", style_strength, needs_edit=True),
        "left_unedited": Ladder("fraction", left_unedited, needs_edit=True),
        "geometry": Ladder("px", geometry),
    }
)
"""All ladders by name."""


def fits(ladder: str, prompt: str) -> bool:
    """Whether a ladder applies to views of this prompt."""
    return prompt != NO_EDIT or not LADDERS[ladder].needs_edit


def _directions(count: int, dimensions: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Unit vectors in opposite pairs, in random order. Shape `(count, dimensions)`."""
    vectors = rng.standard_normal((-(-count // 2), dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return rng.permutation(np.concatenate([vectors, -vectors])[:count])


def _projected(views: EditedViews, view: int) -> NDArray[np.float64]:
    """Places of the features in a view [px]. Shape `(K, 2)`."""
    pose = views.cameras.world_to_camera[view]
    in_camera = views.features @ pose[:3, :3].T + pose[:3, 3]
    homogeneous = in_camera @ views.cameras.intrinsics[view].T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def _photographed_anew(
    views: EditedViews, view: int, length: float, wavelength: float, rng: np.random.Generator
) -> RgbaImage:
    mesh = views.mesh
    assert mesh is not None, "only a mesh is photographed anew"
    offsets = length * solid_field(mesh.vertices, wavelength, rng)
    bent = HeadMesh(mesh.vertices + offsets, mesh.faces, mesh.albedo, mesh.irradiance, mesh.parts)
    camera = views.cameras.select([views.cameras.names[view]])
    [(image, _)] = photograph_views(bent, camera, 2)
    return image


def _moved_by_shape(
    views: EditedViews, view: int, length: float, wavelength: float, rng: np.random.Generator
) -> RgbaImage:
    depth = views.depths[view]
    rows, columns = np.indices(depth.shape) + 0.5
    # The background moves with the nearest surface.
    z = np.where(depth > 0, depth, np.median(depth[depth > 0])).astype(np.float64)
    pixels = np.stack([columns * z, rows * z, z], axis=-1)
    rays = pixels @ np.linalg.inv(views.cameras.intrinsics[view]).T
    pose = views.cameras.world_to_camera[view]
    points = (rays - pose[:3, 3]) @ pose[:3, :3]
    offsets = length * solid_field(points.reshape(-1, 3), wavelength, rng).reshape(points.shape)
    there = (points + offsets) @ pose[:3, :3].T + pose[:3, 3]
    there = there @ views.cameras.intrinsics[view].T
    shift = there[..., :2] / there[..., 2:] - np.stack([columns, rows], axis=-1)
    return moved_image(views.edited[view], -shift.astype(np.float32))
