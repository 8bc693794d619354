"""Thresholded symmetric epipolar distance TSED of SIFT matches between the unwarped views.

Source: Yu, Forghani, Derpanis, Brubaker, "Long-Term Photometric Consistent Novel View Synthesis
with Diffusion Models", ICCV 2023, section 4.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.filling import continued

MIN_MATCHES = 10
# The paper's 2 px, for its images of 256 px; in proportion for others.
MAX_DISTANCE = 2 / 256
# Lowe's test: largest distance of the best match, as a fraction of the second's.
RATIO = 0.8
# Features this near the silhouette are left out [px]: it moves with the camera.
BORDER = 5

Features = tuple[NDArray[np.float64], NDArray[np.float32]]
"""Places in pixels (centers at +0.5), shape `(K, 2)`, and SIFT descriptors, shape `(K, 128)`."""


class Tsed(Metric):
    """Fraction of pairs whose matches lie on each other's epipolar lines.

    A pair has the value 1 if it has at least 10 SIFT matches and if their median symmetric epipolar
    distance is at most 2/256 of the image's shorter side. Otherwise its value is 0.
    """

    name = "tsed"
    units = "fraction of pairs, 0 to 1"
    direction = "higher"
    warp = "corrected"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._features: list[Features] = []
        self._cameras: Cameras | None = None

    def prepare(self, scene: Scene) -> None:
        self._cameras = scene.cameras
        self._features = [
            find_features(colors.cpu(), mask.cpu())
            for colors, mask in zip(scene.colors, scene.foreground, strict=True)
        ]

    def __call__(self, batch: PairBatch) -> Tensor:
        values = [
            self._consistent(target, source)
            for target, source in zip(batch.targets, batch.sources, strict=True)
        ]
        return torch.tensor(values, dtype=torch.float64, device=batch.target.device)

    def _consistent(self, target: int, source: int) -> float:
        cameras = self._cameras
        assert cameras is not None, "prepare() comes first"
        if np.allclose(cameras.centers[target], cameras.centers[source]):
            return np.nan  # Without a baseline there are no epipolar lines.
        first, second = match(self._features[target], self._features[source])
        if len(first) < MIN_MATCHES:
            return 0.0
        distances = epipolar_distances(fundamental_matrix(cameras, target, source), first, second)
        return float(np.median(distances) <= MAX_DISTANCE * cameras.sizes[target].min())


def find_features(colors: Tensor, foreground: Tensor) -> Features:
    """SIFT features of the foreground, the background filled from the foreground's colors.

    Args:
        colors: sRGB in [0, 1]. Shape `(H, W, 3)`.
        foreground: Shape `(H, W)`, bool.
    """
    if not foreground.any():
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    filled = continued(colors.permute(2, 0, 1)[None], foreground[None, None])[0]
    pixels = (filled.permute(1, 2, 0).numpy() * 255).round().clip(0, 255).astype(np.uint8)
    kernel = np.ones((2 * BORDER + 1, 2 * BORDER + 1), np.uint8)
    inner = cv2.erode(foreground.numpy().astype(np.uint8), kernel, borderValue=1)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    points, descriptors = cv2.SIFT.create().detectAndCompute(gray, inner)
    if descriptors is None:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    places = np.array([point.pt for point in points]) + 0.5
    return places, np.asarray(descriptors, np.float32)


def match(first: Features, second: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of the matches that pass Lowe's test, in both views. Shape `(M, 2)` each."""
    if len(first[0]) == 0 or len(second[0]) < 2:
        return np.zeros((0, 2)), np.zeros((0, 2))
    found = cv2.BFMatcher().knnMatch(first[1], second[1], k=2)
    good = [best for best, other in found if best.distance < RATIO * other.distance]
    rows, columns = [m.queryIdx for m in good], [m.trainIdx for m in good]
    return first[0][rows], second[0][columns]


def fundamental_matrix(cameras: Cameras, first: int, second: int) -> NDArray[np.float64]:
    """F with x₂ᵀ F x₁ = 0 for the places x₁, x₂ of one point in both views. Shape `(3, 3)`."""
    pose = cameras.world_to_camera
    relative = pose[second] @ np.linalg.inv(pose[first])
    x, y, z = relative[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    inverses = np.linalg.inv(cameras.intrinsics[[first, second]])
    return inverses[1].T @ cross @ relative[:3, :3] @ inverses[0]


def epipolar_distances(
    fundamental: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of both places' distances to the epipolar lines of the other [px]. Shape `(M,)`."""
    one, other = (np.column_stack([places, np.ones(len(places))]) for places in (first, second))
    in_second, in_first = one @ fundamental.T, other @ fundamental
    product = np.abs((other * in_second).sum(axis=1))
    lengths = (np.hypot(lines[:, 0], lines[:, 1]) for lines in (in_second, in_first))
    return sum(product / np.maximum(length, 1e-12) for length in lengths) / 2
