"""Time the rasterizer on a head-like scene: forward and backward, one row per size.

    python benchmarks/splats.py --device cpu --json splats.json

The scene: splats tile a disc of 0.42 of the image's width in radius, two layers deep, with
spherical harmonics of degree 3, so that 18 splats reach each pixel of the image on average. A
fragment is one splat that reaches one pixel. With `--views`, a folder of views that the workflow
made, also whole training iterations on them.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
import yaml
from head_like import FRAGMENTS_PER_PIXEL, Scene, head_like
from headstyle.base.cameras import read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import write_json
from headstyle.base.images import read_rgba, resize_rgba
from headstyle.rendering.renderer import render
from headstyle.rendering.splats import splats_from_points
from headstyle.training.trainer import TrainingSettings
from headstyle.training.trainers import make_trainer
from machine import describe_machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from splat_reference import reference_render

SIZES = {128: 2_500, 256: 10_000, 512: 50_000, 1024: 200_000}
"""Splats by the image's width and height [px]: those of the issue's bars, and one larger."""
TRAINING_SPLATS = 5_494
"""As many as OpenSplat 1.2.0 had when it was measured on vespasian."""

Row = dict[str, Any]


def forward_backward(scene: Scene, size_px: int) -> None:
    """One image and its gradients."""
    splats, world_to_camera, intrinsics = scene
    for parameter in splats.values():
        parameter.grad = None
    rendering = render(splats, world_to_camera, intrinsics, size_px, size_px)
    rendering.colors.square().mean().backward()


def reference_forward_backward(scene: Scene, size_px: int) -> None:
    """The same in plain torch, where each pixel looks at all splats."""
    splats, world_to_camera, intrinsics = scene
    colors, *_ = reference_render(splats, world_to_camera, intrinsics, size_px, size_px, 3)
    colors.square().mean().backward()


def milliseconds(function: Callable[[], None], repeats: int) -> float:
    """Median time of a call after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def use(threads: int) -> None:
    torch.set_num_threads(threads)
    numba.set_num_threads(threads)


def size_rows(threads: int) -> list[Row]:
    """One row per image size, with all threads; at 512 px also with one."""
    rows = []
    for size_px, count in SIZES.items():
        scene = head_like(count, size_px)
        for used in (1, threads) if size_px == 512 and threads > 1 else (threads,):
            use(used)
            taken = milliseconds(lambda: forward_backward(scene, size_px), 15)  # noqa: B023
            fragments = FRAGMENTS_PER_PIXEL * size_px**2
            rows.append(
                {
                    "what": f"forward and backward, {count:,} splats at {size_px}x{size_px}",
                    "threads": used,
                    "milliseconds": taken,
                    "fragments": fragments,
                    "fragments_per_second": fragments / taken * 1000,
                }
            )
    return rows


def reference_row(threads: int) -> Row:
    """How many times faster the rasterizer is than the plain torch reference."""
    use(threads)
    size_px, count = 48, 350
    scene = head_like(count, size_px)
    ours = milliseconds(lambda: forward_backward(scene, size_px), 15)
    reference = milliseconds(lambda: reference_forward_backward(scene, size_px), 3)
    return {
        "what": f"plain torch reference, {count:,} splats at {size_px}x{size_px}",
        "threads": threads,
        "milliseconds": reference,
        "ours_milliseconds": ours,
        "times_slower": reference / ours,
    }


def training_row(views: Path, width: int, height: int, threads: int) -> Row:
    """A whole training iteration (loss, backward, optimizer, statistics) on resized real views."""
    use(threads)
    cameras = read_cameras(views / "cameras.json")
    portrait = [n for n, (w, h) in zip(cameras.names, cameras.sizes, strict=True) if h > w]
    cameras = cameras.select(portrait)
    cameras = cameras.scaled(np.tile([width, height], (len(cameras), 1)))
    images = {n: resize_rgba(read_rgba(views / f"{n}.png"), width, height) for n in cameras.names}
    points = np.load(views / "points.npz", allow_pickle=False)
    random = np.random.default_rng(0)
    chosen = random.choice(len(points["positions"]), TRAINING_SPLATS, replace=True)
    moved = points["positions"][chosen] + random.normal(size=(TRAINING_SPLATS, 3)) * 1e-3
    splats = splats_from_points(moved, points["colors"][chosen], 3, 0)
    settings = TrainingSettings.from_config(study_settings()).without_refinement()
    trainer = make_trainer(splats, cameras, images, settings, 0)
    order = iter(np.resize(np.arange(len(cameras)), 10_000).tolist())
    # Warm up until the splats have grown from points to surfaces.
    for _ in range(150):
        trainer.step([next(order)])
    taken = milliseconds(lambda: trainer.step([next(order)]), 60)
    return {
        "what": f"training iteration, {TRAINING_SPLATS:,} splats at {width}x{height}",
        "threads": threads,
        "milliseconds": taken,
        "iterations_per_second": 1000 / taken,
    }


def study_settings() -> dict[str, Any]:
    """The study's baseline settings, with all harmonics from the start."""
    config = Path(__file__).parents[1] / "config" / "config.yaml"
    return yaml.safe_load(config.read_text())["baseline"] | {"sh_degree_every": 1}


def print_table(rows: list[Row]) -> None:
    for row in rows:
        rate = row.get("fragments_per_second")
        extra = f"{rate / 1e6:8.0f} million fragments/s" if rate else ""
        if "times_slower" in row:
            extra = f"{row['times_slower']:8.0f} times slower than the rasterizer"
        if "iterations_per_second" in row:
            extra = f"{row['iterations_per_second']:8.1f} iterations/s"
        print(f"{row['what']:58} {row['threads']} threads {row['milliseconds']:9.1f} ms {extra}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu"], default="cpu")
    parser.add_argument("--json", type=Path, help="write the rows here, too")
    parser.add_argument("--views", type=Path, help="folder R/{subject}/views of a real capture")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    keep_freed_memory()
    rows = [*size_rows(arguments.threads), reference_row(arguments.threads)]
    if arguments.views:
        for width, height in ((172, 263), (345, 528)):
            rows.append(training_row(arguments.views, width, height, arguments.threads))
    print(json.dumps(describe_machine("cpu")))
    print_table(rows)
    if arguments.json:
        write_json(arguments.json, {"machine": describe_machine("cpu"), "rows": rows})


if __name__ == "__main__":
    main()
