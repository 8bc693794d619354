"""A ball that moves, with known splats on its mesh: the smallest sequence that can be trained."""

from pathlib import Path

import numpy as np
import torch
from headstyle.base.cameras import Cameras
from headstyle.base.images import write_image
from headstyle.rendering.renderer import render_views
from headstyle.rigged.binding import splats_on_mesh
from headstyle.rigged.scene import RiggedScene, frames_of
from headstyle.rigged.sequence import MeshSequence, RiggedFrame, RiggedSequence
from splat_reference import make_cameras
from trimesh.creation import icosphere


def moving_meshes(timesteps: int = 3, finer: int = 1) -> MeshSequence:
    """An uneven ball that turns, is squeezed and grows a nose. 80 triangles times 4 if `finer`."""
    ball = icosphere(finer, 0.7)
    rest = np.asarray(ball.vertices) + np.random.default_rng(0).normal(0, 0.01, (1, 3))
    found = []
    for step in range(timesteps):
        phase = step / max(timesteps - 1, 1)
        nose = np.exp(-8 * ((rest - [0, 0, -0.7]) ** 2).sum(axis=1, keepdims=True))
        shape = rest * [1, 1 - 0.2 * phase, 1] + nose * [0, 0.1, -0.3 * phase]
        turn = 0.5 * phase
        about = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
        found.append(shape @ np.transpose(about))
    return MeshSequence(np.array(found, np.float32), np.asarray(ball.faces, np.int32))


def colored_scene(meshes: MeshSequence, sh_degree: int = 0, seed: int = 0) -> RiggedScene:
    """An opaque scene on the meshes: smoothly colored, and shiny where there are harmonics."""
    frames = frames_of(meshes)
    splats, triangles = splats_on_mesh(frames.at(0), 2, sh_degree, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        centers = frames.at(0).centers[triangles]
        splats["sh0"].copy_(1.2 * torch.sin(4 * centers)[:, None])
        splats["shN"].copy_(0.2 * torch.randn(splats["shN"].shape, generator=generator))
        splats["opacities"].fill_(3.0)
    return RiggedScene(splats, triangles)


def write_images(
    folder: Path, meshes: MeshSequence, scene: RiggedScene, cameras: Cameras
) -> RiggedSequence:
    """What the cameras see at all timesteps. The last camera and the last timestep are held out."""
    frames, triangles = [], frames_of(meshes)
    for step in range(len(meshes)):
        placed = scene.at(triangles.at(step))
        for index, (view, image, _, _) in enumerate(render_views(placed, cameras)):
            name = f"{step:03d}_{index:02d}"
            path = folder / f"{name}.png"
            write_image(path, image)
            own = cameras.select([view])
            split = "test" if step == len(meshes) - 1 else "train"
            if split == "train" and index == len(cameras) - 1:
                split = "val"
            camera = Cameras((name,), own.sizes, own.intrinsics, own.world_to_camera)
            frames.append(RiggedFrame(name, step, index, camera, path, None, split))
    return RiggedSequence(meshes, tuple(frames))


def ball_cameras(count: int = 4, width: int = 32, height: int = 48) -> Cameras:
    """Cameras around the ball."""
    poses, intrinsics = make_cameras(count, width, height)
    sizes = np.array([[width, height]] * count)
    names = tuple(f"camera{i}" for i in range(count))
    return Cameras(names, sizes, intrinsics.double().numpy(), poses.double().numpy())
