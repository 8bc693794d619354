"""Make a kit. Items that it has already are not made again."""

import logging
import multiprocessing
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstyle.base.devices import use_threads
from headstyle.base.files import read_json, whole_file, write_json
from headstyle.base.tables.frames import write_table
from headstyle.calibration.cases import Case
from headstyle.calibration.kit.folders import (
    Shown,
    kit_content,
    read_item,
    write_item,
    write_sums,
)
from headstyle.calibration.kit.items import (
    OURS,
    Item,
    KitSettings,
    amounts,
    image_items,
    kit_cases,
    named_items,
    trained_items,
)
from headstyle.calibration.kit.readme import README
from headstyle.calibration.trained.avatars import Baseline, rendered, train_avatar, train_baseline
from headstyle.calibration.trained.cases import NO_TRAP, TRAPS, TRUE_EDITS, Rung, TrainedScene, Trap
from headstyle.calibration.trained.making import distance_to_truth, rendered_anew
from headstyle.calibration.traps import TRAPS as IMAGE_TRAPS
from headstyle.calibration.traps import compared_pairs
from headstyle.consistency.scoring import score, view_means

logger = logging.getLogger("headstyle.calibration")

KIT, HIDDEN = "kit", "hidden"
"""Folders of what is given away, and of what each item is."""


def make_kit(settings: KitSettings, folder: Path, key: str, device: str, processes: int) -> None:
    """Write a kit: `kit/` to give away, and `hidden/` with levels.csv and ours.csv.

    Args:
        settings: What the kit is made of.
        folder: Gets both folders. What an earlier run of the same `key` made stays.
        key: Identifies the settings and the version of the library.
        device: Device to train and score on.
        processes: Number of scenes at the same time.
    """
    _keep_only(folder, key)
    items = named_items(settings)
    jobs = [partial(_make_images, case) for case in kit_cases(settings)]
    jobs += [partial(_make_trained, scene) for scene in settings.trained.scenes()]
    names = {item: name for name, item in items.items()}
    _run([partial(job, names, folder, device) for job in jobs], processes)
    found = {name: read_json(folder / HIDDEN / "scores" / f"{name}.json") for name in items}
    write_table(folder / HIDDEN / "levels.csv", _levels(items, settings, found))
    write_table(folder / HIDDEN / "ours.csv", _ours(found))
    geometries = {
        name: read_json(folder / KIT / "items" / name / "item.json")["geometry"] for name in items
    }
    write_json(folder / KIT / "kit.json", kit_content(geometries))
    with whole_file(folder / KIT / "README.md") as written:
        written.write_text(README, encoding="utf-8")
    logger.info("%d items, %d files", len(items), write_sums(folder / KIT))


def our_scores(shown: Shown, metrics: Mapping[str, Any], device: str) -> dict[str, float | None]:
    """Our metrics on an item; None where one is not defined.

    Args:
        shown: The item, as its files show it.
        metrics: The config's section `metrics`; `names` are the metrics.
        device: Device to score on.
    """
    names = metrics["names"]
    pairs = score(
        *(shown.images, shown.depths, shown.cameras, shown.pairs),
        unedited=shown.unedited,
        settings=metrics,
        device=device,
    )
    means = view_means(pairs, names, shown.cameras.names, metrics["min_overlap"])[names].mean()
    return {name: float(means[name]) if np.isfinite(means[name]) else None for name in names}


def _seconds(shown: Shown, metrics: Mapping[str, Any], device: str) -> dict[str, float]:
    """How long each of our metrics takes alone."""
    found = {}
    for name in metrics["names"]:
        started = time.perf_counter()
        our_scores(shown, {**metrics, "names": [name]}, device)
        found[f"{name}_seconds"] = round(time.perf_counter() - started, 3)
    return found


def _make_images(case: Case, names: Mapping[Item, str], folder: Path, device: str) -> str:
    """Make the items of disturbed photographs of one head with one prompt."""
    use_threads(1)
    for item in _left(image_items(case), names, folder):
        ladder, neighbors = None if item.ladder == TRUE_EDITS else item.ladder, None
        if item.trap != NO_TRAP:
            neighbors, views = IMAGE_TRAPS[item.trap].neighbors, case.trapped(item.trap, ladder)
        elif ladder is None:
            views = case.views
        else:
            views = case.rung(ladder, item.level, item.seed, case.views)
        pairs = compared_pairs(views.cameras, neighbors or case.settings.neighbors)
        shown = Shown(views.cameras, views.edited, views.unedited, views.depths, pairs)
        _finish(item, names[item], shown, {}, case.settings.metrics, folder, device)
    return f"{case.subject} {case.prompt}"


