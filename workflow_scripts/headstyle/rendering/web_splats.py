"""The `.splat` format of web viewers: 32 bytes a splat, and no header.

Position and size are float32; color, opacity and rotation (wxyz) are 8-bit numbers. Colors that
depend on the direction are left out.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.rendering.quantized import LEAST_OPACITY, SH0, Arrays, logit, to_bytes

_LAYOUT = np.dtype(
    [("mean", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("rotation", "u1", 4)]
)


def encode(arrays: Arrays) -> bytes:
    """The content of a `.splat` file, those splats first that cover and hide the most.

    Args:
        arrays: Names and shapes of `Splats`.
    """
    opacity = 1 / (1 + np.exp(-arrays["opacities"].astype(np.float64)))
    order = np.argsort(-opacity * np.exp(arrays["scales"].astype(np.float64).sum(axis=1)))
    quats = arrays["quats"] / np.linalg.norm(arrays["quats"], axis=1, keepdims=True)
    table = np.empty(len(order), _LAYOUT)
    table["mean"] = arrays["means"]
    table["scale"] = np.exp(arrays["scales"])
    table["color"][:, :3] = to_bytes(255 * (arrays["sh0"][:, 0] * SH0 + 0.5))
    table["color"][:, 3] = to_bytes(255 * opacity)
    table["rotation"] = to_bytes(128 * quats + 128)
    return table[order].tobytes()


def decode(content: bytes, path: str | Path) -> Arrays:
    """The arrays of a `.splat` file; numbers that make no sense become NaN.

    Args:
        content: The file's bytes.
        path: The file, for messages.

    Returns:
        Names and shapes of `Splats`, without harmonics above the constant one.

    Raises:
        InputError: the number of bytes is not a multiple of 32, or is 0.
    """
    if not content or len(content) % _LAYOUT.itemsize:
        raise InputError(
            f"{path} has {len(content)} bytes, not {_LAYOUT.itemsize} for each splat; export it"
            " again"
        )
    table: NDArray[np.void] = np.frombuffer(content, _LAYOUT)
    opacity = np.clip(table["color"][:, 3] / 255, LEAST_OPACITY, 1 - LEAST_OPACITY)
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = np.log(table["scale"])
    return {
        "means": table["mean"].astype(np.float32),
        "scales": scales.astype(np.float32),
        "quats": (table["rotation"] / 128 - 1).astype(np.float32),
        "opacities": logit(opacity),
        "sh0": ((table["color"][:, None, :3] / 255 - 0.5) / SH0).astype(np.float32),
        "shN": np.zeros((len(table), 0, 3), np.float32),
    }
