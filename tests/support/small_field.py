"""Small radiance fields, and one that is the same everywhere in its box."""

import numpy as np
import torch
from headstyle.base.cameras import Cameras
from headstyle.radiance.field import START_LOGARITHM, Box, RadianceField
from headstyle.radiance.settings import GridSettings, NerfSettings

SMALL = NerfSettings(
    iterations=60,
    rays=256,
    edit_rays=256,
    patch_px=8,
    samples=16,
    proposal_samples=(16,),
    grid=GridSettings(levels=4, log2_entries=10, coarsest=4, finest=32),
    proposal_grid=GridSettings(levels=2, log2_entries=9, coarsest=4, finest=16),
    hidden=16,
    proposal_hidden=8,
    sh_degree=1,
    appearance=0,
    margin=0.05,
    anywhere=0.1,
    box_margin=0.25,
    learning_rate=1e-2,
    learning_rate_final=1e-3,
    alpha_weight=0.1,
    distortion_weight=2e-3,
    proposal_every=2,
)


def constant_field(density: float, box: Box) -> RadianceField:
    """A field of one density per side of the box, and of the color 1/2."""
    field = RadianceField(box, SMALL, ("view",), seed=0)
    with torch.no_grad():
        for part in (field.density, field.color, field.direction):
            for value in part.parameters():
                value.zero_()
        field.density.biases[-1][0] = np.log(density) - START_LOGARITHM
        field.color.weights[0].zero_()
    return field


def camera_before(distance: float, size_px: int = 9, focal_px: float = 100.0) -> Cameras:
    """One camera on the negative z axis that looks at the origin."""
    pose = np.eye(4)
    pose[2, 3] = distance
    center = size_px / 2
    intrinsics = np.array([[focal_px, 0, center], [0, focal_px, center], [0, 0, 1]])
    sizes = np.array([[size_px, size_px]])
    return Cameras(("view",), sizes, intrinsics[None], pose[None])


def joined(*cameras: Cameras) -> Cameras:
    """Several cameras as one rig."""
    names = tuple(f"view{i}" for i in range(len(cameras)))
    parts = ("sizes", "intrinsics", "world_to_camera")
    return Cameras(names, *(np.concatenate([getattr(c, p) for c in cameras]) for p in parts))
