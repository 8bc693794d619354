"""The mini perceptual network: LPIPS (Zhang et al. 2018) with SqueezeNet, trained from scratch.

Backbone and linear heads have exactly the package's names and shapes, so that its class takes the
weights unchanged.
"""

from pathlib import Path

import torch
from headstyle.base.files import whole_file
from headstyle.capture.operators import OPERATORS
from headstyle.losses.lpips_networks import package_network
from safetensors.torch import save_file
from torch import Tensor, nn

from headstyle_training.perceptual.distortions import TRAINED

FIRST_HEAD_WEIGHT = 2.0
"""The linear heads start as plain means of the channels, times this."""
EPSILON = 1e-10


class PerceptualTrainer(nn.Module):
    """The metric, and the layers that only its training needs."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.metric = package_network("squeeze", seed).eval().requires_grad_(True)
        with torch.no_grad():
            for head, channels in zip(self.metric.lins, self.metric.chns, strict=True):
                head.model[-1].weight.fill_(FIRST_HEAD_WEIGHT / channels)
        channels = self.metric.chns[-1]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.operator = nn.Linear(channels, len(OPERATORS))
            self.distortion = nn.Linear(2 * channels, len(TRAINED) + 1)
        self.sharpness = nn.Parameter(torch.tensor(1.0))
        """Natural logarithm of the slope from ratios of distances to odds."""

    def features(self, images: Tensor) -> list[Tensor]:
        """The backbone's layers of images in [0, 1], `(B, 3, H, W)`."""
        return list(self.metric.net(self.metric.scaling_layer(images * 2 - 1)))

    def distance(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        """The metric from the layers of two batches, as the package computes it. Shape `(B,)`."""
        total = torch.zeros(len(first[0]), device=first[0].device)
        for head, a, b in zip(self.metric.lins, first, second, strict=True):
            squares = (_unit(a.float()) - _unit(b.float())).square()
            # In evaluation mode its dropout does nothing.
            total = total + head(squares).mean(dim=(1, 2, 3))
        return total

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep the linear heads at 0 or more: no difference may bring pictures closer."""
        for head in self.metric.lins:
            head.model[-1].weight.clamp_(min=0)


def _unit(features: Tensor) -> Tensor:
    """Features of length 1 at every place; unlike the package's, smooth where they vanish."""
    return features * (features.square().sum(dim=1, keepdim=True) + EPSILON).rsqrt()


def save_metric(metric: nn.Module, path: Path) -> None:
    """Write the metric's weights in half precision, each once."""
    state = {
        name: tensor.detach().half().cpu().contiguous()
        for name, tensor in metric.state_dict().items()
        # The package names the linear heads twice, and its scaling is a constant.
        if not name.startswith(("lins.", "scaling_layer."))
    }
    with whole_file(path) as partial:
        save_file(state, partial)
