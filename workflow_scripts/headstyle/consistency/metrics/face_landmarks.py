"""Face landmarks: whether eyes, nose and mouth are at the same place of the head in both views."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.faces import DETECTOR, Face, FaceFinder, face_files


class FaceLandmarks(Metric):
    """Mean distance between the target's landmarks and the source's, carried by the source's depth.

    It is in percent of the diagonal of the target's face, over the landmarks that lie on a surface
    of the source. It is NaN if a view shows no face.
    """

    name = "face_landmarks"
    units = "% of the face's diagonal, 0 and up"
    warp = "corrected"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._finder = FaceFinder(*self.weights(settings))
        self._faces: list[Face | None] = []
        self._scene: Scene | None = None

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        return face_files(settings, DETECTOR)

    def prepare(self, scene: Scene) -> None:
        self._scene = scene
        views = zip(scene.colors, scene.foreground, strict=True)
        self._faces = [self._finder.find(*view) for view in views]

    def __call__(self, batch: PairBatch) -> Tensor:
        pairs = zip(batch.targets, batch.sources, strict=True)
        values = [self._distance(target, source) for target, source in pairs]
        return torch.tensor(values, dtype=torch.float64, device=batch.target.device)

    def _distance(self, target: int, source: int) -> float:
        found, carried = self._faces[target], self._faces[source]
        if found is None or carried is None:
            return np.nan
        assert self._scene is not None, "prepare() comes first"
        places = carry(self._scene, source, target, carried.landmarks)
        distances = np.linalg.norm(places - found.landmarks, axis=1)
        known = np.isfinite(distances)
        return float(100 * distances[known].mean() / found.diagonal_px) if known.any() else np.nan


def carry(
    scene: Scene, source: int, target: int, places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Carry places of the source into the target, by the source's depth.

    Args:
        scene: The views' cameras and depth.
        source, target: Indices of the two views.
        places: Places in the source [px]. Shape `(K, 2)`.

    Returns:
        Places in the target [px], NaN where the source has no surface. Shape `(K, 2)`.
    """
    depth, cameras = scene.depths[source], scene.cameras
    columns, rows = np.floor(places).astype(int).T
    inside = (rows >= 0) & (rows < depth.shape[0]) & (columns >= 0) & (columns < depth.shape[1])
    z = np.full(len(places), np.nan)
    z[inside] = depth[rows[inside], columns[inside]].cpu().numpy()
    z[~(z > 0)] = np.nan
    rays = np.column_stack([places, np.ones(len(places))])
    points = np.linalg.solve(cameras.intrinsics[source], (rays * z[:, None]).T)
    relative = cameras.world_to_camera[target] @ np.linalg.inv(cameras.world_to_camera[source])
    seen = cameras.intrinsics[target] @ (relative[:3, :3] @ points + relative[:3, 3:])
    return (seen[:2] / seen[2]).T
