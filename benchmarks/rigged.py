"""An iteration of a head that moves beside one of the same splats without a mesh.

    python benchmarks/rigged.py                                 # on a GPU: 512 px, 102,400 splats
    python benchmarks/rigged.py --device cpu --size 64 --subdivisions 2 --repeats 5

Both trainings see the same splats at the same places, the same cameras and the same targets, one
view per iteration. They take turns, so that neither has the machine at a better time. Statistics
for the densification are taken; nothing is added while the clock runs.
"""

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import torch
from headstyle.base.cameras import Cameras
from headstyle.base.settings import default_values
from headstyle.rigged.binding import splats_on_mesh
from headstyle.rigged.scene import RiggedScene, frames_of
from headstyle.rigged.sequence import MeshSequence
from headstyle.rigged.settings import SETTINGS, BindingSettings
from headstyle.rigged.training import make_rigged_trainer
from headstyle.training.settings import TrainingSettings
from headstyle.training.trainer import SplatTrainer, random_order
from headstyle.training.trainers import make_trainer
from iterations import settings_of, synchronize
from trimesh.creation import icosphere

SEED = 0
DISTANCE = 3.0
ROUNDS = 6


def moving_ball(subdivisions: int, timesteps: int) -> MeshSequence:
    """A ball of 20 times 4 to the power of `subdivisions` triangles that is squeezed."""
    ball = icosphere(subdivisions, 0.42)
    shapes = [ball.vertices * [1, 1 - 0.1 * step / timesteps, 1] for step in range(timesteps)]
    return MeshSequence(np.array(shapes, np.float32), np.asarray(ball.faces, np.int32))


def arc(count: int, size: int) -> Cameras:
    """Cameras on an arc before the ball, which fills most of their images."""
    angles = np.linspace(-0.6, 0.6, count)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angles)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(angles), -np.sin(angles)
    poses[:, 2, 3] = DISTANCE
    focal = DISTANCE * size
    matrix = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    names = tuple(f"view{i}" for i in range(count))
    return Cameras(names, np.full((count, 2), size), np.tile(matrix, (count, 1, 1)), poses)


def still_settings(graphs: bool) -> TrainingSettings:
    """The study's settings, without refinement while the clock runs."""
    settings = settings_of({"exposure_rate": 0, "cuda_graphs": graphs}, 30_000)
    assert settings.refine is not None
    refine = replace(settings.refine, start=10**9, stop=10**9, reset_opacity_every=10**9)
    return replace(settings, holdout=0, sh_degree_every=0, refine=refine)


def trainers(options: argparse.Namespace, graphs: bool) -> dict[str, SplatTrainer]:
    """A static training and a rigged one of the same scene."""
    meshes = moving_ball(options.subdivisions, options.timesteps)
    cameras, settings = arc(options.cameras, options.size), still_settings(graphs)
    frames = frames_of(meshes)
    splats, triangles = splats_on_mesh(frames.at(0), options.per_triangle, 3, SEED)
    scene = RiggedScene(splats, triangles)
    random = np.random.default_rng(SEED)
    shape = (options.size, options.size, 4)
    targets = {name: random.random(shape, dtype=np.float32) for name in cameras.names}
    timesteps = [view % options.timesteps for view in range(options.cameras)]
    binding = BindingSettings.from_config(default_values(SETTINGS))
    return {
        "static": make_trainer(
            scene.at(frames.at(0)), cameras, targets, settings, SEED, options.device
        ),
        "rigged": make_rigged_trainer(
            *(scene, frames, cameras, timesteps, targets, settings, binding, SEED, options.device)
        ),
    }


def milliseconds(made: dict[str, SplatTrainer], repeats: int) -> dict[str, float]:
    """Median over rounds of the mean time of an iteration [ms]; the trainers take turns."""
    times: dict[str, list[float]] = {name: [] for name in made}
    orders = {name: random_order(range(len(t.cameras)), SEED) for name, t in made.items()}
    for number in range(ROUNDS + 1):
        for name, trainer in made.items():
            device = trainer.device.type
            synchronize(device)
            started = time.perf_counter()
            for _ in range(repeats):
                trainer.step([next(orders[name])])
            synchronize(device)
            # The first round compiles and records.
            if number:
                times[name].append(1000 * (time.perf_counter() - started) / repeats)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print milliseconds of both iterations and their ratio, with and without CUDA graphs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=found)
    parser.add_argument("--size", type=int, default=512, help="side of the images [px]")
    parser.add_argument("--subdivisions", type=int, default=5, help="5 makes 20,480 triangles")
    parser.add_argument("--per-triangle", type=int, default=5)
    parser.add_argument("--timesteps", type=int, default=8)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=100, help="iterations of a round")
    options = parser.parse_args()
    for graphs in (False, True) if options.device == "cuda" else (False,):
        made = trainers(options, graphs)
        taken = milliseconds(made, options.repeats)
        print(
            f"{options.size}x{options.size} px, {len(made['rigged'].splats['means']):,} splats,"
            f" {'recorded' if graphs else 'ordinary'} iterations on {options.device}:"
            f" static {taken['static']:.2f} ms, rigged {taken['rigged']:.2f} ms,"
            f" ratio {taken['rigged'] / taken['static']:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
