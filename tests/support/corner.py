"""Photographs of a textured corner of a room, rendered exactly by homographies."""

from pathlib import Path

import cv2
import numpy as np
from headstyle.base.cameras import Cameras
from numpy.typing import NDArray
from PIL import ExifTags, Image

FOCAL_MM, SENSOR_MM = 30.0, 24.0
LONG_SIDE_PX = 320
TARGET = np.array([0.3, 0.3, 0.3])
RADIUS = 1.9
_SUPERSAMPLING = 2
_TEXTURE_PX = 512


def corner_cameras(landscape: int = 1) -> Cameras:
    """Two rows of four cameras around the corner; the last `landscape` of them are landscape."""
    names, sizes, intrinsics, poses = [], [], [], []
    places = [(a, e) for e in (22.0, 38.0) for a in (24.0, 38.0, 52.0, 66.0)]
    for i, (azimuth_deg, elevation_deg) in enumerate(places):
        upright = i < len(places) - landscape
        long, short = LONG_SIDE_PX, LONG_SIDE_PX * 3 // 4
        width, height = (short, long) if upright else (long, short)
        focal_px = FOCAL_MM / SENSOR_MM * LONG_SIDE_PX
        azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
        ray = np.array(
            [
                np.cos(elevation) * np.cos(azimuth),
                np.cos(elevation) * np.sin(azimuth),
                np.sin(elevation),
            ]
        )
        names.append(f"v{i}")
        sizes.append((width, height))
        intrinsics.append([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]])
        poses.append(look_at(TARGET + RADIUS * ray, TARGET))
    return Cameras(tuple(names), np.array(sizes), np.array(intrinsics), np.array(poses))


def look_at(center: NDArray, target: NDArray) -> NDArray:
    """OpenCV world_to_camera of an upright camera; the world's z is up."""
    forward = (target - center) / np.linalg.norm(target - center)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ center
    return pose


def write_corner(folder: Path, cameras: Cameras, seed: int = 1) -> None:
    """Write `{view}.jpg` with the focal length in EXIF."""
    folder.mkdir(parents=True, exist_ok=True)
    textures = [_texture(seed * 10 + face) for face in range(3)]
    for i, name in enumerate(cameras.names):
        exif = Image.Exif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        details[ExifTags.Base.FocalLength] = FOCAL_MM
        details[ExifTags.Base.FocalPlaneXResolution] = LONG_SIDE_PX / SENSOR_MM
        details[ExifTags.Base.FocalPlaneResolutionUnit] = 4
        pixels = _photograph(cameras, i, textures)
        Image.fromarray(pixels).save(folder / f"{name}.jpg", quality=95, exif=exif)


def _texture(seed: int) -> NDArray[np.uint8]:
    """Noise of every scale, so that features are found at any distance."""
    generator = np.random.default_rng(seed)
    texture = np.zeros((_TEXTURE_PX, _TEXTURE_PX, 3))
    for cells in (8, 16, 32, 64, 128):
        noise = generator.uniform(-1, 1, (cells, cells, 3))
        size = (_TEXTURE_PX, _TEXTURE_PX)
        texture += cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC) * (16 / cells) ** 0.3
    return np.uint8(np.clip(127 + 50 * texture, 0, 255))


def _photograph(cameras: Cameras, i: int, textures: list[NDArray]) -> NDArray[np.uint8]:
    width, height = cameras.sizes[i] * _SUPERSAMPLING
    matrix = np.diag([_SUPERSAMPLING, _SUPERSAMPLING, 1.0]) @ cameras.intrinsics[i]
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    to_integer_centers = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])
    from_integer_centers = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]]) / _TEXTURE_PX
    from_integer_centers[2, 2] = 1
    for face, texture in enumerate(textures):
        # Texture coordinates run along the two axes that span the face.
        plane = np.zeros((4, 3))
        plane[[(face + 1) % 3, (face + 2) % 3], [0, 1]] = 1
        plane[3, 2] = 1
        homography = matrix @ cameras.world_to_camera[i, :3] @ plane
        cv2.warpPerspective(
            texture,
            to_integer_centers @ homography @ from_integer_centers,
            (int(width), int(height)),
            dst=image,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
    size = tuple(int(side) for side in cameras.sizes[i])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
