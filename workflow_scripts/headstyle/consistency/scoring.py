"""How well the views of one head agree with each other.

Every pair (target, source) is compared where the source, warped into the target through its depth,
shows the same surface as the target. Metrics live in `headstyle.consistency.metrics`, the warp in
`headstyle.consistency.warping`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from headstyle.base.adjacency import Adjacency, direction_adjacency
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.files import read_arrays
from headstyle.base.settings import default_values, laid_over
from headstyle.consistency.metrics import Metric, load_metrics, metric_class
from headstyle.consistency.pair_batches import check_sizes, make_scene, pair_values
from headstyle.consistency.settings import metric_settings
from headstyle.importers.agreement import check_depths
from headstyle.rendering.devices import best_device
from headstyle.rendering.renderer import Splats

SETTINGS: Mapping[str, Any] = {
    **default_values(metric_settings()),
    "names": ("rmse", "ciede2000"),
}
"""Defaults of `score`; the workflow gives the config's `metrics` section instead."""

SUSPICIOUS_OVERLAP = 0.05
"""If half of the pairs share less of a head, cameras or depth may mean something else."""


def score(
    renders: Sequence[ArrayLike | Tensor],
    depths: Sequence[ArrayLike | Tensor],
    cameras: Cameras,
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    unedited: Sequence[ArrayLike | Tensor] | None = None,
    splats: Splats | None = None,
    instruction: str | None = None,
    captions: tuple[str, str] | None = None,
    settings: Mapping[str, Any] = SETTINGS,
    device: str | torch.device | None = None,
    metrics: Sequence[Metric] | None = None,
) -> pd.DataFrame:
    """Score pairs of views that any method rendered.

    Args:
        renders: One image per camera, sRGB in [0, 1] (or 8-bit integers), numpy or torch. Shape
            `(H, W, 4)` with straight alpha, or `(H, W, 3)`. Without alpha, the foreground is where
            there is depth. Colors are not composited, so the background does not matter.
        depths: One depth map per camera, z in the camera, 0 where there is no surface.
            Shape `(H, W)`.
        cameras: The cameras, in the order of `renders`. Sizes may differ.
        pairs: Names (target, source). By default every view is compared with its neighbors as in
            the study: up to 8 views, the nearest in direction within 60 degrees.
        unedited: The same views before they were edited, for metrics that need them.
        splats: The unedited scene, for metrics that need it.
        instruction: The text that the edit followed, for metrics that need it.
        captions: What the head is before the edit and after, for metrics that need it.
        settings: The metrics (`names`) and their settings: the config's `metrics` section or some
            of its keys. `SETTINGS` gives the other keys.
        device: Where to compute; by default a GPU if there is one.
        metrics: The metrics, loaded for that device; by default those that the settings name.

    Returns:
        One row per pair. target and source; overlap, the pixels that the published metrics compare,
        as a fraction of the target's foreground; coverage, the same for the corrected metrics, if
        there are any; one column per metric, NaN if the views share too little.

    Raises:
        InputError: sizes, names or settings do not fit together. Or the views hardly overlap, but
            would overlap under another convention: OpenGL instead of OpenCV, camera-to-world
            instead of world-to-camera, distance along the ray instead of z, or other units.

    Example: a plane at depth 2, seen by two cameras. The second stands two pixels to the right.

        >>> image = np.random.default_rng(0).random((8, 8, 3))
        >>> moved = np.roll(image, -2, axis=1)
        >>> intrinsics = np.array([[8, 0, 4], [0, 8, 4], [0, 0, 1.0]])
        >>> poses = np.stack([np.eye(4)] * 2)
        >>> poses[1, 0, 3] = -0.5
        >>> cameras = Cameras(("a", "b"), np.full((2, 2), 8), np.stack([intrinsics] * 2), poses)
        >>> depth, pairs = np.full((8, 8), 2.0), [("a", "b"), ("b", "a")]
        >>> table = score([image, moved], [depth, depth], cameras, pairs, device="cpu")
        >>> print(table.round(3).to_string(index=False))
        target source  overlap  rmse  ciede2000
             a      b     0.75   0.0        0.0
             b      a     0.75   0.0        0.0
    """
    device = torch.device(device or best_device())
    settings = laid_over(SETTINGS, settings)
    if pairs is None:
        pairs = _study_pairs(cameras)
    pairs = list(pairs)
    unknown = {name for pair in pairs for name in pair} - set(cameras.names)
    if unknown:
        raise InputError(f"pairs name the view {min(unknown)!r}, which has no camera; remove it")
    metrics = load_metrics(settings, device) if metrics is None else metrics
    scene = make_scene(
        renders, depths, cameras, settings["foreground_alpha"], device,
        unedited=unedited, splats=splats, instruction=instruction, captions=captions,
    )  # fmt: skip
    positions = [(cameras.index(target), cameras.index(source)) for target, source in pairs]
    values = pair_values(scene, metrics, positions, settings)
    # Two views alone may agree by chance under a wrong convention.
    if len(cameras) > 2 and len(pairs) and np.median(values[:, 0]) < SUSPICIOUS_OVERLAP:
        seen = [
            torch.where(mask & depth.isfinite(), depth, 0).cpu().numpy()
            for mask, depth in zip(scene.foreground, scene.depths, strict=True)
        ]
        check_depths(seen, cameras, pairs)
    table = pd.DataFrame(pairs, columns=["target", "source"], dtype=str)
    table[["overlap", "coverage", *(metric.name for metric in metrics)]] = values
    if all(metric.warp == "published" for metric in metrics):
        table = table.drop(columns="coverage")
    return table


