"""Gaussian smoothing of batches of images, as a whole or over the pixels of a mask."""

from functools import lru_cache

import torch
from torch import Tensor

REACH = 3.0
"""Standard deviations after which Gaussians are cut off."""


def smooth(images: Tensor, sigma_px: float) -> Tensor:
    """Gaussian mean, zeros beyond the frame. Shape `(N, K, H, W)` in and out."""
    # Two products with banded matrices: faster here than convolutions of many channels.
    rows = _gaussian(images.shape[2], sigma_px).to(images)
    columns = _gaussian(images.shape[3], sigma_px).to(images)
    return rows @ (images @ columns)


def masked_smooth(images: Tensor, mask: Tensor, sigma_px: float) -> Tensor:
    """Gaussian mean over the pixels of a mask, 0 far from it.

    Args:
        images: Shape `(N, K, H, W)`.
        mask: Weights in [0, 1]. Shape `(N, 1, H, W)`.
        sigma_px: Standard deviation [px].
    """
    return smooth(images * mask, sigma_px) / smooth(mask, sigma_px).clamp(min=1e-4)


def lengths(vectors: Tensor) -> Tensor:
    """Euclidean length over the channels. Shape `(N, K, H, W)` to `(N, 1, H, W)`."""
    # Many times faster than torch's norm along an axis that is not the last.
    return vectors.square().sum(dim=1, keepdim=True).sqrt()


@lru_cache(maxsize=256)
def _gaussian(length: int, sigma_px: float) -> Tensor:
    """Weights of each pixel's mean, symmetric; rows sum to 1 away from the frame's border."""
    place = torch.arange(length, dtype=torch.float64)
    distance = (place[:, None] - place).abs()
    weights = torch.exp(-(distance**2) / (2 * sigma_px**2)) * (distance <= REACH * sigma_px)
    reach = torch.arange(-int(REACH * sigma_px), int(REACH * sigma_px) + 1, dtype=torch.float64)
    return weights / torch.exp(-(reach**2) / (2 * sigma_px**2)).sum()
