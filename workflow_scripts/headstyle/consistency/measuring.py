"""All that is measured of one scene: its pairs' scores, their references, and its edit's strength.

`scoring.score` compares the pairs. This module adds what a score is read against: the floor (what
the unedited scene scores) and the ceiling (what the scene scores when every view shows the image of
another one).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from headstyle.base.adjacency import read_adjacency
from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.images import read_views
from headstyle.consistency.edit_strength import edit_strength
from headstyle.consistency.metrics import Metric, load_metrics, metric_class
from headstyle.consistency.metrics.headline import Headline
from headstyle.consistency.parts.kinds import Pair, PairKinds
from headstyle.consistency.scoring import (
    adjacent_pairs,
    read_depths,
    score,
    view_means,
    with_references,
)
from headstyle.consistency.shuffling import shuffled_images
from headstyle.rendering.devices import best_device
from headstyle.rendering.renderer import Splats
from headstyle.rendering.splats import read_ply


@dataclass(frozen=True)
class Comparison:
    """The views of one scene, which of them are compared, and what metrics may need."""

    images: Sequence[NDArray[np.float32]]
    """One image per camera, sRGB in [0, 1] with straight alpha. Shape `(H, W, 4)` each."""
    depths: Sequence[NDArray[np.float32]]
    """z in the camera, 0 where there is no surface. Shape `(H, W)` each."""
    cameras: Cameras
    pairs: Sequence[tuple[str, str]]
    """Names (target, source) of the views that are compared."""
    unedited: Sequence[NDArray[np.float32]] | None = None
    """The same views before the edit. Shape `(H, W, 4)` each."""
    splats: Splats | None = None
    """The unedited scene."""
    instruction: str | None = None
    """The text that the edit followed."""
    captions: tuple[str, str] | None = None
    """What the head is before the edit, and what it is after."""


def read_comparison(
    cameras: str | Path,
    images: str | Path,
    depth: str | Path,
    adjacency: str | Path,
    *,
    unedited: str | Path | None = None,
    splats: str | Path | None = None,
    instruction: str | None = None,
    captions: tuple[str, str] | None = None,
) -> Comparison:
    """Read a scene from its files.

    Args:
        cameras: The file `cameras.json`.
        images: The folder of `{view}.png`, or any file in that folder.
        depth: The folder of `{view}.npz`.
        adjacency: The table `adjacency.csv`: which views are compared.
        unedited: The folder of the views before the edit, or any file in it; empty for none.
        splats: The PLY file of the unedited scene; empty for none.
        instruction: The text that the edit followed.
        captions: What the head is before the edit, and what it is after; None where unknown.

    Raises:
        InputError: a file is missing or does not fit its camera.
    """
    rig = read_cameras(cameras)
    return Comparison(
        images=read_views(_folder(images), rig),
        depths=read_depths(depth, rig),
        cameras=rig,
        pairs=adjacent_pairs(*read_adjacency(adjacency)),
        unedited=read_views(_folder(unedited), rig) if unedited else None,
        splats=read_ply(splats) if splats else None,
        instruction=instruction,
        captions=captions,
    )


def measure(
    comparison: Comparison,
    settings: Mapping[str, Any],
    seed: int,
    floor: pd.DataFrame | None = None,
    *,
    is_baseline: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables `pairs` and `views` of `measure_with_kinds`."""
    return measure_with_kinds(comparison, settings, seed, floor, is_baseline=is_baseline)[:2]


