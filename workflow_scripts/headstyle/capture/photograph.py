"""Photographs of a head: Embree casts the rays, and the baked colours give their light."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational
from scipy import ndimage

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage, to_linear, to_srgb
from headstyle.capture.head import HeadMesh
from headstyle.capture.rig import CaptureSettings

NO_HIT = -1
FULL_FRAME_DIAGONAL_MM = 43.2666
SCREEN_COLOR = (0.12, 0.62, 0.20)
"""The green screen [sRGB], at the middle of the frame."""


@dataclass(frozen=True)
class Photograph:
    """One view of the head, with its true mask and depth."""

    rgb: NDArray[np.uint8]
    """sRGB, with the green screen as background. Shape `(H, W, 3)`."""
    mask: NDArray[np.bool_]
    """Whether the ray through the pixel's centre meets the head. Shape `(H, W)`."""
    depth: NDArray[np.float32]
    """z in the camera of the point that the ray meets [m], 0 where it misses. Shape `(H, W)`."""


def scene_of(mesh: HeadMesh) -> EmbreeScene:
    """The mesh, ready for casting rays."""
    scene = EmbreeScene()
    TriangleMesh(scene, mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))
    return scene


def photograph(
    mesh: HeadMesh,
    scene: EmbreeScene,
    cameras: Cameras,
    view: int,
    samples_per_side: int,
    seed: int = 0,
) -> Photograph:
    """Photograph the head from one of the cameras.

    Args:
        mesh: The head, in the world of the cameras.
        scene: `scene_of(mesh)`.
        cameras: The rig.
        view: Which of its cameras.
        samples_per_side: Rays per side of a pixel; their colours are averaged in linear light.
        seed: Seed of the sensor noise.
    """
    width, height = (int(n) for n in cameras.sizes[view])
    centers = pixel_centers(width, height)
    hits = cast_rays(scene, cameras, view, centers)
    mask = (hits.triangles != NO_HIT).reshape(height, width)
    depth = _depth(mesh, hits, cameras.world_to_camera[view]).reshape(height, width)

    linear = _screen(width, height)
    # Only pixels on the head or near it need the finer rays.
    touched = np.flatnonzero(ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=2))
    total = np.zeros((len(touched), 3))
    offsets = (np.arange(samples_per_side) + 0.5) / samples_per_side - 0.5
    for dy in offsets:
        for dx in offsets:
            fine = cast_rays(scene, cameras, view, centers[touched] + (dx, dy))
            total += _radiance(mesh, fine, linear.reshape(-1, 3)[touched])
    linear.reshape(-1, 3)[touched] = total / samples_per_side**2

    noise = np.random.default_rng([seed, view]).normal(0, 0.004, linear.shape)
    rgb = np.clip(to_srgb(linear) + noise, 0, 1)
    return Photograph(np.rint(rgb * 255).astype(np.uint8), mask, depth)


def photograph_views(
    mesh: HeadMesh, cameras: Cameras, samples_per_side: int
) -> Iterator[tuple[RgbaImage, NDArray[np.float32]]]:
    """Photograph the head alone from every camera, without screen and sensor noise.

    Args:
        mesh: The head, in the world of the cameras.
        cameras: Where to photograph it from.
        samples_per_side: Rays per side of a pixel; light and alpha are averaged over them.

    Yields:
        One view after the other: image and depth. The image is black where alpha is 0. The depth is
        z in the camera at the pixels' centres [m], 0 where there is no head. Shape `(H, W)`.
    """
    scene = scene_of(mesh)
    offsets = (np.arange(samples_per_side) + 0.5) / samples_per_side - 0.5
    for view in range(len(cameras)):
        width, height = (int(n) for n in cameras.sizes[view])
        centers = pixel_centers(width, height)
        hits = cast_rays(scene, cameras, view, centers)
        depth = _depth(mesh, hits, cameras.world_to_camera[view]).reshape(height, width)
        touched = np.flatnonzero(ndimage.binary_dilation(depth > 0, np.ones((3, 3)), iterations=2))
        light = np.zeros((len(touched), 3))
        covered = np.zeros(len(touched))
        for dx, dy in product(offsets, offsets):
            fine = cast_rays(scene, cameras, view, centers[touched] + (dx, dy))
            light += _radiance(mesh, fine, np.zeros((len(touched), 3)))
            covered += fine.triangles != NO_HIT
        image = np.zeros((height * width, 4), dtype=np.float32)
        image[touched, :3] = to_srgb(light / np.maximum(covered, 1)[:, None])
        image[touched, 3] = covered / samples_per_side**2
        yield image.reshape(height, width, 4), depth


