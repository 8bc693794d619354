"""Whether masks of one head from many sides agree: known cameras vote on places around the head.

A mask alone may look good and still take in a pedestal that other views see past. So a capture is
scored by the part of each mask that the other views contradict.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.studio import CameraBatch
from headstyle_training.matting.pictures import draw_capture
from headstyle_training.matting.scenes import compose, draw_halls

VIEWS = 12
"""Views of each capture."""
KEEP_PART = 0.75
"""Part of the other views that must see foreground, as the default of `masks.agreement`."""
# The box around head and shoulders that is voted on, and the distance of its places [m].
_LOW_M, _HIGH_M, _PITCH_M = (-0.32, -0.42, -0.3), (0.32, 0.3, 0.3), 0.007
# Fewer views contradict nothing.
_MIN_LOOKS = 2


def draw_photographs(bank: HeadBank, side_px: int, seed: int) -> tuple[Tensor, Tensor, CameraBatch]:
    """One head from all sides of a room, on pedestals that only some pictures show.

    Returns:
        Photographs `(VIEWS, 3, H, W)`, their true alphas `(VIEWS, 1, H, W)`, and the cameras.
    """
    generator = torch.Generator(bank.device).manual_seed(seed)
    cutouts, cameras = draw_capture(bank, VIEWS, side_px, np.random.default_rng(seed))
    halls = draw_halls(VIEWS, side_px, generator)
    images, alphas = compose(cutouts, halls, generator, mirrors=False)
    return images, alphas, cameras


def contradicted(alphas: Tensor, cameras: CameraBatch) -> Tensor:
    """The part of each view's foreground that the other views contradict. Shape `(V,)`.

    A pixel is contradicted if no place along its ray is foreground for `KEEP_PART` of the other
    views that have it in their frame.

    Args:
        alphas: Shape `(V, 1, H, W)` in [0, 1].
        cameras: The cameras of the views.
    """
    foreground = alphas[:, 0] >= 0.5
    count, height, width = foreground.shape
    pixels, depths = _pixels(cameras, height, width)
    inside = pixels >= 0
    flat = foreground.reshape(count, -1)
    votes = flat.gather(1, pixels.clamp_min(0)) & inside
    looks, agreeing = inside.sum(dim=0), votes.sum(dim=0)
    parts = []
    for i in range(count):
        others, yes = looks - inside[i].long(), agreeing - votes[i].long()
        kept = inside[i] & (yes >= KEEP_PART * others) & (others >= _MIN_LOOKS)
        picture = torch.zeros(height * width, device=alphas.device)
        picture[pixels[i][kept]] = 1
        # A place stands for a cube as wide as their distance.
        focal = float(cameras.intrinsics[i].diagonal()[:2].max())
        reach = math.ceil(_PITCH_M * focal / max(float(depths[i]), 1e-6))
        seen = functional.max_pool2d(picture.view(1, 1, height, width), 2 * reach + 1, 1, reach)
        alone = foreground[i] & (seen[0, 0] == 0)
        parts.append(alone.sum() / foreground[i].sum().clamp_min(1))
    return torch.stack(parts)


def _pixels(cameras: CameraBatch, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Pixel of each place in each view, -1 outside the frame `(V, P)`; depths of the box `(V,)`."""
    axes = [torch.arange(a, b, _PITCH_M) for a, b in zip(_LOW_M, _HIGH_M, strict=True)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    places = places.to(cameras.world_to_camera.device)
    found, depths = [], []
    for pose, matrix in zip(cameras.world_to_camera, cameras.intrinsics, strict=True):
        local = (places @ pose[:3, :3].T + pose[:3, 3]) @ matrix.T
        column, row = (local[:, :2] / local[:, 2:].clamp_min(1e-6)).floor().long().unbind(dim=1)
        inside = (local[:, 2] > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
        found.append(torch.where(inside, row * width + column, -1))
        depths.append(local[:, 2].mean())
    return torch.stack(found), torch.stack(depths)
