"""Which photographs become views: chosen by what they share, not by their names.

An overlap matrix holds the number of verified matches of each pair of photographs; it is symmetric
and its diagonal is 0. Photographs are indices into it. Equal choices go to the lower index.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from headstyle.posing.registration.reconstruction import MIN_MATCHES

Overlaps = NDArray[np.int64]
"""Verified matches of each pair. Shape `(N, N)`."""

LINK = MIN_MATCHES
"""Fewest matches with which two photographs count as overlapping."""
STRONG_LINK = 30
"""COLMAP's fewest matches with a model for a view to be placed."""
ALL_PAIRS_UP_TO = 120
"""Of more photographs, only pairs that look alike or follow each other are matched."""
_ROUNDS_OF_SWAPS = 2
_PAIRS_BY_LOOK = 30
_PAIRS_BY_ORDER = 8


def parts(overlaps: Overlaps, link: int = LINK) -> list[list[int]]:
    """The photographs in parts that no pair of at least `link` matches connects, largest first."""
    count, labels = connected_components(overlaps >= link, directed=False)
    found = [np.flatnonzero(labels == label).tolist() for label in range(count)]
    return sorted(found, key=lambda part: (-len(part), part))


def choose_views(overlaps: Overlaps, count: int) -> list[int]:
    """`count` photographs that are connected and show all that the largest part shows.

    Photographs that others replace best are taken out one by one. A photograph is replaced well if
    two that are kept overlap much with it. What is kept stays connected, by strong links where
    these connect it at the start.

    Args:
        overlaps: The overlap matrix.
        count: Largest number of views, at least 1.

    Returns:
        Indices in ascending order. Where the largest part has fewer than `count` photographs, those
        of the others that have most matches with it stand beside it.
    """
    strong = parts(overlaps, STRONG_LINK)[0]
    link = STRONG_LINK if len(strong) >= count else LINK
    part = np.array(strong if link == STRONG_LINK else parts(overlaps, LINK)[0])
    found = overlaps[np.ix_(part, part)]
    kept = np.ones(len(part), dtype=bool)
    while kept.sum() > count:
        kept = _without_one(found, kept, link)
    # Early removals did not know the later ones: each photograph left out may take another's place.
    for candidate in np.tile(np.flatnonzero(~kept), _ROUNDS_OF_SWAPS):
        if not kept[candidate]:
            kept[candidate] = True
            kept = _without_one(found, kept, link, newest=int(candidate))
    chosen = part[kept]
    others = np.setdiff1d(np.arange(len(overlaps)), chosen)
    nearest = others[np.argsort(-overlaps[np.ix_(others, chosen)].max(axis=1), kind="stable")]
    return sorted([*chosen.tolist(), *nearest[: count - len(chosen)].tolist()])


def bring_in(overlaps: Overlaps, used: list[int], lost: list[int], count: int) -> list[int]:
    """Photographs left out so far that may connect views that got no pose, best first.

    Those come first that overlap with a lost view and with a posed one. Then come those that
    overlap with two posed views: they show what the lost ones would have shown, or more.

    Args:
        overlaps: The overlap matrix.
        used: All views so far.
        lost: Those of `used` that got no pose.
        count: Largest number to bring in.
    """
    posed = sorted(set(used) - set(lost))
    spare = sorted(set(range(len(overlaps))) - set(used))
    if not (spare and posed and lost):
        return []
    to_posed = -np.sort(-overlaps[np.ix_(spare, posed)], axis=1)
    bridge = np.minimum(to_posed[:, 0], overlaps[np.ix_(spare, lost)].max(axis=1))
    second = to_posed[:, min(1, len(posed) - 1)]
    bridge[bridge < LINK] = 0
    second[second < LINK] = 0
    order = sorted(range(len(spare)), key=lambda i: (-bridge[i], -second[i], i))
    return [spare[i] for i in order if bridge[i] or second[i]][:count]


def likely_pairs(looks: NDArray[np.float64]) -> list[tuple[int, int]] | None:
    """Pairs worth matching where all pairs are too many, else None for all.

    Args:
        looks: A description of each photograph as a unit vector. Shape `(N, D)`.

    Returns:
        Each photograph with those that look most like it, and with those next in order: the order
        of a capture is a good hint where it has one.
    """
    count = len(looks)
    if count <= ALL_PAIRS_UP_TO:
        return None
    # Rounded, so that the order of equal ones does not hang on the last bits of the product.
    alike = np.round(looks @ looks.T, 6)
    np.fill_diagonal(alike, -np.inf)
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :_PAIRS_BY_LOOK]
    by_look = {(min(i, int(j)), max(i, int(j))) for i in range(count) for j in nearest[i]}
    by_order = {
        (i, j) for i in range(count) for j in range(i + 1, min(count, i + 1 + _PAIRS_BY_ORDER))
    }
    return sorted(by_look | by_order)


def _without_one(
    overlaps: Overlaps, kept: NDArray[np.bool_], link: int, newest: int | None = None
) -> NDArray[np.bool_]:
    """The kept photographs without the one whose removal loses least; of equals, `newest`."""
    losses = _losses(overlaps, kept)
    is_newest = np.arange(len(kept)) == newest
    # Of other equals the most connected goes: names and order decide last.
    for candidate in np.lexsort((-overlaps[:, kept].sum(axis=1), ~is_newest, losses)):
        without = kept.copy()
        without[candidate] = False
        # A connected graph has at least one node whose removal leaves it connected.
        if _is_connected(overlaps[np.ix_(without, without)] >= link):
            break
    return without


def _losses(overlaps: Overlaps, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each kept photograph's removal would lose; infinite for those not kept.

    A photograph that is left out is worth the logarithms of its two largest overlaps with kept
    ones; a kept one is worth as much as if it overlapped twice like the best pair of all.
    """
    to_kept = np.where(kept[None, :], overlaps, 0)
    order = np.argsort(-to_kept, axis=1, kind="stable")[:, :3]
    first, second, third = np.log1p(np.take_along_axis(to_kept, order, axis=1)).T
    losses = np.where(kept, 2 * np.log1p(overlaps.max()) - first - second, np.inf)
    # Without its best, the second and third are left; without its second, the first and third.
    np.add.at(losses, order[~kept, 0], (first - third)[~kept])
    np.add.at(losses, order[~kept, 1], (second - third)[~kept])
    return np.asarray(np.round(losses, 9), dtype=np.float64)


def _is_connected(graph: NDArray[np.bool_]) -> bool:
    return bool(connected_components(graph, directed=False)[0] == 1)
