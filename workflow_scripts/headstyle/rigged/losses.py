"""What keeps bound splats near their triangles and no larger than they: GaussianAvatars' losses.

Qian et al., "GaussianAvatars: Photorealistic Head Avatars with Rigged 3D Gaussians", CVPR 2024,
section 3.3. Both are zero up to a threshold, so they leave the splats of a good scene alone. The
means here are over all splats; theirs are over those that the iteration's view shows.
"""

import torch
from torch import Tensor

POSITION_WEIGHT, POSITION_THRESHOLD = 0.01, 1.0
"""As published. The threshold is in units of the triangle's scale."""
SCALE_WEIGHT, SCALE_THRESHOLD = 1.0, 0.6
"""As published. The threshold is in units of the triangle's scale."""


def position_loss(means: Tensor, threshold: float = POSITION_THRESHOLD) -> Tensor:
    """Mean distance by which splats are further from their triangle's centre than a threshold.

    Args:
        means: Positions in the triangles' frames. Shape `(N, 3)`.
        threshold: Distance that costs nothing, in units of the triangle's scale.

    Returns:
        A scalar, in units of the triangle's scale.
    """
    # The norm has no gradient at 0, where new splats lie; below the threshold none is needed.
    squares = means.square().sum(dim=1).clamp_min(threshold**2)
    return (squares.sqrt() - threshold).mean()


def scale_loss(log_scales: Tensor, threshold: float = SCALE_THRESHOLD) -> Tensor:
    """Mean length by which the splats' axes exceed a threshold, all three taken together.

    Args:
        log_scales: Logarithms of the extents in the triangles' frames. Shape `(N, 3)`.
        threshold: Extent that costs nothing, in units of the triangle's scale.

    Returns:
        A scalar, in units of the triangle's scale.
    """
    excess = (torch.exp(log_scales) - threshold).clamp_min(0)
    squares = excess.square().sum(dim=1)
    # The root has no gradient at 0.
    safe = torch.where(squares > 0, squares, torch.ones_like(squares))
    return torch.where(squares > 0, safe.sqrt(), torch.zeros_like(squares)).mean()
