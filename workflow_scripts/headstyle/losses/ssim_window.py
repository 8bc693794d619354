"""The window and the constants of structural similarity (Wang et al. 2004), as 3DGS uses them."""

from functools import cache

import torch
from torch import Tensor

# Wang et al. 2004, with the window of 3DGS.
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


@cache
def window_weights(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The window along one axis; its values add up to 1. Shape `(11,)`."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * SIGMA**2))
    return (weights / weights.sum()).to(device=device, dtype=dtype)
