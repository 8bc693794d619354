"""LPIPS of image pairs that differ in a part of the frame only; the rest is not computed.

Both images are black outside the overlap. There both have the network's features of a black frame,
so their distance is zero. In each layer only the window that depends on the overlap is computed.
Where a layer needs features from outside the window, it takes those of a black frame, which are
computed once. Up to rounding, the values are those of the whole frame.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstyle.consistency.pairs import Box, bounding_box

BLACK = -1.0
"""A black pixel as the network's input."""
# As in the lpips package: a feature of length zero stays zero.
_EPSILON = 1e-10


@dataclass(frozen=True)
class Window:
    """Features in a part of a layer's frame; elsewhere they are those of a black frame."""

    features: Tensor
    """Shape `(N, C, bottom - top, right - left)`."""
    place: Box
    black: Tensor
    """Features of a black frame. Shape `(1, C, H, W)`."""

    def taken(self, place: Box, beyond: float) -> Tensor:
        """Features at another place. Where that reaches beyond the frame, they are `beyond`."""
        if place == self.place:
            return self.features
        top, bottom, left, right = place
        shape = (len(self.features), self.black.shape[1], bottom - top, right - left)
        frame = (0, self.black.shape[2], 0, self.black.shape[3])
        inside, own = _common(place, frame), _common(place, self.place)
        result = torch.empty(shape, device=self.features.device, memory_format=torch.channels_last)
        if inside != place:
            result.fill_(beyond)
        if own != inside:
            _part(result, inside, place).copy_(_part(self.black, inside, frame))
        _part(result, own, place).copy_(_part(self.features, own, self.place))
        return result


