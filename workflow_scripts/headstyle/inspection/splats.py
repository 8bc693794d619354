"""A look at files of splats."""

from pathlib import Path

import numpy as np
import torch

from headstyle.base.cameras import Cameras
from headstyle.base.images import composite
from headstyle.exporters.turntable import orbit
from headstyle.inspection.findings import Findings
from headstyle.rendering.renderer import Splats, check_splats, render_views
from headstyle.rendering.splat_files import read_splats

_SIZE_PX = 320
_VIEWS = 4
# Distance of the cameras, in radii of the scene, and their focal length in sides of the image.
_DISTANCE, _FOCAL = 3.6, 1.3


def look_at_splats(path: Path) -> Findings:
    """What a file of splats holds.

    Raises:
        InputError: it cannot be read.
    """
    splats = read_splats(path)
    arrays = {name: value.detach().numpy() for name, value in splats.items()}
    low, high = np.percentile(arrays["means"], [1, 99], axis=0)
    sizes = np.exp(arrays["scales"]).max(axis=1)
    opacity = 1 / (1 + np.exp(-arrays["opacities"].astype(np.float64)))
    found = Findings(f"{path}: {len(sizes):,} splats", splats=path)
    found.say("file", f"{path.suffix}, {path.stat().st_size / 1e6:.1f} MB")
    found.say("harmonics", f"degree {check_splats(splats)}")
    spans = [f"{a:.3g} to {b:.3g}" for a, b in zip(low, high, strict=True)]
    found.say("extent", f"x {spans[0]}, y {spans[1]}, z {spans[2]} (98 % of the splats)")
    found.say("size", f"{np.median(sizes):.3g} in the middle, {sizes.max():.3g} at most")
    found.say(
        "opacity", f"{np.median(opacity):.2f} in the middle, {(opacity > 0.5).mean():.0%} above 1/2"
    )
    return found


def pictures_around(path: Path) -> dict[str, np.ndarray]:
    """Renders of a file of splats from four sides, y down, before white; 8-bit RGB by name."""
    splats = read_splats(path)
    pictures = {}
    with torch.no_grad():
        for name, image, _, _ in render_views(splats, cameras_around(splats)):
            shown = composite(image, (1.0, 1.0, 1.0)).clip(0, 1)
            pictures[f"turned by {int(name) * 360 // _VIEWS} degrees"] = np.rint(
                shown * 255
            ).astype(np.uint8)
    return pictures


def cameras_around(splats: Splats) -> Cameras:
    """Cameras on a circle around the middle of a scene, y down."""
    means = splats["means"].detach().numpy().astype(np.float64)
    center = np.median(means, axis=0)
    radius = float(np.percentile(np.linalg.norm(means - center, axis=1), 95)) or 1.0
    focal = _FOCAL * _SIZE_PX
    matrix = np.array([[focal, 0, _SIZE_PX / 2], [0, focal, _SIZE_PX / 2], [0, 0, 1]])
    poses = np.tile(np.eye(4), (3, 1, 1))
    # Cameras before the scene and on both sides, whose axes meet in its middle.
    poses[1, :3, :3] = [[0, 0, -1], [0, 1, 0], [1, 0, 0]]
    poses[2, :3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    for pose in poses:
        pose[:3, 3] = [0, 0, _DISTANCE * radius] - pose[:3, :3] @ center
    sizes = np.full((3, 2), _SIZE_PX)
    return orbit(Cameras(("a", "b", "c"), sizes, np.tile(matrix, (3, 1, 1)), poses), _VIEWS)
