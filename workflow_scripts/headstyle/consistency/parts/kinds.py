"""How each pair of views disagrees by the headline score, and the file that keeps it.

The scores of `pairs.csv` are one number a pair. This file keeps what they are made of, so that the
explorer need not compute it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.files import read_arrays, whole_file
from headstyle.consistency.parts.disagreement import (
    TERMS,
    Unedited,
    disagreements,
    displacements,
    misplacement,
)
from headstyle.consistency.parts.headline_views import HeadPairs, HeadViews

_CELLS = 9
"""Arrows along the side of a head."""
_LEAST_SHARE = 0.4
"""Part of a cell that both views show, from which on it has an arrow."""
_KEYS = ("pairs", "kinds", "counts", "arrows")
_NEXT = "delete it, so that measure_consistency makes it again"

Pair = tuple[int, int]
"""Places of two views among the cameras, the lower one first."""


@dataclass(frozen=True)
class PairKinds:
    """How two views disagree by the headline score."""

    kinds: NDArray[np.float32]
    """Each kind of `disagreement.TERMS`, in its unit. Shape `(5,)`."""
    arrows: NDArray[np.float32]
    """Places in the view of lower index, and how far the other view shows their detail displaced:
    x, y, dx, dy as fractions of the frame. Shape `(M, 4)`."""


def pair_kinds(
    pairs: HeadPairs,
    unedited: Unedited,
    targets: Sequence[int],
    views: HeadViews,
    whole: Cameras,
) -> tuple[Tensor, list[PairKinds]]:
    """How pairs of views disagree.

    Args:
        pairs: The pairs.
        unedited: How their unedited views disagree.
        targets: Place of each pair's target among the views.
        views: The views that the pairs come from.
        whole: The cameras before the views were reduced and cut.

    Returns:
        The kinds of `disagreement.TERMS`, shape `(N, 5)`; and the same with the arrows, one a pair.
    """
    fields = displacements(pairs, unedited)
    values = disagreements(pairs, unedited, fields)
    arrows = _arrows(misplacement(fields), pairs, views.cameras, whole, targets)
    rows = values.cpu().numpy().astype(np.float32)
    return values, [PairKinds(*each) for each in zip(rows, arrows, strict=True)]


def write_kinds(path: str | Path, found: Mapping[Pair, PairKinds]) -> None:
    """Write kinds.npz.

    It holds the pairs `(P, 2)`, their kinds `(P, 5)`, how many arrows each has `(P,)`, and all
    arrows one pair after the other `(M, 4)`.
    """
    keys = sorted(found)
    with whole_file(path) as partial:
        np.savez_compressed(
            partial,
            pairs=np.array(keys, np.int32).reshape(-1, 2),
            kinds=np.array([found[key].kinds for key in keys], np.float32).reshape(-1, len(TERMS)),
            counts=np.array([len(found[key].arrows) for key in keys], np.int32),
            arrows=np.concatenate([np.zeros((0, 4), np.float32), *(found[k].arrows for k in keys)]),
        )


def read_kinds(path: str | Path) -> dict[Pair, PairKinds]:
    """Read what `write_kinds` wrote. It is empty where the headline score was not measured.

    Raises:
        InputError: the file is missing or damaged.
    """
    pairs, kinds, counts, arrows = read_arrays(path, _KEYS, "kinds of disagreement", _NEXT)
    if not len(pairs) == len(kinds) == len(counts) or counts.sum() != len(arrows):
        raise InputError(f"{path}: its arrays do not fit together; {_NEXT}")
    split = np.split(arrows, np.cumsum(counts)[:-1]) if len(pairs) else []
    return {
        (int(first), int(second)): PairKinds(row, moved)
        for (first, second), row, moved in zip(pairs, kinds, split, strict=True)
    }


def _arrows(
    field: Tensor, pairs: HeadPairs, cut: Cameras, whole: Cameras, targets: Sequence[int]
) -> list[NDArray[np.float32]]:
    """The mean displacement in each cell of a grid over the head, of each pair."""
    cell = max(2, round(pairs.head_px / _CELLS))
    shares = functional.avg_pool2d(pairs.shared, cell)
    moved = functional.avg_pool2d(field * pairs.shared, cell) / shares.clamp(min=1e-6)
    arrows = []
    for target, share, steps in zip(targets, shares.cpu(), moved.cpu(), strict=True):
        # The head's views are cut from reduced frames, which only moves and scales the lens.
        lens, before = (rig.intrinsics[target] for rig in (cut, whole))
        scale = np.diag(lens)[:2] / np.diag(before)[:2]
        offset = scale * before[:2, 2] - lens[:2, 2]
        frame = scale * whole.sizes[target]
        rows, columns = np.nonzero(share[0].numpy() > _LEAST_SHARE)
        starts = (np.stack([columns, rows], axis=1) + 0.5) * cell
        ends = steps.numpy()[:, rows, columns].T
        arrows.append(
            np.concatenate([(starts + offset) / frame, ends / frame], axis=1, dtype=np.float32)
        )
    return arrows
