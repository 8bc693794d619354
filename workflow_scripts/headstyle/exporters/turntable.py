"""A video of a scene, once around the head."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from headstyle.base.adjacency import meeting_point
from headstyle.base.cameras import Cameras
from headstyle.base.files import whole_file
from headstyle.base.images import composite
from headstyle.base.progress import progress
from headstyle.exporters.scene import SceneFolder
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splats import read_ply

FRAMES = 120
FRAMES_PER_SECOND = 30
BACKGROUND = (1.0, 1.0, 1.0)


def export_turntable(scene: SceneFolder, out: Path, frames: int = FRAMES) -> None:
    """Write an MP4 (H.264) of the scene's splats before white, once around.

    Args:
        scene: The scene.
        out: The video.
        frames: Number of frames of the full turn, 30 a second.

    Raises:
        InputError: the scene has no splats.
    """
    cameras = orbit(scene.cameras(), frames)
    splats = read_ply(scene.splats)
    if torch.cuda.is_available():
        splats = splats.to("cuda")
    renders = progress(render_views(splats, cameras), "frames")
    write_video(
        out,
        (
            np.rint(composite(image, BACKGROUND).clip(0, 1) * 255).astype(np.uint8)
            for _, image, _, _ in renders
        ),
    )


def write_video(out: str | Path, frames: Iterable[NDArray[np.uint8]]) -> None:
    """Write an MP4 (H.264), 30 frames a second, whole or not at all.

    Args:
        out: The video.
        frames: 8-bit RGB of one size with even sides. Shape `(H, W, 3)` each.
    """
    import av

    with whole_file(out) as partial, av.open(str(partial), "w") as video:
        stream = video.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND))
        # One thread, so that two exports of one scene are the same bytes.
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18", "threads": "1"}
        for i, pixels in enumerate(frames):
            if i == 0:
                stream.height, stream.width = pixels.shape[:2]
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                video.mux(packet)
        for packet in stream.encode():
            video.mux(packet)


def orbit(cameras: Cameras, frames: int) -> Cameras:
    """Cameras on a circle around what the given ones look at.

    The circle's axis is the mean direction that is up in the images. Height, distance and lens are
    the middle ones of the given cameras; the first camera is nearest to their mean direction. Sides
    are even, as H.264 wants them.

    Args:
        cameras: A capture's cameras.
        frames: Number of cameras on the circle.
    """
    center = meeting_point(cameras)
    offsets = cameras.centers - center
    up = -cameras.world_to_camera[:, 1, :3].mean(axis=0)
    up /= np.linalg.norm(up)
    heights = offsets @ up
    flat = offsets - heights[:, None] * up
    radius, height = np.median(np.linalg.norm(flat, axis=1)), np.median(heights)
    front = flat.mean(axis=0)
    if np.linalg.norm(front) < 1e-6 * radius:
        front = flat[0]  # A full ring has no middle.
    front = front / np.linalg.norm(front)
    side = np.cross(up, front)
    middle = np.argsort(cameras.intrinsics[:, 0, 0])[len(cameras) // 2]
    size = cameras.sizes[middle] // 2 * 2
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for pose, angle in zip(poses, 2 * np.pi * np.arange(frames) / frames, strict=True):
        place = radius * (np.cos(angle) * front + np.sin(angle) * side) + height * up
        forward = -place / np.linalg.norm(place)
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ (center + place)
    return Cameras(
        tuple(f"{frame:04d}" for frame in range(frames)),
        np.tile(size, (frames, 1)),
        np.tile(cameras.intrinsics[middle], (frames, 1, 1)),
        poses,
    )
