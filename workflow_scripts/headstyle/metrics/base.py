"""What every metric is: a name, units, a direction, and a function of a batch of pairs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:  # Which metrics there are is asked where torch's import time counts.
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class PairBatch:
    """N pairs of views of one size, each source already warped into its target."""

    target: "Tensor"
    """The targets' images, sRGB in [0, 1]. Shape `(N, H, W, 3)`."""
    warped: "Tensor"
    """The sources' images in the targets, sRGB in [0, 1]. Shape `(N, H, W, 3)`."""
    overlap: "Tensor"
    """Pixels on which the two are compared. Shape `(N, H, W)`, bool."""


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

    @abstractmethod
    def __call__(self, batch: PairBatch) -> "Tensor":
        """One value per pair. Shape `(N,)`; of no meaning for a pair whose overlap is empty."""


def mean_over_overlap(values: "Tensor", overlap: "Tensor") -> "Tensor":
    """Mean of `values` over each pair's overlap, summed in double precision; NaN where empty.

    Args:
        values: One value per pixel. Shape `(N, H, W)`.
        overlap: Shape `(N, H, W)`, bool.
    """
    return values.double().where(overlap, 0).sum(dim=(1, 2)) / overlap.sum(dim=(1, 2))
