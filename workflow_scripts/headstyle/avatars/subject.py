"""The inputs that all avatars of a subject share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headstyle.avatars.stylization import render_images
from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.radiance.scenes import Scene, moved
from headstyle.rendering.renderer import render_views


@dataclass(frozen=True)
class Subject:
    """The inputs that all avatars of a subject share."""

    cameras: Cameras
    photographs: Mapping[str, RgbaImage]
    """The unedited views by name. Every edit is conditioned on them."""
    splats: Scene
    """The baseline."""
    neighbors: Sequence[Sequence[int]]
    """For each view the indices of its neighbors."""
    device: str = "cpu"
    """Where splats are trained."""

    @cached_property
    def renders(self) -> dict[str, RgbaImage]:
        """The baseline's render of every view. The first edits of all avatars start from it."""
        return dict(render_images(moved(self.splats, self.device), self.cameras))

    @cached_property
    def depths(self) -> dict[str, NDArray[np.float32]]:
        """The baseline's median depth in every view."""
        views = render_views(moved(self.splats, self.device), self.cameras)
        return {name: median for name, _, median, _ in views}
