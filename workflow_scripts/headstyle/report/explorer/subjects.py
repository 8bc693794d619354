"""All that the page shows of one subject, at sizes that keep it within its share of the page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.adjacency import meeting_point, read_adjacency
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.rendering.splats import read_ply
from headstyle.report import pictures
from headstyle.report.explorer.pairs import PairLooker
from headstyle.report.explorer.scenes import (
    Sizes,
    avatar_content,
    layer,
    pair_pictures,
    scene_comparison,
    subject_content,
)
from headstyle.report.sheets import Avatar, Subject

_LEVELS = ((512, 384), (512, 256), (384, 224), (320, 192), (256, 160), (192, 128), (128, 96))
"""Longest sides of views and of pairs' pictures, from large to small [px]."""
_SPLAT_BYTES = 32
"""Of a splat in the page, about."""
_SPLATS_SHARE = 0.4
_FEWEST_SPLATS = 5_000
_SAMPLE = 3


def explored_subject(
    subject: Subject,
    avatars: Sequence[Avatar],
    adjacency: Path,
    metrics: Sequence[str],
    settings: Mapping[str, Any],
    max_bytes: int,
) -> dict[str, Any]:
    """What the page shows of a subject and its avatars.

    Args:
        subject: The subject.
        avatars: Its avatars, maybe none.
        adjacency: The file `adjacency.csv`.
        metrics: Names of the metrics.
        settings: The config's `metrics` section.
        max_bytes: About what all of it may take in the page.

    Returns:
        name: The subject's name.
        rig: Its cameras and which of them are adjacent.
        avatars: Name and instruction of each avatar.
        shared: See `scenes.subject_content`.
        content: See `scenes.avatar_content`, by the avatar's name.

    Raises:
        InputError: a file is missing or does not fit the others.
    """
    sizes = fitting_sizes(subject, avatars, adjacency, settings, max_bytes)
    return {
        "name": subject.name,
        "rig": rig_content(subject.cameras, adjacency),
        "avatars": [
            {
                "name": avatar.name,
                "prompt": avatar.prompt,
                "promptName": avatar.prompt_name,
                "text": avatar.prompt_text,
                "strength": avatar.strength,
            }
            for avatar in avatars
        ],
        "shared": subject_content(subject, avatars, sizes),
        "content": {
            avatar.name: avatar_content(subject, avatar, adjacency, metrics, settings, sizes)
            for avatar in avatars
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
    subject: Subject,
    avatars: Sequence[Avatar],
    adjacency: Path,
    settings: Mapping[str, Any],
    max_bytes: int,
) -> Sizes:
    """The largest sizes of a level that keep a subject within its share of the page."""
    scenes = 1 + len(avatars)
    splats = int(_SPLATS_SHARE * max_bytes / scenes / _SPLAT_BYTES)
    splats = max(_FEWEST_SPLATS, splats)
    levels = [Sizes(*level, splats) for level in _LEVELS]
    if not avatars:
        return levels[0]
    used = (
        scenes
        * _SPLAT_BYTES
        * min(splats, len(read_ply(avatars[0].folder / "splats.ply")["means"]))
    )
    looker = PairLooker(scene_comparison(subject, avatars[0], adjacency), settings)
    some = list(looker.pairs(pictures.evenly_spaced(looker.positions, _SAMPLE)))
    cameras = subject.cameras
    views = pictures.evenly_spaced(cameras.names, _SAMPLE)
    layers = 2 + sum(1 + min(3, len(avatar.cycles)) for avatar in avatars)
    layers += len({avatar.prompt for avatar in avatars if avatar.true_edit})
    for sizes in levels:
        view = max(
            len(json.dumps(layer("", folder, views, sizes))) / len(views)
            for folder in (subject.views, avatars[0].folder / "renders")
        )
        pair = np.mean([len(json.dumps(pair_pictures(seen, cameras, sizes))) for seen in some])
        pairs = len(looker.positions) * len(avatars)
        if used + layers * len(cameras) * view + pairs * (pair + 300) <= max_bytes:
            break
    return sizes
