"""Color correction of each training view: photographs of one scene differ in exposure and white.

As the exposure compensation of 3D Gaussian splatting's code (Kerbl et al. 2024, "A hierarchical 3D
Gaussian representation", section 5.1): an affine map of the colors per view, trained with the
splats. Here the maps are the identity on average at every moment, so a scene rendered without any
has the colors of the average view.
"""

import torch
from torch import Tensor

from headstyle.optimizers import adam, adam_step

# The step size falls by this factor over the training.
DECAY = 0.1


class Exposures:
    """One affine map of the colors per view; training views only, never applied to a render."""

    def __init__(self, views: int, rate: float, device: torch.device) -> None:
        """Start with the identity for `views` views, trained with Adam's step size `rate`."""
        self.deviations = torch.nn.Parameter(torch.zeros(views, 3, 4, device=device))
        """Maps minus the identity, `[matrix | offset]`. Shape `(V, 3, 4)`."""
        self.rate = rate
        self.optimizer = adam(self.deviations, rate, "exposures")

    def apply(self, colors: Tensor, alphas: Tensor, background: Tensor, views: Tensor) -> Tensor:
        """The rendered views as their photographs show them; the background stays.

        Args:
            colors: Rendered on `background`. Shape `(C, H, W, 3)`.
            alphas: Shape `(C, H, W)`.
            background: Shape `(3,)`.
            views: Which views they are. Shape `(C,)`.
        """
        chosen = self.deviations.index_select(0, views)
        foreground = colors - (1 - alphas)[..., None] * background
        # Of premultiplied colors: alpha (A c + b) = A (alpha c) + alpha b.
        scaled = torch.matmul(foreground.flatten(1, 2), chosen[:, :, :3].transpose(1, 2))
        offset = alphas[..., None] * chosen[:, None, None, :, 3]
        return colors + scaled.reshape(colors.shape) + offset

    def step(self, progress: float) -> None:
        """Take one step; `progress` in [0, 1] is the part of the training that is done."""
        self.optimizer.param_groups[0]["lr"] = self.rate * DECAY**progress
        adam_step([self.optimizer])
        with torch.no_grad():
            self.deviations -= self.deviations.mean(dim=0)
