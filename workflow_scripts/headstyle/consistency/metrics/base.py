"""What every metric is: a name, units, a direction, and a function of a batch of pairs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:  # Which metrics there are is asked where torch's import time counts.
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
    """Whether lower or higher values mean more consistent views."""
    mean_over_neighbors: ClassVar[Literal["arithmetic", "quadratic"]] = "arithmetic"
    """How a view's value follows from those of its pairs."""
    warp: ClassVar["Warp"] = "published"
    """How sources come into targets. With `corrected` (see
    `headstyle.consistency.warping.warp_backward`), pairs that share less than `metrics.min_overlap`
    of the target's foreground have no value."""
    has_ceiling: ClassVar[bool] = True
    """Whether it is also measured on shuffled views."""

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
        """Fetch what is missing of `weights` from the network, where it is to be had there.

        Only the target `models` asks for it. Whatever is raised becomes one sentence.

        Returns:
            The files that come from the network, fetched now or earlier.
        """
        return []

    def prepare(self, scene: "Scene") -> None:  # noqa: B027 (most metrics need no more than pairs)
        """See all views once, before the batches: for what is computed per view or per scene.

        Raises:
            InputError: the metric needs something that the scene lacks.
        """

    @abstractmethod
    def __call__(self, batch: "PairBatch") -> "Tensor":
        """One value per pair, NaN where it is not defined. Shape `(N,)`.

        Of no meaning for a pair whose overlap is empty.
        """
