"""How well the views of one head agree with each other.

Every pair (target, source) is compared where the source, warped into the target through its depth,
shows the same surface as the target. Metrics live in `headstyle.metrics`, the warp in
`headstyle.warping`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from headstyle.adjacency import Adjacency, direction_adjacency
from headstyle.cameras import Cameras
from headstyle.errors import InputError
from headstyle.metrics import Metric, PairBatch, load_metrics, metric_class
from headstyle.stage import progress
from headstyle.warping import overlap, relative_projections, warp

SETTINGS: Mapping[str, Any] = {
    "names": ("rmse", "ciede2000"),
    "depth_tolerance": 0.01,
    "foreground_alpha": 0.5,
    "lpips_net": "squeeze",
    "lpips_weights": None,
}
"""Defaults of `score`; the workflow gives the config's `metrics` section instead."""

# Pixels per batch that keep the working memory near 1 GiB on the CPU and 10 GiB on a GPU.
BATCH_PIXELS = {"cpu": 2**21, "cuda": 2**24}


def score(
    renders: Sequence[ArrayLike | Tensor],
    depths: Sequence[ArrayLike | Tensor],
    cameras: Cameras,
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    settings: Mapping[str, Any] = SETTINGS,
    device: str | torch.device | None = None,
) -> pd.DataFrame:
    """Score pairs of views of any method's renders.

    Args:
        renders: One image per camera, sRGB in [0, 1] (or 8-bit integers), numpy or torch. Shape
            `(H, W, 4)` with straight alpha, or `(H, W, 3)`, where the foreground is what has depth.
            Colors are compared as they are, so the background they lie on does not matter.
        depths: One depth map per camera, z in the camera, 0 where there is no surface.
            Shape `(H, W)`.
        cameras: The cameras, in the order of `renders`. Sizes may differ.
        pairs: Names (target, source); by default every view with its neighbors as in the study, the
            up to 8 nearest in direction within 60 degrees.
        settings: Which metrics (`names`) and their settings: the config's `metrics` section.
        device: Where to compute; by default a GPU if there is one.

    Returns:
        One row per pair: target, source, overlap (compared pixels as a fraction of the target's
        foreground) and one column per metric, NaN where the views share no pixel.

    Raises:
        InputError: sizes, names or settings do not fit together.

    Example: a plane at depth 2, seen by a camera and by one moved right by two pixels of it.

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
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if pairs is None:
        pairs = _study_pairs(cameras)
    pairs = list(pairs)
    unknown = {name for pair in pairs for name in pair} - set(cameras.names)
    if unknown:
        raise InputError(f"pairs name the view {min(unknown)!r}, which has no camera; remove it")
    metrics = load_metrics(settings, device)
    stacks = _ViewStacks(renders, depths, cameras, settings["foreground_alpha"], device)
    positions = [(cameras.index(target), cameras.index(source)) for target, source in pairs]
    values = np.full((len(pairs), 1 + len(metrics)), np.nan)
    for rows in progress(list(_batches(positions, cameras.sizes, device)), "batches of pairs"):
        batch, fraction = _warped_pairs(
            stacks, cameras, [positions[row] for row in rows], settings["depth_tolerance"]
        )
        values[rows, 0] = fraction
        values[rows, 1:] = _values(metrics, batch)
    table = pd.DataFrame(pairs, columns=["target", "source"], dtype=str)
    table[["overlap", *(metric.name for metric in metrics)]] = values
    return table


def view_means(
    pairs: pd.DataFrame, metrics: Sequence[str], views: Sequence[str] | None = None
) -> pd.DataFrame:
    """Per target, the mean of each metric over its neighbors, as each metric defines it.

    Args:
        pairs: The table `score` returns.
        metrics: Names of the metrics' columns.
        views: Names of the views, one row each; by default all targets in their order.

    Returns:
        Columns view, neighbours (how many the means are over, so without pairs that share no pixel)
        and the metrics, NaN where no neighbor is left.
    """
    target = pairs["target"]
    columns = {"neighbours": (pairs["overlap"] > 0).groupby(target, sort=False).sum()}
    for name in metrics:
        if metric_class(name).mean_over_neighbors == "quadratic":
            columns[name] = pairs[name].pow(2).groupby(target, sort=False).mean().pow(0.5)
        else:
            columns[name] = pairs[name].groupby(target, sort=False).mean()
    names = list(dict.fromkeys(target) if views is None else views)
    table = pd.DataFrame(columns).reindex(names).rename_axis("view").reset_index()
    return table.assign(neighbours=table["neighbours"].fillna(0).astype(int))


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
        try:
            with np.load(path, allow_pickle=False) as file:
                depths.append(np.asarray(file[key], dtype=np.float32))
        except (OSError, BadZipFile, KeyError, ValueError, AttributeError, EOFError) as error:
            raise InputError(
                f"{path} cannot be read as depth ({error}); it must be an .npz with the key {key}"
            ) from None
    _check_sizes(depths, cameras, f"{folder}/{{}}.npz")
    return depths


class _ViewStacks:
    """All views on one device, those of one size in one tensor."""

    def __init__(
        self,
        renders: Sequence[ArrayLike | Tensor],
        depths: Sequence[ArrayLike | Tensor],
        cameras: Cameras,
        foreground_alpha: float,
        device: torch.device,
    ) -> None:
        images = [_as_image(render) for render in renders]
        maps = [torch.as_tensor(depth).to(torch.float32) for depth in depths]
        _check_sizes(images, cameras, "the image of {}")
        _check_sizes(maps, cameras, "the depth of {}")
        alphas = [
            image[..., 3] > foreground_alpha if image.shape[2] == 4 else depth > 0
            for image, depth in zip(images, maps, strict=True)
        ]
        self._place: dict[int, tuple[tuple[int, int], int]] = {}
        members: dict[tuple[int, int], list[int]] = {}
        for view, (width, height) in enumerate(cameras.sizes.tolist()):
            group = members.setdefault((width, height), [])
            self._place[view] = ((width, height), len(group))
            group.append(view)
        self._stacks = {
            size: (
                torch.stack([images[view][..., :3] for view in views]).to(device),
                torch.stack([maps[view] for view in views]).to(device),
                torch.stack([alphas[view] for view in views]).to(device),
            )
            for size, views in members.items()
        }

    def take(self, views: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Colors `(N, H, W, 3)`, depth and foreground `(N, H, W)` of views of one size."""
        size, _ = self._place[views[0]]
        rows = [self._place[view][1] for view in views]
        colors, depth, foreground = self._stacks[size]
        return colors[rows], depth[rows], foreground[rows]


