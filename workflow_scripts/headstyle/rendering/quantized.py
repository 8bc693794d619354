"""What the file formats share that keep a splat's numbers in 8 bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]
"""A scene's arrays, with the names and shapes of `Splats`."""

SH0 = 0.28209479177387814
"""The constant basis: a color c is stored as (c - 1/2) / SH0."""
LEAST_OPACITY = 0.5 / 255
"""An opacity of 0 or 1 in 8 bits has no finite logit, so that it is taken for this far from it."""


def to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers rounded to whole ones in [0, 255]."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def logit(opacity: NDArray[np.float64]) -> NDArray[np.float32]:
    """The logit of opacities in (0, 1)."""
    return np.log(opacity / (1 - opacity)).astype(np.float32)