@dataclass(frozen=True)
class Step:
    """A layer of the network that slides over the frame."""

    run: Callable[[Tensor], Tensor]
    """The layer without its padding, as its input is padded already."""
    kernel: int
    stride: int = 1
    padding: int = 0
    beyond: float = 0.0
    """Value of the padding."""
    ceil: bool = False
    """Whether the kernel may stand at a last place that reaches beyond the frame (`ceil_mode`)."""

    def frame(self, features: Tensor) -> Tensor:
        """The layer's output for a whole frame."""
        height, width = features.shape[2:]
        whole = Window(features, (0, height, 0, width), features)
        outputs = (0, self._count(height), 0, self._count(width))
        return self.run(whole.taken(self._inputs(outputs), self.beyond))

    def window(self, window: Window, black: Tensor) -> Window | None:
        """The part of the output that depends on the window; None if no part does.

        Args:
            window: The input.
            black: The layer's output for a black frame.
        """
        top, bottom, left, right = window.place
        rows = self._reached(top, bottom, black.shape[2])
        columns = self._reached(left, right, black.shape[3])
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            return None
        place = (*rows, *columns)
        return Window(self.run(window.taken(self._inputs(place), self.beyond)), place, black)

    def _count(self, length: int) -> int:
        places = (length + 2 * self.padding - self.kernel) / self.stride
        count = (math.ceil(places) if self.ceil else math.floor(places)) + 1
        # A kernel that starts in the padding at the end is not counted.
        return count - (self.ceil and (count - 1) * self.stride >= length + self.padding)

    def _reached(self, first: int, end: int, count: int) -> tuple[int, int]:
        """First and end of the outputs, of `count`, that depend on the inputs `first` to `end`."""
        start = -((self.kernel - 1 - self.padding - first) // self.stride)
        return max(0, start), min(count, (end - 1 + self.padding) // self.stride + 1)

    def _inputs(self, place: Box) -> Box:
        """The inputs on which the outputs at a place depend."""
        top, bottom, left, right = (self.stride * edge - self.padding for edge in place)
        more = self.kernel - self.stride
        return top, bottom + more, left, right + more


class WindowedLpips:
    """The network of the lpips package, computed on windows around the overlaps.

    Args:
        network: From `headstyle.losses.lpips_networks.load_network`.
    """

    def __init__(self, network: Any) -> None:
        network = network.to(memory_format=torch.channels_last)
        self._scaling = network.scaling_layer
        net = network.net
        slices = [getattr(net, f"slice{number + 1}") for number in range(net.N_slices)]
        self._slices = [_steps(layers) for layers in slices]
        self._weights = [head.model[-1].weight for head in network.lins]
        self._black: tuple[tuple[int, ...], list[Tensor]] = ((), [])

    @torch.inference_mode()
    def __call__(self, target: Tensor, warped: Tensor, overlap: Tensor) -> Tensor:
        """The distance of each pair, averaged over the whole frame. Shape `(N,)`, float64.

        Args:
            target: Images in [0, 1]. Shape `(N, H, W, 3)`.
            warped: The other images. Shape `(N, H, W, 3)`.
            overlap: Pixels that are compared; both images are black elsewhere. Shape `(N, H, W)`,
                bool.
        """
        distance = overlap.new_zeros(len(overlap), dtype=torch.float64)
        place = bounding_box(overlap.any(dim=0))
        if place is None:
            return distance
        rows, columns = slice(*place[:2]), slice(*place[2:])
        inside = overlap[:, rows, columns].unsqueeze(1)
        images = (image[:, rows, columns].permute(0, 3, 1, 2) for image in (target, warped))
        both = torch.cat([torch.where(inside, image * 2 - 1, BLACK) for image in images])
        both = both.contiguous(memory_format=torch.channels_last)
        for weight, window in zip(
            self._weights, self._windows(both, place, tuple(overlap.shape[1:])), strict=False
        ):
            pixels = window.black.shape[2] * window.black.shape[3]
            distance += _distances(window.features, weight).double() / pixels
        return distance

    def _windows(self, images: Tensor, place: Box, size: tuple[int, ...]) -> Iterator[Window]:
        """The windows of the layers that are compared, until none depends on the overlap."""
        black = iter(self._black_frame(size, images))
        window = Window(self._scaling(images), place, next(black))
        for steps in self._slices:
            for step in steps:
                reached = step.window(window, next(black))
                if reached is None:
                    return
                window = reached
            yield window

    def _black_frame(self, size: tuple[int, ...], like: Tensor) -> list[Tensor]:
        """A black frame as the network's input, and what each step makes of it."""
        if self._black[0] != size:
            frame = like.new_full((1, 3, *size), BLACK)
            results = [self._scaling(frame.contiguous(memory_format=torch.channels_last))]
            for step in (step for steps in self._slices for step in steps):
                results.append(step.frame(results[-1]))
            self._black = (size, results)
        return self._black[1]


def _distances(features: Tensor, weight: Tensor) -> Tensor:
    """Weighted squared differences between both halves of a batch, summed; unit features."""
    lengths = features.square().sum(dim=1, keepdim=True).sqrt_().add_(_EPSILON)
    target, warped = (features / lengths).chunk(2)
    return functional.conv2d((target - warped).square_(), weight).sum(dim=(1, 2, 3))


def _steps(layers: nn.Sequential) -> list[Step]:
    """The layers as steps, each ReLU with the convolution before it."""
    steps: list[Step] = []
    layer: Any
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            steps[-1] = replace(steps[-1], run=_rectified(steps[-1].run))
        elif isinstance(layer, nn.Conv2d):
            steps.append(_convolution(layer))
        elif isinstance(layer, nn.MaxPool2d):
            steps.append(_pool(layer))
        else:
            steps += [_convolution(layer.squeeze, rectified=True), _expansion(layer)]
    return steps


def _convolution(layer: Any, rectified: bool = False) -> Step:
    def run(features: Tensor) -> Tensor:
        return functional.conv2d(features, layer.weight, layer.bias, layer.stride)

    [kernel, _], [stride, _], [padding, _] = layer.kernel_size, layer.stride, layer.padding
    return Step(_rectified(run) if rectified else run, kernel, stride, padding)


def _pool(layer: Any) -> Step:
    def run(features: Tensor) -> Tensor:
        return functional.max_pool2d(features, layer.kernel_size, layer.stride)

    size = (layer.kernel_size, layer.stride, layer.padding)
    return Step(run, *size, beyond=-math.inf, ceil=layer.ceil_mode)


def _expansion(fire: Any) -> Step:
    """The second half of SqueezeNet's Fire: kernels of 1 and 3 side by side."""

    def run(features: Tensor) -> Tensor:
        inner = features[..., 1:-1, 1:-1]
        return torch.cat(
            [
                functional.conv2d(inner, fire.expand1x1.weight, fire.expand1x1.bias),
                functional.conv2d(features, fire.expand3x3.weight, fire.expand3x3.bias),
            ],
            dim=1,
        ).relu_()

    return Step(run, kernel=3, padding=1)


def _rectified(run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda features: run(features).relu_()


def _common(place: Box, other: Box) -> Box:
    return (
        max(place[0], other[0]),
        min(place[1], other[1]),
        max(place[2], other[2]),
        min(place[3], other[3]),
    )


def _part(features: Tensor, place: Box, of: Box) -> Tensor:
    """The part at `place` of features at the place `of`."""
    return features[..., place[0] - of[0] : place[1] - of[0], place[2] - of[2] : place[3] - of[2]]
