"""Exposure of each training view: photographs of one scene differ in brightness and white balance.

As the exposure compensation of 3D Gaussian splatting's code (Kerbl et al. 2024, "A hierarchical 3D
Gaussian representation", section 5.1), but one gain per channel instead of an affine map of the
colors: it explains as much, and tells more about the views between. The logarithms of the gains are
0 on average at every moment, so a scene rendered without any has the colors of the average view.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.devices import has_triton
from headstyle.base.images import RgbaImage
from headstyle.training.optimizers import adam

# The step size falls by this factor over the training.
DECAY = 0.1
# The influence of a training camera on the exposure predicted for another one falls with this power
# of their distance (Shepard 1968). On vespasian, where the exposure of each training view was
# predicted from the others, no power from 1 to 8 and no number of neighbors did better.
POWER = 3


class Exposures:
    """Gains of the colors per training view; never applied to what the workflow renders."""

    def __init__(self, cameras: Cameras, rate: float, device: torch.device) -> None:
        """Start with gains of 1 for the views of `cameras`; `rate` is Adam's step size."""
        self.cameras = cameras
        self.logarithms = torch.nn.Parameter(torch.zeros(len(cameras), 3, device=device))
        """Natural logarithms of the gains of red, green and blue. Shape `(V, 3)`."""
        self.rate = rate
        self.optimizer = adam(self.logarithms, rate, "exposures")

    def apply(self, colors: Tensor, alphas: Tensor, background: Tensor, views: Tensor) -> Tensor:
        """The rendered views as their photographs show them; the background stays.

        Args:
            colors: Rendered on `background`. Shape `(C, H, W, 3)`.
            alphas: Shape `(C, H, W)`.
            background: Shape `(3,)`.
            views: Which views they are. Shape `(C,)`.
        """
        if colors.is_cuda and has_triton():
            from headstyle.losses.triton_steps import Exposed

            return Exposed.apply(colors, alphas, self.logarithms, views, background)
        gains = torch.exp(self.logarithms.index_select(0, views))[:, None, None]
        behind = (1 - alphas)[..., None] * background
        return torch.lerp(behind, colors, gains)

    def set_rate(self, progress: float) -> None:
        """Choose the step size; `progress` in [0, 1] is the part of the training that is done."""
        self.optimizer.param_groups[0]["lr"] = self.rate * DECAY**progress

    @torch.no_grad()
    def center(self) -> None:
        """Make the gains 1 on (geometric) average, after a step of the optimizer."""
        self.logarithms.sub_(self.logarithms.mean(dim=0))

    def gains(self, cameras: Cameras) -> NDArray[np.float32]:
        """Gains of any views of the scene. Shape `(C, 3)`.

        Those of training views are what was learned; others are predicted as the mean of these,
        weighted by how near the cameras are, so never from their own pixels.
        """
        learned = self.logarithms.detach().cpu().numpy()
        found = np.empty((len(cameras), 3), np.float32)
        places = {name: i for i, name in enumerate(self.cameras.names)}
        for row, name, center in zip(found, cameras.names, cameras.centers, strict=True):
            if name in places:
                row[:] = learned[places[name]]
                continue
            distances = np.linalg.norm(self.cameras.centers - center, axis=1)
            # Nearly alone where a training camera is at the same place.
            weights = np.maximum(distances / max(distances.max(), 1e-12), 1e-4) ** -POWER
            row[:] = weights @ learned / weights.sum()
        return np.exp(found)


def exposed(image: RgbaImage, gains: NDArray[np.float32]) -> RgbaImage:
    """An image whose colors are multiplied by gains `(3,)`; its alpha stays. `(H, W, 4)`."""
    colors = np.clip(image[..., :3] * gains, 0, 1)
    return np.concatenate([colors, image[..., 3:]], axis=2).astype(np.float32)
