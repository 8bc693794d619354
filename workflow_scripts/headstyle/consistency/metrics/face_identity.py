"""Face identity: whether both views show the same person, by SFace's embedding of their faces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.faces import DETECTOR, RECOGNIZER, Face, FaceFinder, face_files


class FaceIdentity(Metric):
    """Cosine of the two faces' embeddings, unwarped; NaN where a view shows no face.

    According to the network's authors, a cosine above 0.363 means the same person. The cosine also
    falls with the angle between the views, so compare it with that of the baseline.
    """

    name = "face_identity"
    units = "cosine, −1 to 1"
    direction = "higher"
    warp = "corrected"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._finder = FaceFinder(*self.weights(settings))
        self._faces: list[Face | None] = []

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        return face_files(settings, DETECTOR, RECOGNIZER)

    def prepare(self, scene: Scene) -> None:
        views = zip(scene.colors, scene.foreground, strict=True)
        self._faces = [self._finder.find(*view) for view in views]

    def __call__(self, batch: PairBatch) -> Tensor:
        values = [
            self._likeness(self._faces[target], self._faces[source])
            for target, source in zip(batch.targets, batch.sources, strict=True)
        ]
        return torch.tensor(values, dtype=torch.float64, device=batch.target.device)

    @staticmethod
    def _likeness(first: Face | None, second: Face | None) -> float:
        if first is None or second is None:
            return np.nan
        assert first.embedding is not None
        assert second.embedding is not None
        return float(first.embedding @ second.embedding)
