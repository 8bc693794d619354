"""Between sRGB values and light."""

import numpy as np
from numpy.typing import NDArray


def to_linear(srgb: NDArray) -> NDArray[np.float32]:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def to_srgb(linear: NDArray) -> NDArray:
    """The sRGB transfer function (IEC 61966-2-1) of linear light, clipped to [0, 1]."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
