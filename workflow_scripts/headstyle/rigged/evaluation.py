"""How well a head that moves shows new views, and expressions that it was not trained on."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from headstyle.base.images import read_rgba
from headstyle.evaluation.scores import (
    SCORES,
    Networks,
    background_color,
    finite_or_none,
    score_view,
)
from headstyle.evaluation.speed import file_sizes
from headstyle.rendering.renderer import render
from headstyle.rigged.binding import TriangleFrames
from headstyle.rigged.scene import RiggedScene, frame_image, frames_of
from headstyle.rigged.sequence import MeshSequence, RiggedFrame, RiggedSequence

TASKS = {"val": "novel_view", "test": "self_reenactment"}
"""What a split's frames show: other cameras at timesteps of the training, or other timesteps. A
head that another one moves has no photographs, so it has no scores."""
HEAD = ("subject", "view", "split", "region", "background", *SCORES)
"""Columns of the table of one head."""


def score_frames(
    subject: str,
    sequence: RiggedSequence,
    renders: str | Path,
    backgrounds: Sequence[str],
    networks: Networks,
    seed: int,
    device: str = "cpu",
) -> Iterator[list[str]]:
    """The rows of one head's table, as text, in the order of `HEAD`; empty where there is no score.

    Args:
        subject: The head's name.
        sequence: Its frames.
        renders: Folder `{split}/{frame}.png`.
        backgrounds: What lies behind: black, white, random.
        networks: Of the perceptual scores.
        seed: Of the random backgrounds.
        device: Where to compute.

    Raises:
        InputError: an image is missing or damaged.
    """
    for split, task in TASKS.items():
        for frame in sequence.frames:
            if frame.split != split:
                continue
            image = frame_image(frame)
            shown = read_rgba(Path(renders) / split / f"{frame.name}.png")
            for background in backgrounds:
                color = background_color(background, frame.name, seed)
                for region, scores in score_view(image, shown, color, networks, device):
                    found = [finite_or_none(scores[key]) for key in SCORES]
                    cells = ["" if value is None else f"{value:.6g}" for value in found]
                    yield [subject, frame.name, task, region, background, *cells]


def scene_facts(scene: RiggedScene, ply: str | Path, sequence: RiggedSequence) -> dict[str, Any]:
    """Number of splats, renders per second, and bytes of a scene as PLY and as SPZ.

    Args:
        scene: The bound splats; their device renders.
        ply: Their file.
        sequence: The head. The frames that were not trained on are rendered for the speed.
    """
    frames = sequence.of_split("val", "test") or sequence.frames
    facts = {
        "splats": len(scene.triangles),
        "triangles": len(sequence.meshes.faces),
        "fps": round(frames_per_second(scene, frames, sequence.meshes), 2),
        "device": scene.triangles.device.type,
    }
    triangles = frames_of(sequence.meshes, scene.triangles.device)
    return facts | file_sizes(scene.at(triangles.at(0)), Path(ply))


def frames_per_second(
    scene: RiggedScene, frames: Sequence[RiggedFrame], meshes: MeshSequence, rounds: int = 3
) -> float:
    """Renders per second, images left on the device; the splats are placed anew for each.

    One round over the frames warms up and is not counted.

    Args:
        scene: The bound splats; their device renders.
        frames: What to render.
        meshes: The mesh at all timesteps.
        rounds: How often all frames are rendered.
    """
    device = scene.triangles.device
    triangles = frames_of(meshes, device)
    views = [_on_device(frame, device) for frame in frames]
    started = 0.0
    with torch.no_grad():
        for number in range(rounds + 1):
            if number == 1:
                _wait(device)
                started = time.perf_counter()
            for view in views:
                _render(scene, triangles, view)
        _wait(device)
    return rounds * len(views) / (time.perf_counter() - started)


def _on_device(frame: RiggedFrame, device: torch.device) -> Mapping[str, Any]:
    width, height = frame.camera.sizes[0].tolist()
    return {
        "timestep": frame.timestep,
        "pose": torch.from_numpy(frame.camera.world_to_camera).float().to(device),
        "intrinsics": torch.from_numpy(frame.camera.intrinsics).float().to(device),
        "size": (width, height),
    }


def _render(scene: RiggedScene, triangles: TriangleFrames, view: Mapping[str, Any]) -> None:
    placed = scene.at(triangles.at(view["timestep"]))
    render(placed, view["pose"], view["intrinsics"], *view["size"])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
