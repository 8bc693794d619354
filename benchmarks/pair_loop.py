"""What `metrics.py` times: a scene like the study's, and the loop over pairs that users write."""

from pathlib import Path
from typing import Any

import lpips
import numpy as np
import torch
from headstyle.base.adjacency import directions
from headstyle.base.cameras import Cameras
from headstyle.capture.rig import TARGET_M, study_rig
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

RIG = {
    "long_side_px": 1536,
    "focal_length_mm": 22,
    "sensor_long_side_mm": 22.3,
    "samples_per_side": 2,
    "jpeg_quality": 95,
}
# Head and shoulders as ellipsoids: centers relative to where the cameras look, and half-axes [m].
ELLIPSOIDS = (
    ((0.0, 0.06, 0.0), (0.085, 0.125, 0.1)),
    ((0.0, -0.17, -0.04), (0.19, 0.12, 0.1)),
)
DEPTH_TOLERANCE = 0.01

Views = tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]


def rig_of(views: int, width: int, height: int) -> Cameras:
    """The first `views` cameras of the study's rig of 37, or of as many columns as are needed."""
    columns = max(7, -(-(views - 9) // 4))
    capture = {**RIG, "grid_rows": 4, "grid_columns": columns, "line_views": 9}
    cameras = study_rig(capture).cameras
    chosen = cameras.select(cameras.names[:views])
    return chosen.scaled(np.tile([width, height], (views, 1)))


def nearest_pairs(cameras: Cameras, neighbors: int) -> list[tuple[str, str]]:
    """Each view with exactly `neighbors` others, the nearest in direction."""
    rays = directions(cameras)
    order = np.argsort(-rays @ rays.T, axis=1, kind="stable")[:, 1 : neighbors + 1]
    names = cameras.names
    return [(names[i], names[j]) for i, row in enumerate(order) for j in row]


def photograph(cameras: Cameras, noise: float = 0.03, seed: int = 0) -> Views:
    """RGBA images and depth of the ellipsoids, each view with noise of its own, from `seed` on."""
    images, depths = [], []
    for view in range(len(cameras)):
        width, height = cameras.sizes[view]
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        local = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(cameras.intrinsics[view]).T
        rays = local @ cameras.world_to_camera[view, :3, :3]
        depth = np.full(x.shape, np.inf)
        for center, axes in ELLIPSOIDS:
            start = (cameras.centers[view] - TARGET_M - center) / axes
            ray = rays / axes
            a, b, c = (ray**2).sum(-1), ray @ start, start @ start - 1
            root = b**2 - a * c
            hit = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
            depth = np.minimum(depth, hit)
        seen = np.isfinite(depth)
        depth = np.where(seen, depth, 0)
        points = 60 * (cameras.centers[view] + depth[..., None] * rays)
        waves = [points @ w for w in ((3, 1, 2), (-1, 4, 1), (2, -2, 3))]
        colors = 0.5 + 0.35 * np.sin(np.stack(waves, -1) + np.arange(3))
        colors += noise * np.random.default_rng(seed + view).normal(size=colors.shape)
        # As renders are stored.
        colors = np.rint(255 * np.clip(colors, 0, 1)) / 255
        images.append(np.dstack([colors * seen[..., None], seen]).astype(np.float32))
        depths.append(depth.astype(np.float32))
    return images, depths


def score_pair(
    target: int,
    source: int,
    cameras: Cameras,
    views: Views,
    network: lpips.LPIPS,
    folder: Path,
    device: torch.device,
) -> tuple[float, float, float]:
    """RMSE, CIEDE2000 and LPIPS of one pair, its images written on the way.

    The plain way: un-project the source, project it into the target, write pixel by pixel (the
    nearest last), compare where both have the same depth.
    """
    images, depths = views
    warped, z_buffer = warp_pair(target, source, cameras, views)
    own = depths[target]
    shared = (images[target][..., 3] > 0.5) & (own > 0) & (z_buffer > 0)
    shared &= np.abs(z_buffer - own) <= DEPTH_TOLERANCE * own
    pair = [np.where(shared[..., None], image, 0) for image in (images[target][..., :3], warped)]
    for name, image in zip(("target", "warped"), pair, strict=True):
        pixels = np.rint(image * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{target}_{source}_{name}.png")
    rmse = np.sqrt(np.mean((pair[0] - pair[1])[shared] ** 2))
    difference = deltaE_ciede2000(*(rgb2lab(image.astype(np.float64)) for image in pair))
    tensors = (torch.from_numpy(i).permute(2, 0, 1)[None].to(device) for i in pair)
    with torch.no_grad():
        distance = network(*tensors, normalize=True).item()
    return float(rmse), float(difference[shared].mean()), distance


def warp_pair(
    target: int, source: int, cameras: Cameras, views: Views
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The source's colors and depth at the target's pixels, 0 where nothing lands."""
    images, depths = views
    width, height = cameras.sizes[target]
    rows, columns = np.nonzero((images[source][..., 3] > 0.5) & (depths[source] > 0))
    z = depths[source][rows, columns].astype(np.float64)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(z))])
    points = np.linalg.inv(cameras.intrinsics[source]) @ pixels * z
    pose = cameras.world_to_camera[target] @ np.linalg.inv(cameras.world_to_camera[source])
    moved = pose[:3, :3] @ points + pose[:3, 3:]
    projected = cameras.intrinsics[target] @ moved
    place = np.floor(projected[:2] / projected[2]).astype(int)
    inside = (moved[2] > 0) & (place >= 0).all(axis=0)
    inside &= (place[0] < width) & (place[1] < height)
    order = np.flatnonzero(inside)[np.argsort(-moved[2][inside], kind="stable")]
    to = (place[1][order], place[0][order])
    warped, z_buffer = np.zeros((height, width, 3), np.float32), np.zeros((height, width))
    warped[to] = images[source][rows[order], columns[order], :3]
    z_buffer[to] = moved[2][order]
    return warped, z_buffer


def environment(device: torch.device) -> dict[str, Any]:
    """The machine and the versions that a time belongs to."""
    import os
    import platform

    name = _processor()
    if device.type == "cuda":
        name = f"{torch.cuda.get_device_name(device)}, {name}"
    return {
        "machine": name,
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else "unknown processor"
