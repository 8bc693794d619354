"""Exposure of each training view: photographs of one scene differ in brightness and white balance.

This follows the exposure compensation of 3D Gaussian splatting's code (Kerbl et al. 2024, "A
hierarchical 3D Gaussian representation", section 5.1). There it is an affine map of the colors;
here it is one gain per channel. Gains fit the training views as well, and predict other views
better. The logarithms of the gains always have mean 0. So a scene rendered without gains has the
colors of the average view.
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
# The exposure of another camera is a mean over the training cameras. Their weight falls with this
# power of the distance (Shepard 1968). On the capture vespasian, with each training view's exposure
# predicted from the others, no power from 1 to 8 and no number of neighbors did better.
POWER = 3


class Exposures:
    """Gains of the colors per training view. The workflow's own renders never use them."""

    def __init__(self, cameras: Cameras, rate: float, device: torch.device) -> None:
        """Start with gains of 1 for the views of `cameras`; `rate` is Adam's step size."""
        self.cameras = cameras
        self.logarithms = torch.nn.Parameter(torch.zeros(len(cameras), 3, device=device))
        """Natural logarithms of the gains of red, green and blue. Shape `(V, 3)`."""
        self.rate = rate
        self.optimizer = adam(self.logarithms, rate, "exposures")

    def apply(self, colors: Tensor, alphas: Tensor, background: Tensor, views: Tensor) -> Tensor:
        """The rendered views times their gains; the background's share does not change.

        Args:
            colors: Colors rendered on `background`. Shape `(C, H, W, 3)`.
            alphas: Rendered alphas. Shape `(C, H, W)`.
            background: Color behind the splats. Shape `(3,)`.
            views: Indices of the views. Shape `(C,)`.
        """
        if colors.is_cuda and has_triton():
            from headstyle.losses.triton_steps import Exposed

            return Exposed.apply(colors, alphas, self.logarithms, views, background)
        gains = torch.exp(self.logarithms.index_select(0, views))[:, None, None]
        behind = (1 - alphas)[..., None] * background
        return torch.lerp(behind, colors, gains)

    def set_rate(self, progress: float) -> None:
        """Set the step size for `progress`, the part of the training that is done, in [0, 1]."""
        self.optimizer.param_groups[0]["lr"] = self.rate * DECAY**progress

    @torch.no_grad()
    def center(self) -> None:
        """Scale the gains to a geometric mean of 1, after a step of the optimizer."""
        self.logarithms.sub_(self.logarithms.mean(dim=0))

    def gains(self, cameras: Cameras) -> NDArray[np.float32]:
        """Gains of any views of the scene. Shape `(C, 3)`.

        Training views have their learned gains. For other views the gains are predicted: a mean of
        the learned ones, weighted by the cameras' distance. So a view's own pixels are never used.
        """
        learned = self.logarithms.detach().cpu().numpy()
        found = np.empty((len(cameras), 3), np.float32)
        places = {name: i for i, name in enumerate(self.cameras.names)}
        for row, name, center in zip(found, cameras.names, cameras.centers, strict=True):
            if name in places:
                row[:] = learned[places[name]]
                continue
            distances = np.linalg.norm(self.cameras.centers - center, axis=1)
            # A training camera at the same place gets nearly all of the weight.
            weights = np.maximum(distances / max(distances.max(), 1e-12), 1e-4) ** -POWER
            row[:] = weights @ learned / weights.sum()
        return np.exp(found)


def exposed(image: RgbaImage, gains: NDArray[np.float32]) -> RgbaImage:
    """An image whose colors are multiplied by gains `(3,)`; its alpha stays. `(H, W, 4)`."""
    colors = np.clip(image[..., :3] * gains, 0, 1)
    return np.concatenate([colors, image[..., 3:]], axis=2).astype(np.float32)
