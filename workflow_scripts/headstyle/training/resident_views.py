"""The views that a scene is trained on, resident on the device: cameras and target images.

An iteration must not wait for the device. So only the first use of a batch of views copies data
from the host.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage

# Largest number of batches that are kept. Random batches rarely repeat.
MOST_BATCHES = 4096


@dataclass(frozen=True)
class Batch:
    """Views of one size that are rendered together."""

    width: int
    """Width of the images [px]."""
    height: int
    """Height of the images [px]."""
    views: Tensor
    """Indices into the cameras. Shape `(C,)`."""
    slots: Tensor
    """Indices among the images of this size. Shape `(C,)`."""
    world_to_camera: Tensor
    """Poses of the cameras. Shape `(C, 4, 4)`."""
    intrinsics: Tensor
    """Pinhole matrices K [px]. Shape `(C, 3, 3)`."""
    timestep: Tensor | None = None
    """When all of them look at a head that moves. Shape `(1,)`."""

    def __len__(self) -> int:
        return len(self.views)


class ResidentViews:
    """Cameras and target images on the device, the images in one tensor per size."""

    def __init__(
        self, cameras: Cameras, device: torch.device, timesteps: Sequence[int] | None = None
    ) -> None:
        """Prepare the views; `timesteps` of all views, if given, part them into batches."""
        self.cameras = cameras
        self.device = device
        self._poses = torch.as_tensor(cameras.world_to_camera, dtype=torch.float32).to(device)
        self._intrinsics = torch.as_tensor(cameras.intrinsics, dtype=torch.float32).to(device)
        self._timesteps = timesteps
        if timesteps is not None:
            self._timesteps_there = torch.tensor(timesteps, device=device)
        self._sizes = [(int(width), int(height)) for width, height in cameras.sizes]
        counts: dict[tuple[int, int], int] = {}
        slots = []
        for size in self._sizes:
            slots.append(counts.setdefault(size, 0))
            counts[size] += 1
        self._slots = slots
        self._slots_there = torch.tensor(slots, device=device)
        self._colors, self._alphas = {}, {}
        for (width, height), count in counts.items():
            shape = (count, height, width)
            # Colors are stored premultiplied, as the renderer returns them.
            self._colors[width, height] = torch.zeros((*shape, 3), device=device)
            self._alphas[width, height] = torch.zeros(shape, device=device)
        self._given: set[str] = set()
        self._batches: dict[tuple[int, ...], list[Batch]] = {}

    def replace(self, images: Mapping[str, RgbaImage]) -> None:
        """Replace the target images of the given views (straight alpha, `(H, W, 4)`).

        Raises:
            ValueError: an image has another size than its camera.
        """
        for name, image in images.items():
            view = self.cameras.index(name)
            width, height = self._sizes[view]
            if image.shape != (height, width, 4):
                raise ValueError(
                    f"target of view {name} is {image.shape}, expected {(height, width, 4)}"
                )
            pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
            alphas = pixels[..., 3].to(self.device)
            colors = pixels[..., :3].to(self.device) * alphas[..., None]
            self._alphas[width, height][self._slots[view]] = alphas
            self._colors[width, height][self._slots[view]] = colors
            self._given.add(name)

    def missing(self) -> list[str]:
        """Views without a target yet."""
        return [name for name in self.cameras.names if name not in self._given]

    def batches(self, views: Sequence[int]) -> list[Batch]:
        """The given views (indices into the cameras), one batch per image size and timestep."""
        key = tuple(views)
        found = self._batches.get(key)
        if found is None:
            if len(self._batches) >= MOST_BATCHES:
                self._batches.clear()
            groups: dict[tuple[tuple[int, int], int | None], list[int]] = {}
            for view in key:
                timestep = self._timesteps[view] if self._timesteps is not None else None
                groups.setdefault((self._sizes[view], timestep), []).append(view)
            found = [
                self.batch(size, torch.tensor(group, device=self.device))
                for (size, _), group in groups.items()
            ]
            self._batches[key] = found
        return found

    def all_targets(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Premultiplied colors `(S, H, W, 3)` and alphas `(S, H, W)` of all views of a size."""
        return self._colors[size], self._alphas[size]

    def targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Premultiplied colors `(C, H, W, 3)` and alphas `(C, H, W)` of a batch."""
        size = (batch.width, batch.height)
        return (
            self._colors[size].index_select(0, batch.slots),
            self._alphas[size].index_select(0, batch.slots),
        )

    def size(self, view: int) -> tuple[int, int]:
        """Width and height of a view [px]."""
        return self._sizes[view]

    def batch(self, size: tuple[int, int], views: Tensor) -> Batch:
        """The given views, all of one timestep and of the given width and height [px].

        Args:
            size: Width and height.
            views: Indices of the views on the device. Shape `(C,)`.
        """
        timestep = None
        if self._timesteps is not None:
            timestep = self._timesteps_there.index_select(0, views[:1])
        return Batch(
            *size,
            views,
            self._slots_there.index_select(0, views),
            self._poses.index_select(0, views),
            self._intrinsics.index_select(0, views),
            timestep,
        )
