"""Dense displacement between the textures of two images, by local least squares.

Source: Lucas and Kanade, "An Iterative Image Registration Technique with an Application to Stereo
Vision", IJCAI 1981. Here the images are band-passed and registered from coarse to fine. A
regularization keeps regions without texture in place.
"""

import torch
from torch import Tensor
from torch.nn import functional

from headstyle.consistency.parts.smoothing import lengths, masked_smooth, smooth

BAND = 0.1
"""Structures larger than this (Gaussian sigma, fraction of the head's size) count as shading."""
WINDOW = 0.06
"""Gaussian sigma of the window of the least squares, as a fraction of the head's size."""
REGULARIZATION = 0.02
"""Added to the structure tensor, as a fraction of its mean, so that flat regions stay in place."""
FINEST_PX = 1.0
"""Structures finer than this (Gaussian sigma) count as noise of the pixels [px]."""
SCALES = ((3.0, 3), (1.5, 2))
"""Gaussian sigma [px] and iterations of each scale, coarse to fine."""


def displacement(target: Tensor, warped: Tensor, shared: Tensor, head_px: float) -> Tensor:
    """How far each pixel's surroundings are displaced: `target(x)` looks like `warped(x + d)`.

    Args:
        target, warped: Images of one size. Shape `(N, K, H, W)`.
        shared: 1 where the images are compared, else 0. Shape `(N, 1, H, W)`.
        head_px: Size of the head in the images [px].

    Returns:
        Displacements d (x, y) [px], 0 where `shared` is 0. Shape `(N, 2, H, W)`.
    """
    count, _, height, width = target.shape
    found = target.new_zeros((count, 2, height, width))
    for sigma, iterations in SCALES:
        first, second = (_band(image, shared, sigma, BAND * head_px) for image in (target, warped))
        slopes = _slopes(first)
        for _ in range(iterations):
            moved = _moved(torch.cat([second, shared], dim=1), found)
            inside = shared * (moved[:, -1:] > 0.99)
            step = _step(first, slopes, moved[:, :-1], inside, WINDOW * head_px)
            # The linear model holds only for steps shorter than the band's finest structures.
            length = lengths(step)
            step = step * (length.clamp(max=1.5 * sigma) / length.clamp(min=1e-6))
            found = (found + step) * shared
    return found


def residual(
    target: Tensor, warped: Tensor, shared: Tensor, offsets: Tensor, head_px: float
) -> tuple[Tensor, Tensor]:
    """The difference of the textures that is left after the displacement is undone.

    Args:
        target, warped, shared, head_px: The arguments of `displacement`.
        offsets: The displacements that it found [px]. Shape `(N, 2, H, W)`.

    Returns:
        The difference, shape `(N, K, H, W)`; and 1 where it is known, else 0, `(N, 1, H, W)`.
    """
    moved = _moved(torch.cat([warped, shared], dim=1), offsets)
    inside = shared * (moved[:, -1:] > 0.99)
    first, second = (
        _band(image, inside, FINEST_PX, BAND * head_px) for image in (target, moved[:, :-1])
    )
    return first - second, inside


def _band(image: Tensor, shared: Tensor, fine: float, coarse: float) -> Tensor:
    low = masked_smooth(image, shared, fine)
    return (low - masked_smooth(low, shared, coarse)) * shared


def _slopes(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y, 0 on the frame's border."""
    across = functional.pad((image[..., 2:] - image[..., :-2]) / 2, (1, 1, 0, 0))
    down = functional.pad((image[..., 2:, :] - image[..., :-2, :]) / 2, (0, 0, 1, 1))
    return across, down


def _moved(image: Tensor, offsets: Tensor) -> Tensor:
    """The image looked up `offsets` [px] away, bilinear, 0 beyond the frame."""
    height, width = image.shape[2:]
    x = torch.arange(width, device=image.device) + 0.5 + offsets[:, 0]
    y = torch.arange(height, device=image.device)[:, None] + 0.5 + offsets[:, 1]
    places = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=3)
    return functional.grid_sample(image, places, align_corners=False)


def _step(
    first: Tensor, slopes: tuple[Tensor, Tensor], second: Tensor, inside: Tensor, window: float
) -> Tensor:
    """The displacement that explains the difference best in each window. `(N, 2, H, W)`."""
    # Differences across the border of the shared part are not slopes of the texture.
    inner = 1 - functional.max_pool2d(1 - inside, 3, stride=1, padding=1)
    x, y = ((a + b) / 2 * inner for a, b in zip(slopes, _slopes(second), strict=True))
    rest = (first - second) * inner
    products = [(a * b).sum(dim=1) for a, b in ((x, x), (y, y), (x, y), (x, rest), (y, rest))]
    xx, yy, xy, xr, yr = smooth(torch.stack(products, dim=1), window).split(1, dim=1)
    area = inside.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    mean = ((xx + yy) / 2 * inside).sum(dim=(1, 2, 3), keepdim=True) / area
    # The constant is in squared units of the image, so it is the same for all textures.
    ridge = REGULARIZATION * mean + 1e-3
    xx, yy = xx + ridge, yy + ridge
    return torch.cat([yy * xr - xy * yr, xx * yr - xy * xr], dim=1) / (xx * yy - xy * xy)
