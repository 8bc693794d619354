"""The network of LPIPS with SqueezeNet 1.1, without the packages lpips and torchvision.

Parts, names and results are those of the lpips package (version 0.1), so either takes the other's
weights. Importing that package loads torchvision and PyTorch's compiler, which takes longer than
scoring several views.
"""

import torch
from torch import Tensor, nn

EPSILON = 1e-10
"""Added to the length of features, so that features of length zero stay zero."""
_CHANNELS = (64, 128, 256, 384, 384, 512, 512)
"""Channels of the seven layers that are compared."""


def unit_features(features: Tensor) -> Tensor:
    """Features `(N, C, H, W)` divided by their length over the channels."""
    length = torch.sqrt(torch.sum(features**2, dim=1, keepdim=True))
    return features / (length + EPSILON)


class Fire(nn.Module):
    """A module of SqueezeNet: few channels, then kernels of 1 and of 3 side by side."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        """Take the numbers of channels; the outputs are twice `expanded`."""
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, kernel_size=1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, kernel_size=1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        squeezed = self.squeeze(features).relu_()
        both = self.expand1x1(squeezed).relu_(), self.expand3x3(squeezed).relu_()
        return torch.cat(both, dim=1)


class Backbone(nn.Module):
    """The features of SqueezeNet 1.1 in seven slices, each named by its layer's number."""

    N_slices = len(_CHANNELS)

    def __init__(self) -> None:
        super().__init__()
        layers: list[list[nn.Module]] = [
            [nn.Conv2d(3, 64, kernel_size=3, stride=2), nn.ReLU(inplace=True)],
            [_pool(), Fire(64, 16, 64), Fire(128, 16, 64)],
            [_pool(), Fire(128, 32, 128), Fire(256, 32, 128)],
            [_pool(), Fire(256, 48, 192)],
            [Fire(384, 48, 192)],
            [Fire(384, 64, 256)],
            [Fire(512, 64, 256)],
        ]
        number = 0
        for index, several in enumerate(layers, 1):
            part = nn.Sequential()
            for layer in several:
                part.add_module(str(number), layer)
                number += 1
            self.add_module(f"slice{index}", part)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = [images]
        for part in self.children():
            features.append(part(features[-1]))
        return features[1:]


class Scaling(nn.Module):
    """From images in [-1, 1] to the backbone's inputs."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("shift", (-0.030, -0.088, -0.188)), ("scale", (0.458, 0.448, 0.450))):
            self.register_buffer(name, torch.tensor(values)[None, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.shift) / self.scale


class Head(nn.Module):
    """Weights of one layer's channels. The dropout acts in the training of LPIPS only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, differences: Tensor) -> Tensor:
        weighted: Tensor = self.model(differences)
        return weighted


class SqueezeLpips(nn.Module):
    """The perceptual distance of two batches of images `(N, 3, H, W)` in [-1, 1]."""

    def __init__(self) -> None:
        """Make the network without weights: `load_state_dict(..., assign=True)` brings them."""
        super().__init__()
        self.scaling_layer = Scaling()
        with torch.device("meta"):
            self.net = Backbone()
            self.lins = nn.ModuleList(Head(channels) for channels in _CHANNELS)
        for number, head in enumerate(self.lins):
            self.add_module(f"lin{number}", head)

    def forward(self, first: Tensor, second: Tensor, normalize: bool = False) -> Tensor:
        """One distance per pair, shape `(N, 1, 1, 1)`; `normalize` for images in [0, 1]."""
        images = [2 * image - 1 if normalize else image for image in (first, second)]
        features = [self.net(self.scaling_layer(image)) for image in images]
        total = first.new_zeros(())
        for head, *pair in zip(self.lins, *features, strict=True):
            one, other = (unit_features(layer) for layer in pair)
            total = total + head((one - other) ** 2).mean([2, 3], keepdim=True)
        return total


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
