"""The pixels that a field is trained on, resident on the device: random rays over all views."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.radiance.field import RadianceField
from headstyle.radiance.sampling import Rays, rays_of
from headstyle.radiance.settings import NerfSettings

DRAWS = 3
"""Random numbers in [0, 1) per patch: its view, its place within the masks, its place anywhere."""


@dataclass(frozen=True)
class Target:
    """What R rays should see."""

    rays: Rays
    """The rays."""
    colors: Tensor
    """Colors times alpha. Shape `(R, 3)`."""
    alphas: Tensor
    """Opacity in [0, 1]. Shape `(R,)`."""
    views: Tensor
    """Indices of the views. Shape `(R,)`."""


class TrainingRays:
    """Cameras and target images of all views, and where in them rays may start."""

    def __init__(self, cameras: Cameras, settings: NerfSettings, device: torch.device) -> None:
        self.cameras = cameras
        self.settings = settings
        self.device = device
        counts = cameras.sizes.prod(axis=1)
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._starts = self._resident(starts, torch.int64)
        self._sizes = self._resident(cameras.sizes, torch.int64)
        self._pose = self._resident(np.linalg.inv(cameras.world_to_camera)[:, :3])
        self._inverse = self._resident(np.linalg.inv(cameras.intrinsics))
        self._slices = [slice(int(s), int(s + n)) for s, n in zip(starts, counts, strict=True)]
        # Colors times alpha, and alpha, of the pixels of all views.
        self._pixels = torch.zeros((int(counts.sum()), 4), device=device)
        # In each view's row, the pixels within its mask and the margin, then nothing of use.
        self._pool = torch.zeros(
            (len(cameras), int(counts.max())), dtype=torch.int32, device=device
        )
        self._pool_counts = torch.ones(len(cameras), device=device)
        self._given: set[str] = set()

    def replace(self, images: Mapping[str, RgbaImage]) -> None:
        """Replace the target images of the given views (straight alpha, `(H, W, 4)`).

        Raises:
            ValueError: an image has another size than its camera.
        """
        for name, image in images.items():
            view = self.cameras.index(name)
            width, height = self.cameras.sizes[view]
            if image.shape != (height, width, 4):
                raise ValueError(
                    f"target of view {name} is {image.shape}, expected {(height, width, 4)}"
                )
            pixels = image.astype(np.float32, copy=True).reshape(-1, 4)
            pixels[:, :3] *= pixels[:, 3:]
            self._pixels[self._slices[view]] = torch.from_numpy(pixels).to(self.device)
            pool = around_mask(image[..., 3], self.settings.margin)
            self._pool[view, : len(pool)] = torch.from_numpy(pool).to(self.device)
            self._pool_counts[view] = len(pool)
            self._given.add(name)

    def missing(self) -> list[str]:
        """Views without a target yet."""
        return [name for name in self.cameras.names if name not in self._given]

    def draw(self, field: RadianceField, chances: Tensor, patch_px: int) -> Target:
        """Rays of square patches at random places, each view as often as any other.

        Args:
            field: The field, for its box.
            chances: Random numbers in [0, 1), see `DRAWS`. Shape `(P, 3)`.
            patch_px: Side of the patches [px].

        Returns:
            The patches' rays, patch by patch, row by row.
        """
        views = (chances[:, 0] * len(self.cameras)).long().clamp_max(len(self.cameras) - 1)
        width, height = self._sizes.index_select(0, views).unbind(dim=1)
        counts = self._pool_counts.index_select(0, views)
        place = torch.minimum((chances[:, 1] * counts).long(), counts.long() - 1)
        inside = self._pool.view(-1)[views * self._pool.shape[1] + place].long()
        every = torch.minimum((chances[:, 2] * (width * height)).long(), width * height - 1)
        anywhere = torch.arange(len(chances), device=self.device)
        index = torch.where(anywhere < self.settings.anywhere * len(chances), every, inside)
        x, y = index % width, index // width
        if patch_px > 1:
            steps = torch.arange(patch_px, device=self.device)
            left = torch.minimum((x - patch_px // 2).clamp_min(0), width - patch_px)
            top = torch.minimum((y - patch_px // 2).clamp_min(0), height - patch_px)
            x = (left[:, None, None] + steps[None, None, :]).expand(-1, patch_px, -1).reshape(-1)
            y = (top[:, None, None] + steps[None, :, None]).expand(-1, -1, patch_px).reshape(-1)
            repeated = patch_px * patch_px
            views, width = views.repeat_interleave(repeated), width.repeat_interleave(repeated)
        found = self._pixels.index_select(0, self._starts.index_select(0, views) + y * width + x)
        rays = rays_of(
            *(field.corner, field.box.side),
            *(self._pose.index_select(0, views), self._inverse.index_select(0, views)),
            torch.stack([x, y], dim=1) + 0.5,
        )
        return Target(rays, found[:, :3], found[:, 3], views)

    def _resident(self, array: NDArray[np.generic], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(np.asarray(array), dtype=dtype).to(self.device)


def around_mask(alpha: NDArray[np.floating], margin: float) -> NDArray[np.int32]:
    """Indices of the pixels within a mask `(H, W)` or near it; all pixels if the mask is empty.

    Args:
        alpha: The mask.
        margin: How near, as a part of the image's long side.
    """
    reach = max(1, round(margin * max(alpha.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = cv2.dilate((alpha > 0).astype(np.uint8), kernel)
    found = np.flatnonzero(near)
    return (found if len(found) else np.arange(alpha.size)).astype(np.int32)
