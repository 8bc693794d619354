"""Iterations as an avatar's training has them, timed, and where the time of an iteration goes."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from head_like import DISTANCE, head_like
from headstyle.base.cameras import Cameras
from headstyle.rendering.cuda import rasterize as rendering_cuda
from headstyle.training.trainer import SplatTrainer, TrainingSettings, random_order
from headstyle.training.trainers import make_trainer

HOLDOUT_EVERY = 8
SEED = 0
# Widths of gsplat's tiles by the number of tiles from which on they are wide.
TILES = {"tile8": 1 << 60, "tile16": 0}

Row = dict[str, Any]


def settings_of(changes: dict[str, Any], iterations: int) -> TrainingSettings:
    """The study's baseline settings with changes, for as many iterations, with views held out."""
    config = Path(__file__).parents[1] / "config" / "config.yaml"
    section = yaml.safe_load(config.read_text(encoding="utf-8"))["baseline"]
    for key, value in changes.items():
        section[key] = section[key] | value if isinstance(value, dict) else value
    section |= {"iterations": iterations, "holdout": HOLDOUT_EVERY, "checkpoint_every_s": 0}
    return TrainingSettings.from_config(section)


def adjacency_trainer(device: str, size: tuple[int, int], count: int) -> SplatTrainer:
    """A trainer of head-like splats seen by 9 cameras on an arc, as at an avatar's iteration."""
    width, height = size
    side = round((width * height) ** 0.5)
    splats, _, _ = head_like(count, side)
    angles = np.linspace(-0.4, 0.4, 9)
    poses = np.tile(np.eye(4), (9, 1, 1))
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angles)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(angles), -np.sin(angles)
    poses[:, 2, 3] = DISTANCE
    focal = DISTANCE * side
    matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    names = tuple(f"view{i}" for i in range(9))
    cameras = Cameras(names, np.tile(size, (9, 1)), np.tile(matrix, (9, 1, 1)), poses)
    random = np.random.default_rng(0)
    targets = {name: random.random((height, width, 4), dtype=np.float32) for name in names}
    settings = settings_of({}, 30_000)
    assert settings.refine is not None
    # Statistics are taken as in an avatar's training; nothing is added while the clock runs.
    refine = replace(settings.refine, start=10**9, stop=10**9, reset_opacity_every=10**9)
    chosen = replace(settings, sh_degree_every=0, refine=refine)
    return make_trainer(splats, cameras, targets, chosen, SEED, device)


def adjacency_rows(device: str, size: tuple[int, int], count: int, repeats: int) -> list[Row]:
    """Milliseconds of an iteration on 9 views and on one: loss, backward, optimizer, everything."""
    rows = []
    for views in (list(range(9)), [4]):
        trainer = adjacency_trainer(device, size, count)
        for _ in range(5):
            trainer.step(views)
        synchronize(device)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            trainer.step(views)
            synchronize(device)
            times.append(1000 * (time.perf_counter() - start))
        start = time.perf_counter()
        for _ in range(repeats):
            trainer.step(views)
        synchronize(device)
        together = 1000 * (time.perf_counter() - start) / repeats
        what = f"iteration of {len(views)} views, {size[0]}x{size[1]} px, {count:,} splats"
        rows.append(
            {"what": what, "milliseconds": together, "median_alone": statistics.median(times)}
        )
    return rows


class Clock:
    """Wall time of the device's work, with pauses."""

    def __init__(self, device: str) -> None:
        self.device, self.seconds = device, 0.0
        self.go_on()

    def go_on(self) -> None:
        synchronize(self.device)
        self.started = time.perf_counter()

    def pause(self) -> None:
        synchronize(self.device)
        self.seconds += time.perf_counter() - self.started


def trained_milliseconds(trainer: SplatTrainer, repeats: int = 300) -> dict[str, float]:
    """Milliseconds of an iteration of a trained scene by tiles and graphs; trains on meanwhile."""
    from headstyle.training.recorded_steps import RecordedSteps

    order = random_order(range(len(trainer.cameras)), SEED)
    found = {}
    for tile in TILES:
        for graphs in (False, True):
            with tiles_of(tile):
                trainer.replayer = RecordedSteps(trainer) if graphs else None
                for _ in range(20):
                    trainer.step([next(order)])
                clock = Clock("cuda")
                for _ in range(repeats):
                    trainer.step([next(order)])
                clock.pause()
            name = f"{tile}, graphs" if graphs else tile
            found[name] = 1000 * clock.seconds / repeats
            print(f"an iteration of the trained scene, {name}: {found[name]:.2f} ms", flush=True)
    trainer.replayer = None
    return found


@contextmanager
def tiles_of(variant: str) -> Iterator[None]:
    """The width of gsplat's tiles that a variant names, or that the workflow chooses."""
    kept = rendering_cuda.MANY_TILES
    rendering_cuda.MANY_TILES = TILES.get(variant, kept)
    try:
        yield
    finally:
        rendering_cuda.MANY_TILES = kept


def print_profile(step: Callable[[], Any], what: str, iterations: int = 30) -> None:
    """Where an iteration goes: kernels by device time, operators by the host's."""
    from torch.profiler import ProfilerActivity, profile

    for _ in range(5):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(iterations):
            step()
        torch.cuda.synchronize()
    wall = 1000 * (time.perf_counter() - start) / iterations
    rows = profiler.key_averages()
    busy = sum(row.self_device_time_total for row in rows if row.device_type.name == "CUDA")
    print(f"\n{what}: {wall:.2f} ms under the profiler, {busy / 1000 / iterations:.2f} on the GPU")
    for order in ("self_cuda_time_total", "self_cpu_time_total"):
        print(rows.table(sort_by=order, row_limit=20, max_name_column_width=60))


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
