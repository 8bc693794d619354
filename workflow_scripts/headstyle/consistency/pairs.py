"""What metrics are given: the views of a scene, and pairs of them warped into each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # Which metrics there are is asked where torch's import time counts.
    from torch import Tensor

    from headstyle.base.cameras import Cameras
    from headstyle.rendering.renderer import Splats

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


def mean_over_overlap(values: "Tensor", overlap: "Tensor") -> "Tensor":
    """Mean of `values` over each pair's overlap, summed in double precision; NaN where empty.

    Args:
        values: One value per pixel. Shape `(N, H, W)`.
        overlap: Shape `(N, H, W)`, bool.
    """
    return values.double().where(overlap, 0).sum(dim=(1, 2)) / overlap.sum(dim=(1, 2))


Box = tuple[int, int, int, int]
"""A part of a frame [px]: top, bottom, left, right; bottom and right are exclusive."""


def bounding_box(mask: "Tensor") -> Box | None:
    """The smallest box that holds all pixels of a mask `(H, W)`; None where the mask is empty."""
    edges = []
    for axis in (1, 0):
        taken = mask.any(dim=axis).nonzero()
        if len(taken) == 0:
            return None
        edges += [int(taken[0]), int(taken[-1]) + 1]
    return tuple(edges)


def cut_to_overlap(batch: PairBatch, multiple: int = 1, border: int = 0) -> PairBatch:
    """The window of the frames that holds all overlaps: heads fill a part of their frames.

    For metrics of which a pixel's value depends on the overlap alone.

    Args:
        batch: Pairs; where none overlaps they are left as they are.
        multiple: The window begins and ends at multiples of it, as far as the frame reaches.
        border: So many more rows and columns are kept on all sides, as far as the frame reaches.
    """
    box = bounding_box(batch.overlap.any(dim=0))
    if box is None:
        return batch
    rows, columns = (
        slice(
            max(0, first - border) // multiple * multiple,
            ((end - 1 + border) // multiple + 1) * multiple,
        )
        for first, end in (box[:2], box[2:])
    )
    parts = {
        name: getattr(batch, name)[:, rows, columns] for name in ("target", "warped", "overlap")
    }
    if batch.foreground is not None:
        parts["foreground"] = batch.foreground[:, rows, columns]
    return replace(batch, **parts)