def measure_with_kinds(
    comparison: Comparison,
    settings: Mapping[str, Any],
    seed: int,
    floor: pd.DataFrame | None = None,
    *,
    is_baseline: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[Pair, PairKinds]]:
    """Score the pairs of a scene and average them per view.

    Args:
        comparison: The scene.
        settings: The config's `metrics` section.
        seed: Of the shuffled views, which give the ceiling.
        floor: The pairs of the unedited scene. Without them the excess is NaN.
        is_baseline: Whether the scene is the unedited one. It is its own floor.

    Returns:
        pairs: target, source, overlap, coverage (where a metric uses it), the metrics,
            `{metric}_excess` and `{metric}_ceiling`. One row per pair.
        views: view, the counts of its pairs, the strength and sharpness of the edit (where the
            unedited views are known), and the means of the columns above. One row per camera.
        kinds: How each pair disagrees, by the places of its views; empty where the headline score
            is not measured.

    Raises:
        InputError: sizes, names or settings do not fit together.
    """
    names = settings["names"]
    metrics = load_metrics(settings, torch.device(best_device()))
    pairs = score_images(comparison, comparison.images, settings, metrics)
    headline = next((metric for metric in metrics if isinstance(metric, Headline)), None)
    # Networks take memory, and the ceiling loads those that it needs.
    del metrics
    if is_baseline:
        floor = pairs
    elif floor is None:
        floor = pairs.iloc[:0]
    highest = ceiling(comparison, settings, seed, headline)
    pairs = with_references(pairs, names, floor, highest)
    views = view_means(pairs, names, comparison.cameras.names, settings["min_overlap"])
    if comparison.unedited:
        edits = edit_strength(
            comparison.images,
            comparison.unedited,
            comparison.cameras,
            settings["foreground_alpha"],
        )
        views = _with_edit_strength(views, edits, settings["names"][0])
    return pairs, views, headline.kinds if headline else {}


def ceiling(
    comparison: Comparison,
    settings: Mapping[str, Any],
    seed: int,
    headline: Headline | None = None,
) -> pd.DataFrame:
    """The pairs' scores when every view shows the image of another one: no consistency at all.

    Args:
        comparison: The scene.
        settings: The config's `metrics` section.
        seed: Of the order in which views exchange their images.
        headline: The metric that has scored the scene itself, if it was measured.

    Returns:
        The table of `scoring.score`, with those metrics only that have a ceiling.
    """
    images = comparison.images
    foreground = [image[..., 3] > settings["foreground_alpha"] for image in images]
    names = [name for name in settings["names"] if metric_class(name).has_ceiling]
    shuffled = shuffled_images(images, foreground, seed)
    settings = {**settings, "names": names}
    metrics = load_metrics(settings, torch.device(best_device()))
    for metric in metrics:
        if headline is not None and isinstance(metric, Headline):
            metric.take_over(headline)
    return score_images(comparison, shuffled, settings, metrics)


def remarks(pairs: pd.DataFrame, views: pd.DataFrame, min_overlap: float) -> list[str]:
    """What a reader of the scores must know: which pairs and views could not be compared.

    Args:
        pairs: The pairs that `measure` returns.
        views: The views that `measure` returns.
        min_overlap: The setting the pairs were scored with.

    Returns:
        One sentence per problem; none where every pair was compared by every metric.
    """
    sentences = []
    if empty := int((pairs["overlap"] == 0).sum()):
        sentences.append(f"{empty} pairs share no pixel and are left out of the means")
    if "coverage" in pairs and (small := int(views["pairs_left_out"].sum())):
        sentences.append(
            f"{small} pairs share less than {min_overlap:g} of a head: not compared by all"
        )
    if alone := list(views.loc[views["neighbours"] == 0, "view"]):
        sentences.append(f"{len(alone)} views have nothing to be compared with: {alone}")
    return sentences


def with_labels(table: pd.DataFrame, subject: str, prompt: str, strength: str) -> pd.DataFrame:
    """The table with the columns subject, prompt and strength before its own."""
    labels = {"subject": subject, "prompt": prompt, "strength": strength}
    return table.assign(**labels)[[*labels, *table.columns]]


def _folder(path: str | Path) -> Path:
    """The folder that is named, or that the named file lies in."""
    return Path(path) if Path(path).is_dir() else Path(path).parent


def score_images(
    comparison: Comparison,
    images: Sequence[Any],
    settings: Mapping[str, Any],
    metrics: Sequence[Metric] | None = None,
) -> pd.DataFrame:
    """The table of `scoring.score` of images in the place of a comparison's own."""
    return score(
        images,
        comparison.depths,
        comparison.cameras,
        comparison.pairs,
        unedited=comparison.unedited,
        splats=comparison.splats,
        instruction=comparison.instruction,
        captions=comparison.captions,
        settings=settings,
        metrics=metrics,
    )


def _with_edit_strength(
    views: pd.DataFrame, edits: pd.DataFrame, first_metric: str
) -> pd.DataFrame:
    """`views` with the columns of `edit_strength` before those of the metrics."""
    columns = list(views.columns)
    first = columns.index(first_metric)
    columns[first:first] = edits.columns[1:]
    return views.assign(**{name: edits[name] for name in edits.columns[1:]})[columns]
