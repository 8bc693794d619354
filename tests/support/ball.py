"""A small colored ball: cameras, their images, and points on it. Two of four views are portrait."""

from pathlib import Path

import numpy as np
import torch
import yaml
from headstyle.base.cameras import Cameras, write_cameras
from headstyle.base.files import write_points
from headstyle.base.images import write_image
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splats import splats_from_points
from headstyle.training.settings import TrainingSettings
from splat_reference import make_cameras

CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"
WIDTH, HEIGHT, VIEWS = 32, 48, 4


def section(**changes):
    """The study's `baseline` section, small."""
    content = yaml.safe_load(CONFIG.read_text())["baseline"]
    content |= {"sh_degree": 1, "sh_degree_every": 30, "iterations": 60, "min_initial_splats": 150}
    # The study's decay is for a training of thousands of iterations, and all views are alike.
    content |= {"exposure_rate": 0, "cuda_graphs": False}
    content["learning_rates"]["decay"] = 1
    content["refine"] |= changes.pop("refine", {})
    return content | changes


def settings(**changes):
    """The study's settings, small."""
    return TrainingSettings.from_config(section(**changes))


def make_ball():
    """Cameras, images by view, points and their colors."""
    generator = np.random.default_rng(0)
    points = generator.normal(size=(800, 3))
    points *= 0.8 / np.linalg.norm(points, axis=1, keepdims=True)
    colors = 0.5 + 0.5 * np.sin(points @ generator.normal(size=(3, 3)) * 5)
    truth = splats_from_points(points, colors, 1, 0)
    with torch.no_grad():
        truth["opacities"][:] = 3
    poses, intrinsics = make_cameras(VIEWS, WIDTH, HEIGHT)
    sizes = np.array([[WIDTH, HEIGHT]] * 2 + [[HEIGHT, WIDTH]] * 2)
    intrinsics[:, :2, 2] = torch.from_numpy(sizes / 2)
    names = tuple(f"view{i}" for i in range(VIEWS))
    cameras = Cameras(names, sizes, intrinsics.double().numpy(), poses.double().numpy())
    targets = {name: image for name, image, _, _ in render_views(truth, cameras)}
    return cameras, targets, points[:150], colors[:150]


def write_ball(folder: Path) -> Path:
    """Write the ball as the views' stage would, and return the path of its cameras."""
    cameras, targets, points, colors = make_ball()
    for name, image in targets.items():
        write_image(folder / f"{name}.png", image)
    write_points(folder / "points.npz", points, np.rint(255 * colors))
    write_cameras(folder / "cameras.json", cameras)
    return folder / "cameras.json"
