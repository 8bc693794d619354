"""The trained family as a whole: from settings to tables."""

import logging
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from headstyle.base.errors import InputError
from headstyle.calibration.tables import (
    calibration_table,
    ladder_steps,
    oriented,
    spearman,
    trap_table,
)
from headstyle.calibration.trained.cases import (
    NO_TRAP,
    TRUE_EDITS,
    TrainedScene,
    TrainedSettings,
    unknown_names,
)
from headstyle.calibration.trained.making import make_scene, read_rows
from headstyle.consistency.metrics import metric_class

logger = logging.getLogger("headstyle.calibration")

OF_EDITS = "edits_"
"""Prefix of a metric that was taken of an avatar's last edits in place of its renders."""
HALVES = ("fit", "held_out")
TRUTHS: Mapping[str, int] = MappingProxyType(
    {"truth_psnr": -1, "truth_ssim": -1, "truth_lpips_mini": 1, "truth_flip": 1}
)
"""Distances to the true edit, with 1 where higher is farther."""


@dataclass(frozen=True)
class TrainedTables:
    """What the trained avatars say of every metric."""

    metrics: pd.DataFrame
    """Per half, metric and ladder: the columns of `calibration_table`, and under the ladder `all`
    the rank correlations `with_{truth}` over all avatars of the half."""
    traps: pd.DataFrame
    """Per half, trap and metric: the columns of `trap_table`."""
    scores: pd.DataFrame
    """One row per avatar."""


def calibrate_trained(
    settings: TrainedSettings, folder: Path, device: str, processes: int
) -> TrainedTables:
    """Train and score all avatars that the folder lacks, and judge the metrics.

    Args:
        settings: Settings of the family.
        folder: Folder of the avatars' scores.
        device: Device to train on.
        processes: Number of scenes at the same time.

    Raises:
        InputError: a ladder or trap does not exist.
    """
    if unknown := unknown_names(settings):
        raise InputError(
            f"calibration.trained names {unknown[0]!r}, which is no ladder or trap; remove it"
        )
    _make_all(settings.scenes(), folder, device, processes)
    return trained_tables(pd.DataFrame(read_rows(folder)), settings)


def trained_tables(rows: pd.DataFrame, settings: TrainedSettings) -> TrainedTables:
    """The tables of scored avatars."""
    own = settings.metrics["names"]
    metrics = [*own, *(OF_EDITS + name for name in own)]
    directions = {name: metric_class(name.removeprefix(OF_EDITS)).direction for name in metrics}
    facing = oriented(rows, directions)
    judged, trapped = [], []
    for half in HALVES:
        part = facing[facing["subject"].map(settings.half_of) == half]
        if part.empty:
            continue
        plain = part[part["trap"] == NO_TRAP]
        ladders = on_ladders(plain)
        table = calibration_table(ladders, metrics, settings.largest)
        judged.append(_with_truths(table, plain).assign(half=half))
        steps = ladder_steps(ladders, metrics)
        if (part["trap"] != NO_TRAP).any():
            trapped.append(trap_table(beside_traps(part, settings), steps, own).assign(half=half))
    traps = pd.concat(trapped, ignore_index=True) if trapped else pd.DataFrame()
    return TrainedTables(pd.concat(judged, ignore_index=True), traps, rows)


def on_ladders(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of all ladders, each with the avatar of its scene's true edits as level 0."""
    true = rows[rows["ladder"] == TRUE_EDITS]
    climbs = rows[rows["ladder"] != TRUE_EDITS]
    keys = climbs[["subject", "prompt", "seed", "ladder"]].drop_duplicates()
    floors = keys.merge(true.drop(columns="ladder"), on=["subject", "prompt", "seed"])
    return pd.concat([floors[climbs.columns], climbs], ignore_index=True)


def beside_traps(rows: pd.DataFrame, settings: TrainedSettings) -> pd.DataFrame:
    """The avatars with a trap, and those without one that they are compared with."""
    true = (rows["ladder"] == TRUE_EDITS) & (rows["level"] == 0)
    middle = rows["ladder"].isin(settings.trap_ladders) & (rows["level"] == settings.levels / 2)
    return rows[(true | middle) & (rows["seed"] == settings.seeds[0])]


def _with_truths(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The table with the rank correlation of each metric and the distance to the true edit."""
    everything = table["ladder"] == "all"
    for truth, sign in TRUTHS.items():
        found = {name: spearman(sign * rows[truth], rows[name]) for name in set(table["metric"])}
        table[f"with_{truth}"] = table["metric"].map(found).where(everything)
    return table


def _make_all(scenes: Sequence[TrainedScene], folder: Path, device: str, processes: int) -> None:
    if processes == 1:
        for scene in scenes:
            _told(scene.name, make_scene(scene, folder, device))
        return
    # A forked process would inherit locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        jobs: dict[Any, str] = {
            pool.submit(make_scene, scene, folder, device): scene.name for scene in scenes
        }
        for job in as_completed(jobs):
            _told(jobs[job], job.result())


def _told(scene: str, made: int) -> None:
    logger.info("%s: %d avatars made and scored", scene, made)