def _study_pairs(cameras: Cameras) -> list[tuple[str, str]]:
    try:
        return adjacent_pairs(cameras.names, direction_adjacency(cameras, 8, 60))
    except InputError:
        raise InputError(
            "the optical axes of the cameras are parallel, so their neighbors are unknown; "
            "give the pairs to compare"
        ) from None


def _batches(
    positions: Sequence[tuple[int, int]], sizes: NDArray[np.int64], device: torch.device
) -> Iterator[list[int]]:
    """Rows of pairs whose targets have one size and whose sources have one size."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, (target, source) in enumerate(positions):
        groups.setdefault((*sizes[target].tolist(), *sizes[source].tolist()), []).append(row)
    for (width, height, *_), rows in groups.items():
        count = max(1, BATCH_PIXELS[device.type] // (width * height))
        for start in range(0, len(rows), count):
            yield rows[start : start + count]


def _warped_pairs(
    stacks: _ViewStacks,
    cameras: Cameras,
    positions: Sequence[tuple[int, int]],
    depth_tolerance: float | None,
) -> tuple[PairBatch, NDArray[np.float64]]:
    """The batch of these pairs, and their overlaps as fractions of the targets' foreground."""
    targets, sources = zip(*positions, strict=True)
    colors, depth, foreground = stacks.take(targets)
    width, height = cameras.sizes[targets[0]].tolist()
    projections = relative_projections(cameras, targets, sources).to(colors.device)
    warped = warp(*stacks.take(sources), projections, (width, height))
    shared = overlap(warped, depth, foreground, depth_tolerance)
    fraction = shared.sum(dim=(1, 2)) / foreground.sum(dim=(1, 2)).clamp(min=1)
    return PairBatch(colors, warped.colors, shared), fraction.double().cpu().numpy()


def _values(metrics: Sequence[Metric], batch: PairBatch) -> NDArray[np.float64]:
    """Each metric of each pair, NaN where there is no overlap. Shape `(N, metrics)`."""
    values = torch.stack([metric(batch).double() for metric in metrics], dim=1)
    shared = batch.overlap.flatten(1).any(dim=1, keepdim=True)
    return torch.where(shared, values, torch.nan).cpu().numpy()


def _as_image(render: ArrayLike | Tensor) -> Tensor:
    image = torch.as_tensor(render)
    if image.dtype == torch.uint8:
        return image.to(torch.float32) / 255
    return image.to(torch.float32)


def _check_sizes(arrays: Sequence[Any], cameras: Cameras, what: str) -> None:
    if len(arrays) != len(cameras):
        raise InputError(
            f"{len(arrays)} arrays were given for {len(cameras)} cameras; give one each, in order"
        )
    for name, (width, height), array in zip(
        cameras.names, cameras.sizes.tolist(), arrays, strict=True
    ):
        if tuple(array.shape[:2]) != (height, width):
            raise InputError(
                f"{what.format(name)} has shape {tuple(array.shape)}, but its camera is "
                f"{width} x {height} px; make both again from the same views"
            )
