"""Crops of the overlap of two views, with its colors continued smoothly beyond it.

Networks and filters look at a neighborhood of each pixel. If the pixels outside the overlap were
black, they would see an edge there. If the background stayed, they would compare it. The
continuation avoids both, as it depends on nothing but the overlap's colors.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from headstyle.consistency.pairs import PairBatch, bounding_box


@dataclass(frozen=True)
class Crops:
    """The pairs of a batch whose crops have one size."""

    rows: list[int]
    """Index of each pair in the batch. Length M."""
    target: Tensor
    """Shape `(M, 3, h, w)`."""
    warped: Tensor
    """Shape `(M, 3, h, w)`."""
    overlap: Tensor
    """Shape `(M, 1, h, w)`, bool."""


def overlap_crops(batch: PairBatch, multiple: int = 1) -> Iterator[Crops]:
    """Crop the pairs of a batch to their overlaps, and continue both images beyond them.

    A crop does not depend on the overlap's place in the frame. Pairs without overlap are left out.

    Args:
        batch: The pairs.
        multiple: Heights and widths are rounded up to multiples of this [px].
    """
    groups: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for row, mask in enumerate(batch.overlap):
        box = bounding_box(mask)
        if box is not None:
            top, bottom, left, right = box
            height, width = (
                -(-side // multiple) * multiple for side in (bottom - top, right - left)
            )
            groups.setdefault((height, width), []).append((row, top, left))
    for (height, width), places in groups.items():

        def cut(
            maps: Tensor,
            size: tuple[int, int] = (height, width),
            places: list[tuple[int, int, int]] = places,
        ) -> Tensor:
            windows = [maps[i, y : y + size[0], x : x + size[1]] for i, y, x in places]
            # At the frame's right and lower border the rounded crop reaches beyond it.
            missing = [(size[0] - len(w), size[1] - w.shape[1]) for w in windows]
            framed = [
                pad(w, (0, 0, 0, right, 0, below))
                for w, (below, right) in zip(windows, missing, strict=True)
            ]
            return torch.stack(framed).permute(0, 3, 1, 2)

        inside = cut(batch.overlap[..., None])
        target, warped = (continued(cut(image), inside) for image in (batch.target, batch.warped))
        yield Crops([row for row, *_ in places], target, warped, inside)


def continued(images: Tensor, mask: Tensor) -> Tensor:
    """Fill the pixels outside the mask with coarser and coarser means of those inside.

    The method is push-pull (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4) with means
    of 2 x 2 pixels. Inside the mask nothing changes.

    Args:
        images: Shape `(N, C, H, W)`.
        mask: Shape `(N, 1, H, W)`, bool; not empty.
    """
    weight = mask.to(images.dtype)
    return torch.where(mask, images, _pull(images * weight, weight))


def _pull(sums: Tensor, weight: Tensor) -> Tensor:
    """Means of the pixels that have weight; the others take those of the next coarser level."""
    own = sums / weight.clamp(min=1e-12)
    if max(sums.shape[2:]) == 1:
        return own
    odd = (0, sums.shape[3] % 2, 0, sums.shape[2] % 2)
    coarse = _pull(*(avg_pool2d(pad(values, odd), 2) for values in (sums, weight)))
    size = (sums.shape[2] + odd[3], sums.shape[3] + odd[1])
    smooth = interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return torch.where(weight > 0, own, smooth[:, :, : sums.shape[2], : sums.shape[3]])
