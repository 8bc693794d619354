"""Compile all CPU kernels, which otherwise each of the first jobs side by side would do.

    python -m headstyle.workflow.compile_kernels

Runs them on a coarse head and on a few splats; the machine code is kept
(`headstyle.base.compiled`).
"""

import numpy as np
import torch

from headstyle.base.cameras import Cameras
from headstyle.capture.head import synthesize_head
from headstyle.losses.photometric import photometric_loss
from headstyle.rendering.renderer import render, render_views
from headstyle.rendering.splats import splats_from_points

SIZE_PX = 24
COARSENESS = 12.0


def compile_capture() -> None:
    """The kernels of procedural heads."""
    synthesize_head(1, COARSENESS)


def compile_training() -> None:
    """The kernels of splats: their images, and trainings."""
    random = np.random.default_rng(0)
    splats = splats_from_points(random.normal(size=(50, 3)), random.random((50, 3)), 1, 0)
    pose, intrinsics = np.eye(4), np.diag([SIZE_PX, SIZE_PX, 1.0])
    pose[2, 3] = 5
    intrinsics[:2, 2] = SIZE_PX / 2
    cameras = Cameras(("view",), np.array([[SIZE_PX, SIZE_PX]]), intrinsics[None], pose[None])
    [(_, image, *_)] = render_views(splats, cameras)
    target = torch.as_tensor(image[None, ..., :3])
    trained = {name: value.requires_grad_() for name, value in splats.items()}
    pose_seen, lens_seen = (
        torch.as_tensor(part, dtype=torch.float32) for part in (pose[None], intrinsics[None])
    )
    for absolute_gradients in (False, True):
        rendering = render(
            trained,
            pose_seen,
            lens_seen,
            SIZE_PX,
            SIZE_PX,
            background=torch.rand(3),
            absolute_gradients=absolute_gradients,
        )
        photometric_loss(rendering.colors, target, 0.2).backward()


if __name__ == "__main__":
    compile_capture()
    compile_training()
