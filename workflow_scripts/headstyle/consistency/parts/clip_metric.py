"""What the metrics by CLIP share: the model, its files, and one value per view."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.clip import Clip, clip_files, download_clip


class ClipMetric(Metric):
    """A cosine of CLIP's embeddings."""

    units = "cosine, −1 to 1"
    direction = "higher"
    warp = "corrected"

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._clip = Clip.of(settings, device)

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        return clip_files(settings.get("clip_model"), settings.get("clip_revision"))

    @classmethod
    def download(cls, settings: Mapping[str, Any]) -> list[Path]:
        return download_clip(settings["clip_model"], settings.get("clip_revision"))


class ClipOfViews(ClipMetric):
    """A cosine of each view by itself: a pair has its target's. It says nothing on consistency."""

    has_ceiling = False

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._values: Tensor | None = None

    @abstractmethod
    def of_views(self, scene: Scene) -> Tensor | None:
        """The value of each view, shape `(C,)`; None where the scene lacks what it needs."""

    def prepare(self, scene: Scene) -> None:
        found = self.of_views(scene)
        missing = scene.colors[0].new_full((len(scene.colors),), torch.nan)
        self._values = missing if found is None else found

    def __call__(self, batch: PairBatch) -> Tensor:
        assert self._values is not None, "prepare() comes first"
        return self._values[list(batch.targets)].double()
