"""What lenses, sensors and files do to pictures, by another amount for each picture of a batch.

Images are sRGB in [0, 1], shape `(B, C, H, W)`; amounts have shape `(B,)`.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

BLOCK_PX = 8
# Luma and color differences as in JPEG (ITU-T T.871).
YCC_FROM_RGB = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)


class Chance:
    """Random numbers for the pictures of a batch, on its device."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator, self.device = count, generator, generator.device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform numbers from `low` to `high`. Shape `(B, *shape)`."""
        drawn = torch.rand(self.count, *shape, generator=self.generator, device=self.device)
        return low + (high - low) * drawn

    def normal(self, *shape: int) -> Tensor:
        """Normal numbers of mean 0 and deviation 1. Shape `(B, *shape)`."""
        return torch.randn(self.count, *shape, generator=self.generator, device=self.device)

    def happens(self, probability: float) -> Tensor:
        """1 or 0. Shape `(B,)`."""
        return (self.uniform(0, 1) < probability).float()

    def clouds(self, cells: int, height: int, width: int, channels: int = 1) -> Tensor:
        """Smooth noise of deviation about 0.7, `cells` blobs a side. `(B, channels, H, W)`."""
        small = self.normal(channels, cells, cells)
        return functional.interpolate(small, (height, width), mode="bicubic", align_corners=False)


def wide(amounts: Tensor) -> Tensor:
    """`(B,)` as `(B, 1, 1, 1)`."""
    return amounts.view(-1, 1, 1, 1)


def blur(images: Tensor, sigma_px: Tensor, radius_px: int) -> Tensor:
    """Gaussian blur of each picture; borders are continued.

    Args:
        images: Shape `(B, C, H, W)`.
        sigma_px: Standard deviations, 0 for none. Shape `(B,)`.
        radius_px: Where all kernels end.
    """
    count, channels, height, width = images.shape
    offsets = torch.arange(-radius_px, radius_px + 1, device=images.device, dtype=images.dtype)
    # Below a tenth of a pixel nothing but the middle is left, and the exponent stays finite.
    exponents = -0.5 * (offsets / sigma_px.clamp_min(0.1)[:, None]) ** 2
    kernels = exponents.exp()
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    stacked = images.reshape(1, count * channels, height, width)
    for shape, padding in (
        ((-1, 1, 1, len(offsets)), (radius_px, radius_px, 0, 0)),
        ((-1, 1, len(offsets), 1), (0, 0, radius_px, radius_px)),
    ):
        padded = functional.pad(stacked, padding, mode="replicate")
        stacked = functional.conv2d(padded, kernels.view(shape), groups=count * channels)
    return stacked.view_as(images)


def compress(images: Tensor, coarseness: Tensor) -> Tensor:
    """Compress as JPEG does: round the cosine transform of 8 x 8 blocks, high frequencies more.

    Args:
        images: Height and width are multiples of 8. Shape `(B, 3, H, W)`.
        coarseness: Step of the lowest frequency in 1/255, 0 for none; 1 is fine, 20 coarse.
    """
    count, _, height, width = images.shape
    to_ycc = images.new_tensor(YCC_FROM_RGB)
    transform = _cosines(images)
    ycc = torch.einsum("ij,bjhw->bihw", to_ycc, images)
    blocks = ycc.view(count, 3, height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    frequencies = torch.einsum("uy,bcmynx,vx->bcmunv", transform, blocks, transform)
    order = torch.arange(BLOCK_PX, device=images.device)
    ramp = 1 + 0.7 * (order[:, None] + order[None, :])
    steps = (ramp[:, None, :] / 255) * coarseness.clamp_min(0.01).view(-1, 1, 1, 1, 1, 1)
    # Color differences are rounded twice as coarsely.
    steps = steps * images.new_tensor([1.0, 2.0, 2.0]).view(1, 3, 1, 1, 1, 1)
    rounded = (frequencies / steps).round() * steps
    kept = torch.einsum("uy,bcmunv,vx->bcmynx", transform, rounded, transform)
    rgb = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to_ycc), kept.reshape(ycc.shape))
    return torch.where(wide(coarseness) > 0, rgb, images).clamp(0, 1)


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal cosine transform of 8 values. Shape `(8, 8)`, frequency first."""
    order = torch.arange(BLOCK_PX, device=like.device, dtype=like.dtype)
    basis = torch.cos(math.pi / BLOCK_PX * order[:, None] * (order[None, :] + 0.5))
    scale = torch.full_like(order, math.sqrt(2 / BLOCK_PX))
    scale[0] = math.sqrt(1 / BLOCK_PX)
    return scale[:, None] * basis


def resample(images: Tensor, shift_px: Tensor) -> Tensor:
    """Move pictures: take each pixel from `shift_px` away, bicubic; the border is continued.

    Args:
        images: Shape `(B, C, H, W)`.
        shift_px: x and y [px]. Shape `(B, H, W, 2)`, or `(B, 1, 1, 2)` for whole pictures.
    """
    height, width = images.shape[-2:]
    x = torch.arange(width, device=images.device) + 0.5
    y = torch.arange(height, device=images.device) + 0.5
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1) + shift_px
    grid = 2 * places / places.new_tensor([width, height]) - 1
    return functional.grid_sample(
        images, grid, mode="bicubic", padding_mode="border", align_corners=False
    )


def grade(images: Tensor, gain: Tensor, gamma: Tensor, saturation: Tensor, tint: Tensor) -> Tensor:
    """Another exposure, tone curve, saturation and white balance.

    Args:
        images: Shape `(B, 3, H, W)`.
        gain: Factor. Shape `(B,)`, as `gamma` and `saturation`.
        gamma: Exponent.
        saturation: 0 is gray, 1 as it was.
        tint: Factors of the channels. Shape `(B, 3)`.
    """
    toned = (images.clamp_min(0) * wide(gain) * tint[:, :, None, None]).clamp(1e-4, 1)
    toned = toned ** wide(gamma)
    gray = toned.mean(dim=1, keepdim=True)
    return (gray + wide(saturation) * (toned - gray)).clamp(0, 1)
