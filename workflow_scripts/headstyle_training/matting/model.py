"""The mini matting network, and its ONNX file that rembg's `u2net_custom` session loads.

A U-Net (Ronneberger et al. 2015) of residual blocks (He et al. 2016). rembg resizes photographs to
320 x 320 px, divides them by their largest value, normalizes them by ImageNet's mean and deviation,
and stretches the answer to [0, 1]. The answer is cut off below 0 and above 1, so that it has exact
zeros and ones wherever there is sure background and foreground and stretching changes nothing.
"""

import copy
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from headstyle.base.files import whole_file
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

SIDE_PX = 320
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WIDTHS = (24, 48, 88, 128, 160)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""
FINE_WIDTH = 12
CUT_OFF = 0.02
"""Answers this close to 0 or 1 become 0 or 1."""
OPSET = 17


class MattingNet(nn.Module):
    """From pictures as rembg normalizes them, `(B, 3, H, W)`, to logits of alpha `(B, 1, H, W)`.

    Height and width are multiples of 32.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, fine_width: int = FINE_WIDTH) -> None:
        super().__init__()
        self.stem = _convolution(3, widths[0], stride=2)
        self.encoder = nn.ModuleList([_Residual(widths[0])])
        for before, after in pairwise(widths):
            self.encoder.append(
                nn.Sequential(_convolution(before, after, stride=2), _Residual(after))
            )
        self.context = _Context(widths[-1])
        self.decoder = nn.ModuleList(
            _convolution(below + beside, beside)
            for below, beside in zip(widths[::-1], widths[-2::-1], strict=False)
        )
        self.fine = _convolution(3, fine_width)
        self.last = nn.Sequential(
            _convolution(widths[0] + fine_width, fine_width), nn.Conv2d(fine_width, 1, 3, 1, 1)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        features, levels = self.stem(pictures), []
        for stage in self.encoder:
            features = stage(features)
            levels.append(features)
        features = self.context(levels.pop())
        for stage in self.decoder:
            features = stage(torch.cat([_doubled(features), levels.pop()], dim=1))
        return self.last(torch.cat([_doubled(features), self.fine(pictures)], dim=1))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(features + self.second(self.first(features)))


class _Context(nn.Module):
    """Adds features of a wider neighborhood and of the whole picture to each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.far = _convolution(width, width // 2, dilation=2)
        self.whole = nn.Conv2d(width, width // 2, 1)
        self.joined = _convolution(width // 2, width)

    def forward(self, features: Tensor) -> Tensor:
        whole = self.whole(features.mean(dim=(2, 3), keepdim=True))
        return features + self.joined(self.far(features) + whole)


def _convolution(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)


class Matting(nn.Module):
    """The network as it is used: alpha in [0, 1] instead of logits."""

    def __init__(self, network: MattingNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        alpha = torch.sigmoid(self.network(pictures))
        return ((alpha - CUT_OFF) / (1 - 2 * CUT_OFF)).clamp(0, 1)


def new_network(seed: int) -> MattingNet:
    """An untrained network, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MattingNet()


def normalized(images: Tensor) -> Tensor:
    """Pictures in [0, 1], `(B, 3, H, W)`, as rembg hands them to the network."""
    largest = images.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    mean, deviation = (images.new_tensor(v).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    return (images / largest - mean) / deviation


def rounded(network: MattingNet) -> MattingNet:
    """A copy on the CPU to use: normalizations merged into convolutions, weights rounded to half.

    The rounding halves the file; the network still computes in single precision.
    """
    merged = copy.deepcopy(network).cpu().float().eval()
    for module in merged.modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                convolution, normalization = module[i], module[i + 1]
                if isinstance(normalization, nn.BatchNorm2d):
                    assert isinstance(convolution, nn.Conv2d)
                    module[i] = nn.utils.fuse_conv_bn_eval(convolution, normalization)
                    module[i + 1] = nn.Identity()
    for parameter in merged.parameters():
        parameter.data = parameter.data.half().float()
    return merged.requires_grad_(False)


def export_onnx(network: MattingNet, path: Path, side_px: int = SIDE_PX) -> None:
    """Write the rounded network as ONNX, its weights in half precision.

    ONNX Runtime widens them once, when it loads the file.

    Args:
        network: Trained; it may be rounded already.
        path: The file.
        side_px: Height and width of the pictures.
    """
    # Needed by nothing else.
    import onnx

    buffer: Any = io.BytesIO()
    # The exporter through TorchScript needs no further package and is in all versions we support.
    torch.onnx.export(
        Matting(rounded(network)).eval(),
        (torch.zeros(1, 3, side_px, side_px),),
        buffer,
        input_names=["photograph"],
        output_names=["alpha"],
        dynamic_axes={"photograph": {0: "count"}, "alpha": {0: "count"}},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load_from_string(buffer.getvalue())
    widened = []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 4:
            name = f"{tensor.name}.half"
            widened.append(
                onnx.helper.make_node(
                    "Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT, name=f"{name}.widen"
                )
            )
            values = onnx.numpy_helper.to_array(tensor).astype("float16")
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))
    for node in reversed(widened):
        model.graph.node.insert(0, node)
    # The same file whichever version of the exporter wrote it.
    model.producer_version = ""
    onnx.checker.check_model(model)
    with whole_file(path) as partial:
        onnx.save(model, str(partial))


def save_network(network: nn.Module, path: Path) -> None:
    """Write a rounded network's weights in half precision."""
    state = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    with whole_file(path) as partial:
        save_file(state, partial)


def load_network(path: Path) -> MattingNet:
    """Read what `save_network` wrote."""
    network = rounded(MattingNet())
    state = {name: tensor.float() for name, tensor in load_file(path).items()}
    network.load_state_dict(state)
    return network
