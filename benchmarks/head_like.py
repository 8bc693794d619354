"""The head-like scene that benchmarks render: two discs of splats, one behind the other."""

import numpy as np
import torch
from headstyle.rendering.renderer import Splats

FRAGMENTS_PER_PIXEL = 18
DISTANCE = 3.0
OPACITY = 0.8
HARMONICS = 16
# That of the renderers; from the CPU's it would bring numba along, which a GPU does not need.
LOW_PASS_PX2 = 0.3

Scene = tuple[Splats, torch.Tensor, torch.Tensor]


def head_like(count: int, size_px: int) -> Scene:
    """Splats of two discs, one behind the other, and the camera before them."""
    random = np.random.default_rng(0)
    radius = 0.42
    r, angle = radius * np.sqrt(random.random(count)), 2 * np.pi * random.random(count)
    depth = np.where(np.arange(count) % 2, 0.1, -0.1)
    # A splat is blended where its alpha is at least 1/255: a disc of this variance and area [px^2].
    area = FRAGMENTS_PER_PIXEL * size_px**2 / count
    variance = area / (2 * np.pi * np.log(255 * OPACITY))
    deviation = np.sqrt(variance - LOW_PASS_PX2) / size_px
    tensors = {
        "means": np.stack([r * np.cos(angle), r * np.sin(angle), depth], axis=1),
        "scales": np.full((count, 3), np.log(deviation)),
        "quats": random.normal(size=(count, 4)),
        "opacities": np.full(count, np.log(OPACITY / (1 - OPACITY))),
        "sh0": random.normal(size=(count, 1, 3)) * 0.5,
        "shN": random.normal(size=(count, HARMONICS - 1, 3)) * 0.1,
    }
    splats = Splats(
        {
            name: torch.nn.Parameter(torch.tensor(value, dtype=torch.float32))
            for name, value in tensors.items()
        }
    )
    world_to_camera = torch.eye(4)[None]
    world_to_camera[:, 2, 3] = DISTANCE
    focal = DISTANCE * size_px
    intrinsics = torch.tensor([[[focal, 0, size_px / 2], [0, focal, size_px / 2], [0, 0, 1.0]]])
    return splats, world_to_camera, intrinsics
