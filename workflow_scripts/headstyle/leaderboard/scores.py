"""The scores of one method: pairs of views, and views against the true edit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstyle.base.cameras import read_cameras
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage, read_views
from headstyle.consistency.edit_strength import edit_strength
from headstyle.consistency.measuring import read_comparison, score_images
from headstyle.evaluation.scores import Networks
from headstyle.evaluation.true_edits import score_against_truth


@dataclass(frozen=True)
class EntryScene:
    """One subject and prompt of a method, and where its files lie."""

    subject: str
    prompt: str
    renders: str
    """Folder `{view}.png` of the method."""
    folder: str
    """The subject's folder in the results, with the views and the baseline."""
    truth: str = ""
    """Folder `{view}.png` of the true edit, or empty."""
    instruction: str = ""
    """The text of the edit."""
    captions: tuple[str, str] | None = None
    """What the head is before and after the edit."""


def score_scene(
    method: str, scene: EntryScene, settings: Mapping[str, Any], networks: Networks, device: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score a method's renders of one scene by the geometry of the baseline, the same for all.

    Args:
        method: Name of the method.
        scene: The files.
        settings: The config's `metrics` section.
        networks: For LPIPS mini.
        device: Where to compare with the true edit.

    Returns:
        pairs: method, subject, prompt, target, source, overlap, coverage and the metrics.
        views: method, subject, prompt, view, strength and sharpness of the edit, and the scores
            against the true edit, where it is known.

    Raises:
        InputError: a view is missing, or has another size than its camera.
    """
    folder = Path(scene.folder)
    cameras = folder / "views" / "cameras.json"
    _check_views(method, scene, read_cameras(cameras).names)
    comparison = read_comparison(
        *(cameras, scene.renders, folder / "baseline" / "depth", folder / "adjacency.csv"),
        unedited=folder / "baseline" / "renders",
        splats=folder / "baseline" / "splats.ply",
        instruction=scene.instruction or None,
        captions=scene.captions,
    )
    assert comparison.unedited is not None
    images = with_foreground(comparison.images, comparison.unedited)
    pairs = score_images(comparison, images, settings)
    views = edit_strength(
        images, comparison.unedited, comparison.cameras, settings["foreground_alpha"]
    )
    if scene.truth:
        truths = read_views(scene.truth, comparison.cameras)
        names = comparison.cameras.names
        found = score_against_truth(names, images, truths, networks, device)
        views = views.merge(found, on="view", validate="one_to_one")
    labels = {"method": method, "subject": scene.subject, "prompt": scene.prompt}
    labeled = [table.assign(**labels)[[*labels, *table]] for table in (pairs, views)]
    return labeled[0], labeled[1]


def with_foreground(images: Sequence[RgbaImage], unedited: Sequence[RgbaImage]) -> list[RgbaImage]:
    """The images; those without transparency, as most systems render, with the alpha of before."""
    return [
        np.dstack([image[..., :3], before[..., 3]]) if image[..., 3].min() == 1 else image
        for image, before in zip(images, unedited, strict=True)
    ]


def _check_views(method: str, scene: EntryScene, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not Path(scene.renders, f"{name}.png").is_file()]
    if missing:
        raise InputError(
            f"{scene.renders} of the method {method} lacks {missing[0]}.png"
            f" ({len(missing)} of {len(names)} views); render all cameras of"
            f" {scene.folder}/views/transforms.json, or take the scene out"
        )
