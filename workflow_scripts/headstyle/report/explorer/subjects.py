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
from headstyle.report.explorer.pairs import PairLooker, SeenPair
from headstyle.report.explorer.scenes import (
    Sizes,
    layer,
    pair_pictures,
    pictured,
    scene_content,
    subject_content,
)
from headstyle.report.explorer.shown import Layer, ShownSubject

_LEVELS = (
    *((512, 384, True, 75), (512, 256, True, 75), (384, 224, True, 75), (320, 192, True, 75)),
    *((320, 192, False, 75), (256, 192, False, 75), (256, 160, False, 60), (256, 128, False, 50)),
    *((192, 128, False, 50), (160, 96, False, 50), (128, 96, False, 40)),
)
"""Longest sides of views and of pairs' pictures [px], whether a pair has pictures both ways, and
their quality; from large to small."""
_PAIR_BYTES = 700
"""Of a pair besides its pictures, about."""
_SPLAT_BYTES = 27
"""Of a splat in the page, about."""
_SPLATS_SHARE = 0.3
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
    levels = [
        Sizes(view_px, pair_px, both_ways, splats, film_bytes, quality)
        for view_px, pair_px, both_ways, quality in _LEVELS
    ]
    if not scenes:
        return levels[0]
    used = len(filmed) * film_bytes
    if clouds:
        used += len(clouds) * _SPLAT_BYTES * min(splats, len(read_splats(clouds[-1])["means"]))
    seen: list[SeenPair] = []
    positions: list[tuple[int, int]] = []
    # Stone takes fewer bytes than hair.
    for scene in pictures.evenly_spaced(scenes, _SAMPLE):
        looker = PairLooker(subject.comparison(scene), settings)
        positions = looker.positions
        seen += looker.pairs(pictures.evenly_spaced(positions, _SAMPLE))
    used += _PAIR_BYTES * len(positions) * len(scenes)
    views = pictures.evenly_spaced(cameras.names, _SAMPLE)
    own = [each for scene in pictures.evenly_spaced(scenes, _SAMPLE) for each in scene.layers]
    truths = len({scene.prompt for scene in scenes if scene.true_edit})
    counts = (len(subject.layers) + truths, sum(len(scene.layers) for scene in scenes))
    for sizes in levels:
        pair = np.mean([len(json.dumps(pair_pictures(each, cameras, sizes))) for each in seen])
        per_view = sum(
            count * _bytes_per_view(layers, views, sizes)
            for count, layers in zip(counts, (subject.layers[:1] or own, own), strict=True)
        )
        pairs = len(pictured(positions, sizes)) * len(scenes)
        if used + len(cameras) * per_view + pairs * pair <= max_bytes:
            break
    return sizes


def _bytes_per_view(layers: Sequence[Layer], views: Sequence[str], sizes: Sizes) -> float:
    """What a view of some layers takes in the mean."""
    whole = [len(json.dumps(layer("", folder, views, sizes))) for _, folder in layers]
    return float(np.mean(whole)) / len(views)
