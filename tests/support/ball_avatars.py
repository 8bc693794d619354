"""A ball of splats before four cameras: the smallest scene that can be stylized."""

from pathlib import Path

import numpy as np
import yaml
from headstyle.avatars.files import Order
from headstyle.avatars.runs import Subject
from headstyle.avatars.stylization import render_images
from headstyle.base.cameras import Cameras
from headstyle.rendering.renderer import Splats
from headstyle.rendering.splats import splats_from_points

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())
# Steps ten times as large as the study's, for trainings a hundred times as short.
BASELINE = CONFIG["baseline"] | {
    "learning_rates": CONFIG["baseline"]["learning_rates"] | {"sh0": 2.5e-2}
}
ARC = [[1], [0, 2], [1, 3], [2]]
"""Neighbors of the four views."""


def ball() -> Splats:
    """An opaque ball of 300 splats of smoothly varying color."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 3))
    points *= 0.5 / np.linalg.norm(points, axis=1, keepdims=True)
    splats = splats_from_points(points, 0.5 + points, sh_degree=0, seed=0)
    splats["opacities"].data.fill_(3.0)
    return splats


def arc() -> Cameras:
    """Four cameras in an arc, three upright and one lying, that look at the ball from 3 units."""
    angles = np.deg2rad([-30, -10, 10, 30])
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angles)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(angles), -np.sin(angles)
    poses[:, 2, 3] = 3
    sizes = np.array([(24, 32), (24, 32), (24, 32), (32, 24)])
    intrinsics = np.tile(np.diag([60.0, 60.0, 1.0]), (4, 1, 1))
    intrinsics[:, :2, 2] = sizes / 2
    return Cameras(("a", "b", "c", "d"), sizes, intrinsics, poses)


def ball_subject(device: str = "cpu") -> Subject:
    """The ball, with what its cameras see as photographs: a baseline without error."""
    splats, cameras = ball(), arc()
    return Subject(cameras, dict(render_images(splats, cameras)), splats, ARC, device)


def control_editing(operation: str = "recolor", prompt: str = "P4") -> dict:
    """Settings of a control edit."""
    return {
        **{"editor": "control", "noise_level": [0.7, 0.98]},
        **{"text_guidance_increment": 0.5, "image_guidance_increment": 0.2},
        "control": {"operations": {prompt: operation}, "per_view_randomness": 0.3},
    }


def diffusion_editing(pipeline: Path, **changes: object) -> dict:
    """Settings of a tiny InstructPix2Pix."""
    return {
        **{"editor": "instruct_pix2pix", "model": str(pipeline), "revision": None},
        **{"negative_prompt": "bad", "diffusion_steps": 3, "background": [0.0, 0.0, 0.0]},
        **{"dtype": "float16", "noise_level": [0.7, 0.98], "solver": "ddim"},
        **{"text_guidance_increment": 0.5, "image_guidance_increment": 0.2},
        "control": {"operations": {}, "per_view_randomness": 0.0},
        **changes,
    }


def order(
    folder: Path,
    strength: str = "low",
    editing: dict | None = None,
    **stylization: object,
) -> Order:
    """An avatar of the ball; by default 12 iterations, edited before the first and the seventh."""
    schedule = {"schedule": "thesis", "iterations": 12, "edit_every": 6, "refine_every": 4}
    params = {
        "prompt_text": "Give him red hair",
        "strength": {"low": CONFIG["strengths"]["low"], "high": CONFIG["strengths"]["high"]}[
            strength
        ],
        "editing": control_editing() if editing is None else editing,
        "stylization": CONFIG["stylization"] | schedule | stylization,
        "baseline": BASELINE,
        "seed": 0,
        "library": "",
    }
    return Order("A", "P4", strength, params, folder / f"P4_{strength}")
