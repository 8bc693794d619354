"""What every metric is: a name, units, a direction, and a function of a batch of pairs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:  # Which metrics there are is asked where torch's import time counts.
    import torch
    from torch import Tensor

    from headstyle.cameras import Cameras
    from headstyle.rendering import Splats

Warp = Literal["published", "corrected"]


@dataclass(frozen=True)
class Scene:
    """All views that a score compares, on the device where it is computed."""

    cameras: "Cameras"
    """Of all views, in the order of the lists."""
    colors: "Sequence[Tensor]"
    """Images, sRGB in [0, 1]; of no meaning outside the foreground. Shape `(H, W, 3)` each."""
    foreground: "Sequence[Tensor]"
    """Pixels that show the head. Shape `(H, W)` each, bool."""
    depths: "Sequence[Tensor]"
    """z in the camera, 0 where there is no surface. Shape `(H, W)` each."""
    unedited: "Sequence[Tensor] | None" = None
    """The same views before they were edited, with straight alpha. Shape `(H, W, 4)` each."""
    splats: "Splats | None" = None
    """The unedited scene."""
    instruction: str | None = None
    """The text that the edit followed."""


@dataclass(frozen=True)
class PairBatch:
    """N pairs of views of one size, each source already warped into its target."""

    target: "Tensor"
    """The targets' images, sRGB in [0, 1]. Shape `(N, H, W, 3)`."""
    warped: "Tensor"
    """The sources' images in the targets, sRGB in [0, 1]. Shape `(N, H, W, 3)`."""
    overlap: "Tensor"
    """Pixels on which the two are compared. Shape `(N, H, W)`, bool."""
    foreground: "Tensor | None" = None
    """The targets' foreground; None where only the overlap is known. Shape `(N, H, W)`, bool."""
    targets: tuple[int, ...] = ()
    """Place of each target in the scene that the metric was prepared for. Length N."""
    sources: tuple[int, ...] = ()
    """Place of each source. Length N."""


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
    warp: ClassVar[Warp] = "published"
    """How sources come into targets. With `corrected` (see `headstyle.warping.warp_backward`),
    pairs that share less than `metrics.min_overlap` of the target's foreground have no value."""
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

    def prepare(self, scene: Scene) -> None:  # noqa: B027 (most metrics need no more than pairs)
        """See all views once, before the batches: for what is computed per view or per scene.

        Raises:
            InputError: the metric needs something that the scene lacks.
        """

    @abstractmethod
    def __call__(self, batch: PairBatch) -> "Tensor":
        """One value per pair, NaN where it is not defined. Shape `(N,)`.

        Of no meaning for a pair whose overlap is empty.
        """


def mean_over_overlap(values: "Tensor", overlap: "Tensor") -> "Tensor":
    """Mean of `values` over each pair's overlap, summed in double precision; NaN where empty.

    Args:
        values: One value per pixel. Shape `(N, H, W)`.
        overlap: Shape `(N, H, W)`, bool.
    """
    return values.double().where(overlap, 0).sum(dim=(1, 2)) / overlap.sum(dim=(1, 2))


def cut_to_overlap(batch: PairBatch, multiple: int = 1, border: int = 0) -> PairBatch:
    """The window of the frames that holds all overlaps: heads fill a part of their frames.

    For metrics of which a pixel's value depends on the overlap alone.

    Args:
        batch: Pairs; where none overlaps they are left as they are.
        multiple: The window begins and ends at multiples of it, as far as the frame reaches.
        border: So many more rows and columns are kept on all sides, as far as the frame reaches.
    """
    import torch

    windows = []
    anywhere = batch.overlap.any(dim=0)
    for others in (1, 0):
        taken = torch.nonzero(anywhere.any(dim=others)).flatten()
        if len(taken) == 0:
            return batch
        first, last = max(0, int(taken[0]) - border), int(taken[-1]) + border
        windows.append(slice(first // multiple * multiple, (last // multiple + 1) * multiple))
    rows, columns = windows
    parts = {
        name: getattr(batch, name)[:, rows, columns] for name in ("target", "warped", "overlap")
    }
    if batch.foreground is not None:
        parts["foreground"] = batch.foreground[:, rows, columns]
    return replace(batch, **parts)
