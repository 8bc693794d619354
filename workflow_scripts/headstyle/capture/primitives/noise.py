"""Solid noise: smooth random values in space, the same for the same seed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from headstyle.capture.primitives.kernels import look_up
from headstyle.capture.primitives.shapes import Points, Scalars

TILE_SIDE = 64
# Blurring white noise over so many voxels makes blobs that repeat every PERIOD voxels or so.
BLUR = 1.25
PERIOD = 6.0


class Noise:
    """A periodic block of band-limited noise, looked up at any scale."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        white = self._rng.standard_normal((TILE_SIDE,) * 3, dtype=np.float32)
        tile = ndimage.gaussian_filter(white, BLUR, mode="wrap")
        self._tile: NDArray[np.float32] = tile / tile.std()

    def __call__(self, points: Points, wavelength: float, offset: float = 0.0) -> Scalars:
        """Noise of mean 0 and standard deviation 1 with blobs of about `wavelength`.

        Different offsets (any numbers) give unrelated noise.
        """
        # Turned off the axes, so that the block's period never lines up with the head's symmetry.
        turned = points @ _TURN * np.float32(PERIOD / wavelength) + np.float32(offset * 17.31)
        return look_up(self._tile, turned)

    def fractal(
        self, points: Points, wavelength: float, octaves: int = 4, offset: float = 0.0
    ) -> Scalars:
        """Octaves of noise, each half as long and 0.6 times as high; standard deviation 1."""
        weights = 0.6 ** np.arange(octaves)
        total: Any = sum(
            np.float32(weight) * self(points, wavelength / 2**octave, offset + 3.7 * octave)
            for octave, weight in enumerate(weights)
        )
        return (total / np.float32(np.linalg.norm(weights))).astype(np.float32)


def _rotation(axis: tuple[float, float, float], angle: float) -> NDArray[np.float32]:
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn.astype(np.float32)


_TURN = _rotation((0.3, 0.8, 0.5), 0.9)