def _make_trained(scene: TrainedScene, names: Mapping[Item, str], folder: Path, device: str) -> str:
    """Train the avatars of one head with one prompt."""
    use_threads(1)
    left = _left(trained_items(scene), names, folder)
    baseline = None
    for item in left:
        if baseline is None:
            baseline = train_baseline(scene.views, scene.settings.baseline, scene.head, device)
        shown, truth = _trained(scene, baseline, item, device)
        _finish(item, names[item], shown, truth, scene.settings.metrics, folder, device)
    return f"avatars of {scene.name}"


def _trained(
    scene: TrainedScene, baseline: Baseline, item: Item, device: str
) -> tuple[Shown, dict[str, float]]:
    """The renders of one avatar, and its distance to the true edit."""
    rung, trap = Rung(item.ladder, item.level, item.seed, item.trap), TRAPS.get(item.trap, Trap())
    views = scene.views if trap.strength == 1 else scene.photographed(trap.strength)
    splats = train_avatar(
        *(baseline, views, partial(scene.edits, rung, views), scene.sections(trap)),
        *(scene.neighbors, rung.seed, device),
    )
    cameras = scene.settings.rig.cameras(trap.frames)
    images, unedited, depths = rendered(splats, cameras), baseline.renders, baseline.depths
    truth = distance_to_truth(images, views.edited) if trap.frames == 1 else {}
    if trap.frames != 1:
        unedited, depths = rendered_anew(baseline, cameras)
    kept = range(0, len(cameras), trap.every_view)
    pairs = [
        (cameras.names[target], cameras.names[source])
        for target, source in np.argwhere(scene.adjacency)
        if target in kept and source in kept
    ]
    shown = Shown(
        cameras.select([cameras.names[view] for view in kept]),
        [images[view] for view in kept],
        [unedited[view] for view in kept],
        [depths[view] for view in kept],
        pairs,
    )
    return shown, truth


def _left(items: Iterator[Item], names: Mapping[Item, str], folder: Path) -> list[Item]:
    """The items that are not made yet. The scores of an item are written last."""
    return [
        item for item in items if not (folder / HIDDEN / "scores" / f"{names[item]}.json").exists()
    ]


def _finish(
    item: Item,
    name: str,
    shown: Shown,
    truth: Mapping[str, float],
    metrics: Mapping[str, Any],
    folder: Path,
    device: str,
) -> None:
    """Write an item, and score what its files show."""
    write_item(folder / KIT, name, shown)
    written = read_item(folder / KIT, name)
    scores: dict[str, Any] = dict(our_scores(written, metrics, device))
    if item.ladder == TRUE_EDITS and item.trap == NO_TRAP:
        scores |= _seconds(written, metrics, device)
    write_json(folder / HIDDEN / "scores" / f"{name}.json", {**scores, **truth})


def _levels(
    items: Mapping[str, Item], settings: KitSettings, found: Mapping[str, Any]
) -> pd.DataFrame:
    """What each item is, with its distance to the true edit where it was trained."""
    rows = []
    for (name, item), amount in zip(
        items.items(), amounts(settings, list(items.values())), strict=True
    ):
        truth = {key: value for key, value in found[name].items() if key.startswith("truth_")}
        rows.append({"item": name} | vars(item) | {"amount": amount} | truth)
    return pd.DataFrame(rows)


def _ours(found: Mapping[str, Any]) -> pd.DataFrame:
    columns = [*OURS, *(f"{name}_seconds" for name in OURS)]
    return pd.DataFrame(
        [{"item": name} | {key: row.get(key) for key in columns} for name, row in found.items()]
    )


def _keep_only(folder: Path, key: str) -> None:
    """Remove the items of other settings or another version of the library."""
    note = folder / HIDDEN / "key.json"
    if note.exists() and read_json(note) != key:
        for part in (folder / KIT / "items", folder / KIT / "geometry", folder / HIDDEN / "scores"):
            shutil.rmtree(part, ignore_errors=True)
    write_json(note, key)


def _run(jobs: Sequence[Any], processes: int) -> None:
    if processes == 1:
        for job in jobs:
            logger.info("%s: done", job())
        return
    # A forked process would inherit locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for done in as_completed([pool.submit(job) for job in jobs]):
            logger.info("%s: done", done.result())
