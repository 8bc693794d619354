"""The base class of metrics: a name, units, a direction, and a function of a batch of pairs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:  # The names of the metrics are needed where importing torch takes too long.
    import torch
    from torch import Tensor

    from headstyle.consistency.pairs import PairBatch, Scene, Warp


class Metric(ABC):
    """One consistency metric. Its module has the metric's name; the config lists it by that name.

    Args:
        settings: The config's `metrics` section.
        device: Where the batches will be.
    """

    name: ClassVar[str]
    """Column in the tables, and the module's name."""
    units: ClassVar[str]
    """Units and range of the value."""
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    """Which values mean more consistent views: lower or higher ones."""
    mean_over_neighbors: ClassVar[Literal["arithmetic", "quadratic"]] = "arithmetic"
    """Which mean over its pairs gives a view's value."""
    warp: ClassVar["Warp"] = "published"
    """Which warp brings sources into targets. `corrected` is
    `headstyle.consistency.warping.warp_backward`; then pairs that share less than
    `metrics.min_overlap` of the target's foreground have no value."""
    has_ceiling: ClassVar[bool] = True
    """Whether the metric is also measured on shuffled views, which gives its ceiling."""

    def __init__(self, settings: Mapping[str, Any], device: "torch.device") -> None:
        self.settings = settings
        self.device = device

    @classmethod
    def weights(cls, settings: Mapping[str, Any]) -> list[Path]:
        """Files of trained weights that the metric loads, beyond those in installed packages.

        Raises:
            InputError: one of them is missing.
        """
        return []

    @classmethod
    def download(cls, settings: Mapping[str, Any]) -> list[Path]:
        """Download the files of `weights` that are missing, if they can be downloaded.

        Only the target `models` calls this. It turns any exception into one sentence.

        Returns:
            The downloaded files, also those of an earlier call.
        """
        return []

    def prepare(self, scene: "Scene") -> None:  # noqa: B027 (most metrics need no more than pairs)
        """Look at all views once before the batches, to compute what belongs to a view or a scene.

        Raises:
            InputError: the metric needs something that the scene lacks.
        """

    @abstractmethod
    def __call__(self, batch: "PairBatch") -> "Tensor":
        """One value per pair, NaN where it is not defined. Shape `(N,)`.

        The value of a pair without overlap has no meaning.
        """