def view_means(
    pairs: pd.DataFrame,
    metrics: Sequence[str],
    views: Sequence[str] | None = None,
    min_overlap: float = SETTINGS["min_overlap"],
) -> pd.DataFrame:
    """Per target, the mean of each metric over its neighbors, as each metric defines it.

    Args:
        pairs: The table `score` returns.
        metrics: Names of the metrics' columns.
        views: Names of the views, one row each; by default all targets in their order.
        min_overlap: The setting the pairs were scored with.

    Returns:
        The columns view and neighbours. neighbours counts the pairs that share a pixel, over which
        the published metrics are averaged. If the pairs have a coverage: pairs_used, the pairs that
        the corrected metrics compare, and pairs_left_out, those below the minimum overlap. Then the
        metrics, and their excess and ceiling if the pairs have them; NaN if no neighbor is left.
    """
    target = pairs["target"]
    counts = {"neighbours": pairs["overlap"] > 0}
    if "coverage" in pairs:
        counts["pairs_used"] = (pairs["coverage"] >= min_overlap) & (pairs["coverage"] > 0)
        counts["pairs_left_out"] = ~counts["pairs_used"]
    columns = {name: count.groupby(target, sort=False).sum() for name, count in counts.items()}
    for part in ("", "_excess", "_ceiling"):
        for name in metrics:
            if (column := name + part) not in pairs:
                continue
            # A difference may be negative: it has no quadratic mean.
            quadratic = metric_class(name).mean_over_neighbors == "quadratic" and part != "_excess"
            values = pairs[column].pow(2) if quadratic else pairs[column]
            means = values.groupby(target, sort=False).mean()
            columns[column] = means.pow(0.5) if quadratic else means
    names = list(dict.fromkeys(target) if views is None else views)
    table = pd.DataFrame(columns).reindex(names).rename_axis("view").reset_index()
    return table.assign(**{name: table[name].fillna(0).astype(int) for name in counts})


def with_references(
    pairs: pd.DataFrame, metrics: Sequence[str], floor: pd.DataFrame, ceiling: pd.DataFrame
) -> pd.DataFrame:
    """Add to the pairs' scores how they compare with the best and the worst possible ones.

    Args:
        pairs: The table `score` returns.
        metrics: Names of the metrics' columns.
        floor: The same table for the unedited renders: the score of a perfect edit.
        ceiling: The same table for shuffled views (see the module `shuffling`): the score without
            any consistency.

    Returns:
        `pairs` with the columns `{metric}_excess`, the metric minus the floor of the same pair, and
        `{metric}_ceiling`. Both are NaN if the other table lacks the pair or its value.
    """
    keys = ["target", "source"]
    columns = {}
    for table, part in ((floor, "_excess"), (ceiling, "_ceiling")):
        known = [name for name in metrics if name in table]
        same = pairs[keys].merge(table[[*keys, *known]], on=keys, how="left")
        for name in known:
            values = same[name].to_numpy(np.float64)
            columns[name + part] = pairs[name].to_numpy() - values if part == "_excess" else values
    return pairs.assign(**columns)


def adjacent_pairs(names: Sequence[str], adjacency: Adjacency) -> list[tuple[str, str]]:
    """Pairs (target, source) of adjacent views, by target, then source."""
    return [(names[target], names[source]) for target, source in np.argwhere(adjacency)]


def read_depths(
    folder: str | Path, cameras: Cameras, key: str = "median"
) -> list[NDArray[np.float32]]:
    """The depth maps `{view}.npz` of all cameras, each of shape `(H, W)`.

    Raises:
        InputError: a file is missing, unreadable, lacks `key`, or has another size than its camera.
    """
    depths = []
    for name in cameras.names:
        path = Path(folder, f"{name}.npz")
        (depth,) = read_arrays(path, (key,), "depth", f"it must be an .npz with the key {key}")
        depths.append(depth.astype(np.float32))
    check_sizes(depths, cameras, f"{folder}/{{}}.npz")
    return depths


def _study_pairs(cameras: Cameras) -> list[tuple[str, str]]:
    try:
        return adjacent_pairs(cameras.names, direction_adjacency(cameras, 8, 60))
    except InputError:
        raise InputError(
            "the optical axes of the cameras are parallel, so their neighbors are unknown; "
            "give the pairs to compare"
        ) from None
