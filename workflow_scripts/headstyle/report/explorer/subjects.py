"""All that the page shows of one subject, at sizes that keep it within its share of the page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.adjacency import meeting_point, read_adjacency
from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.errors import InputError
from headstyle.rendering.splat_files import read_splats
from headstyle.report import pictures
from headstyle.report.explorer.pairs import PairLooker
from headstyle.report.explorer.scenes import (
    Sizes,
    layer,
    pair_pictures,
    scene_content,
    subject_content,
)
from headstyle.report.explorer.shown import Layer, ShownSubject

_LEVELS = ((512, 384), (512, 256), (384, 224), (320, 192), (256, 160), (192, 128), (128, 96))
"""Longest sides of views and of pairs' pictures, from large to small [px]."""
_SPLAT_BYTES = 32
"""Of a splat in the page, about."""
_SPLATS_SHARE = 0.4
_FILMS_SHARE = 0.2
_FEWEST_SPLATS = 5_000
_SAMPLE = 3


def explored_subject(
    subject: ShownSubject,
    metrics: Sequence[str],
    settings: Mapping[str, Any],
    max_bytes: int,
) -> dict[str, Any]:
    """What the page shows of a subject and its scenes.

    Args:
        subject: The subject.
        metrics: Names of the metrics.
        settings: The config's `metrics` section.
        max_bytes: About what all of it may take in the page.

    Returns:
        name: The subject's name.
        unedited: Whether its views before the edit are known.
        rig: Its cameras and which of them are adjacent.
        avatars: Name and instruction of each scene.
        shared: See `scenes.subject_content`.
        content: See `scenes.scene_content`, by the scene's name.

    Raises:
        InputError: a file is missing or does not fit the others.
    """
    cameras = read_cameras(subject.cameras)
    sizes = fitting_sizes(subject, cameras, settings, max_bytes)
    return {
        "name": subject.name,
        "unedited": subject.unedited is not None,
        "rig": rig_content(cameras, subject.adjacency),
        "avatars": [
            {
                "name": scene.name,
                "prompt": scene.prompt,
                "promptName": scene.prompt_name,
                "text": scene.text,
                "strength": scene.strength,
            }
            for scene in subject.scenes
        ],
        "shared": subject_content(subject, cameras.names, sizes),
        "content": {
            scene.name: scene_content(subject, scene, cameras.names, metrics, settings, sizes)
            for scene in subject.scenes
        },
    }


def rig_content(cameras: Cameras, adjacency: Path) -> dict[str, Any]:
    """The cameras, the order to walk them, the adjacent pairs, and where the rig looks."""
    names, joined = read_adjacency(adjacency)
    index = cameras.index
    known = set(cameras.names)
    edges = [
        (index(names[i]), index(names[j]))
        for i, j in np.argwhere(np.triu(joined))
        if names[i] in known and names[j] in known
    ]
    try:
        center = meeting_point(cameras)
    except InputError:
        # Parallel axes meet nowhere: the point in front of the middle of the rig will do.
        center = (cameras.centers + cameras.axes).mean(axis=0)
    up = -cameras.world_to_camera[:, 1, :3].mean(axis=0)
    return {
        "names": list(cameras.names),
        "sizes": cameras.sizes.tolist(),
        "intrinsics": np.round(cameras.intrinsics, 4).tolist(),
        "poses": np.round(cameras.world_to_camera, 7).tolist(),
        "walk": [index(name) for name in pictures.walk_along_rig(cameras)],
        "shown": index(pictures.shown_view(cameras)),
        "edges": edges,
        "center": center.tolist(),
        "up": (up / max(np.linalg.norm(up), 1e-9)).tolist(),
    }


def fitting_sizes(
    subject: ShownSubject, cameras: Cameras, settings: Mapping[str, Any], max_bytes: int
) -> Sizes:
    """The largest sizes of a level that keep a subject within its share of the page."""
    scenes = subject.scenes
    clouds = [path for path in (subject.splats, *(scene.splats for scene in scenes)) if path]
    splats = int(_SPLATS_SHARE * max_bytes / max(1, len(clouds)) / _SPLAT_BYTES)
    splats = max(_FEWEST_SPLATS, splats)
    filmed = [scene for scene in scenes if scene.film]
    film_bytes = int(_FILMS_SHARE * max_bytes / max(1, len(filmed)))
    levels = [Sizes(*level, splats, film_bytes) for level in _LEVELS]
    if not scenes:
        return levels[0]
    used = len(filmed) * film_bytes
    if clouds:
        used += len(clouds) * _SPLAT_BYTES * min(splats, len(read_splats(clouds[-1])["means"]))
    looker = PairLooker(subject.comparison(scenes[0]), settings)
    some = list(looker.pairs(pictures.evenly_spaced(looker.positions, _SAMPLE)))
    views = pictures.evenly_spaced(cameras.names, _SAMPLE)
    shared, own = subject.layers[:1], scenes[0].layers
    truths = len({scene.prompt for scene in scenes if scene.true_edit})
    counts = (len(subject.layers) + truths, sum(len(scene.layers) for scene in scenes))
    pairs = len(looker.positions) * len(scenes)
    for sizes in levels:
        pair = np.mean([len(json.dumps(pair_pictures(seen, cameras, sizes))) for seen in some])
        per_view = sum(
            count * _bytes_per_view(layers, views, sizes)
            for count, layers in zip(counts, (shared or own, own), strict=True)
        )
        if used + len(cameras) * per_view + pairs * (pair + 300) <= max_bytes:
            break
    return sizes


def _bytes_per_view(layers: Sequence[Layer], views: Sequence[str], sizes: Sizes) -> float:
    """What a view of the largest of some layers takes."""
    whole = (len(json.dumps(layer("", folder, views, sizes))) for _, folder in layers)
    return max(whole) / len(views)