def pixel_centers(width: int, height: int) -> NDArray[np.float64]:
    """Centers (x, y) of all pixels, row by row. Shape `(H * W, 2)`."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.asarray(np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5, np.float64)


@dataclass(frozen=True)
class Hits:
    """What R rays meet first."""

    triangles: NDArray[np.int32]
    """Triangle each ray meets first, or NO_HIT. Shape `(R,)`."""
    weights: NDArray[np.float32]
    """Barycentric weights of its corners. Shape `(R, 3)`."""


def cast_rays(scene: EmbreeScene, cameras: Cameras, view: int, pixels: NDArray[np.float64]) -> Hits:
    """Cast a ray through each place (x, y) of one camera's image [px]. Shape `(R, 2)`."""
    pose = cameras.world_to_camera[view]
    in_camera = np.linalg.solve(
        cameras.intrinsics[view], np.concatenate([pixels.T, np.ones((1, len(pixels)))])
    )
    directions = (pose[:3, :3].T @ in_camera).T
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origins = np.broadcast_to(cameras.centers[view], directions.shape)
    found = scene.run(
        np.ascontiguousarray(origins, dtype=np.float32), directions.astype(np.float32), output=True
    )
    u, v = found["u"], found["v"]
    return Hits(found["primID"], np.stack([1 - u - v, u, v], axis=1))


def _depth(mesh: HeadMesh, hits: Hits, pose: NDArray[np.float64]) -> NDArray[np.float32]:
    vertex_depth = mesh.vertices @ pose[2, :3] + pose[2, 3]
    hit = hits.triangles != NO_HIT
    depth = np.zeros(len(hit), dtype=np.float32)
    corners = vertex_depth[mesh.faces[hits.triangles[hit]]]
    depth[hit] = np.einsum("rc,rc->r", corners, hits.weights[hit])
    return depth


def _radiance(mesh: HeadMesh, hits: Hits, behind: NDArray[np.float64]) -> NDArray[np.float64]:
    radiance = behind.copy()
    hit = hits.triangles != NO_HIT
    corners = mesh.radiance[mesh.faces[hits.triangles[hit]]]
    radiance[hit] = np.einsum("rck,rc->rk", corners, hits.weights[hit])
    return radiance


def _screen(width: int, height: int) -> NDArray[np.float64]:
    """Linear light of the green screen: even, a little darker towards the corners."""
    x = np.linspace(-1, 1, width)[None, :]
    y = np.linspace(-1, 1, height)[:, None]
    falloff = 1 - 0.10 * (x * x + y * y)
    return falloff[..., None] * to_linear(np.array(SCREEN_COLOR))


def write_jpeg(path: Path, rgb: NDArray[np.uint8], settings: CaptureSettings) -> None:
    """Write a photograph with the EXIF tags of a camera: make, orientation, focal length, sensor.

    A reader gets the focal length in pixels from FocalLength and the focal plane's resolution.
    FocalLengthIn35mmFilm gives it to the nearest millimetre.
    """
    width, height = settings.size_px
    diagonal_mm = settings.sensor_long_side_mm * np.hypot(width, height) / height
    pixels_per_cm = settings.long_side_px / settings.sensor_long_side_mm * 10
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "headstyle"
    exif[ExifTags.Base.Model] = "procedural APS-C"
    exif[ExifTags.Base.Orientation] = 1
    lens = exif.get_ifd(ExifTags.IFD.Exif)
    lens[ExifTags.Base.FocalLength] = _rational(settings.focal_length_mm)
    lens[ExifTags.Base.FocalLengthIn35mmFilm] = round(
        settings.focal_length_mm * FULL_FRAME_DIAGONAL_MM / diagonal_mm
    )
    lens[ExifTags.Base.FocalPlaneXResolution] = _rational(pixels_per_cm)
    lens[ExifTags.Base.FocalPlaneYResolution] = _rational(pixels_per_cm)
    lens[ExifTags.Base.FocalPlaneResolutionUnit] = 3  # pixels per centimetre
    lens[ExifTags.Base.ExifImageWidth] = width
    lens[ExifTags.Base.ExifImageHeight] = height
    Image.fromarray(rgb).save(path, quality=settings.jpeg_quality, subsampling=0, exif=exif)


def _rational(value: float) -> IFDRational:
    return IFDRational(round(value * 1000), 1000)
