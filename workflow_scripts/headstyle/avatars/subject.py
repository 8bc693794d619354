"""The inputs that all avatars of a subject share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from headstyle.avatars.stylization import render_images
from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.rendering.renderer import Splats, render_views


@dataclass(frozen=True)
class Subject:
    """The inputs that all avatars of a subject share."""

    cameras: Cameras
    photographs: Mapping[str, RgbaImage]
    """The unedited views by name. Every edit is conditioned on them."""
    splats: Splats
    """The baseline."""
    neighbors: Sequence[Sequence[int]]
    """For each view the indices of its neighbors."""
    device: str = "cpu"
    """Where splats are trained."""

    @cached_property
    def renders(self) -> dict[str, RgbaImage]:
        """The baseline's render of every view. The first edits of all avatars start from it."""
        on_device = {name: value.detach().to(self.device) for name, value in self.splats.items()}
        return dict(render_images(on_device, self.cameras))

    @cached_property
    def depths(self) -> dict[str, NDArray[np.float32]]:
        """The baseline's median depth in every view."""
        moved = {k: torch.nn.Parameter(v.detach().to(self.device)) for k, v in self.splats.items()}
        views = render_views(torch.nn.ParameterDict(moved), self.cameras)
        return {name: median for name, _, median, _ in views}
