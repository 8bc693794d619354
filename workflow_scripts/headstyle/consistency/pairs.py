"""The input of metrics: the views of a scene, and batches of warped pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # The names of the metrics are needed where importing torch takes too long.
    from torch import Tensor

    from headstyle.base.cameras import Cameras
    from headstyle.rendering.renderer import Splats

Warp = Literal["published", "corrected"]


@dataclass(frozen=True)
class Scene:
    """All views that a score compares, on the device where it is computed."""

    cameras: "Cameras"
    """Cameras of all views, in the order of the lists below."""
    colors: "Sequence[Tensor]"
    """Images, sRGB in [0, 1], defined in the foreground only. Shape `(H, W, 3)` each."""
    foreground: "Sequence[Tensor]"
    """Masks of the pixels that show the head. Shape `(H, W)` each, bool."""
    depths: "Sequence[Tensor]"
    """z in the camera, 0 where there is no surface. Shape `(H, W)` each."""
    unedited: "Sequence[Tensor] | None" = None
    """The same views before they were edited, with straight alpha. Shape `(H, W, 4)` each."""
    splats: "Splats | None" = None
    """Splats of the unedited scene."""
    instruction: str | None = None
    """The text that the edit followed."""
    captions: tuple[str, str] | None = None
    """What the head is before the edit, and what it is after."""


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
    """Foreground of the targets, or None if only the overlap is known. Shape `(N, H, W)`, bool."""
    targets: tuple[int, ...] = ()
    """Index of each target among the views of the scene. Length N."""
    sources: tuple[int, ...] = ()
    """Index of each source among the views of the scene. Length N."""


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
    edges: list[int] = []
    for axis in (1, 0):
        taken = mask.any(dim=axis).nonzero()
        if len(taken) == 0:
            return None
        edges += [int(taken[0]), int(taken[-1]) + 1]
    top, bottom, left, right = edges
    return top, bottom, left, right


def cut_to_overlap(batch: PairBatch, multiple: int = 1, border: int = 0) -> PairBatch:
    """Cut a batch to the window that holds all overlaps, as heads fill only a part of the frame.

    Use this only if each pixel's value depends on nothing but the overlap.

    Args:
        batch: The pairs. A batch without any overlap is returned as it is.
        multiple: The window begins and ends at multiples of this [px], inside the frame.
        border: Rows and columns that are kept around the overlaps, inside the frame [px].
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
