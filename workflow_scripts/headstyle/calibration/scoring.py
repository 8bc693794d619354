"""Scores of one case on all its ladders and traps, in files that a later run reuses."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstyle.base.devices import use_threads
from headstyle.base.errors import result_of
from headstyle.base.tables.frames import read_table, write_table
from headstyle.calibration.cases import Case, Settings
from headstyle.calibration.scenes import EditedViews
from headstyle.calibration.traps import TRAPS, compared_pairs
from headstyle.consistency.scoring import score, view_means
from headstyle.workflow.manifests import checked, forget, write_manifests

CONSISTENT = "consistent"
"""Name in the column ladder for consistent views, which are on no ladder."""
NO_TRAP = "none"
_SCORES = result_of("calibrate_metrics")


def mean_scores(
    views: EditedViews, settings: Settings, neighbors: int | None = None
) -> dict[str, float]:
    """Each metric's mean over the views, computed as for an avatar of the study."""
    names = settings.metrics["names"]
    pairs = score(
        views.edited,
        views.depths,
        views.cameras,
        compared_pairs(views.cameras, neighbors or settings.neighbors),
        unedited=views.unedited,
        settings=settings.metrics,
    )
    means = view_means(pairs, names, views.cameras.names, settings.metrics["min_overlap"])
    return {name: float(means[name].mean()) for name in names}


def score_case(case: Case, folder: Path) -> None:
    """Score a case and write the files that are missing.

    Args:
        case: The case.
        folder: Folder of the results, which are in `{subject}_{prompt}/`. There are
            `{ladder}_{seed}.csv` (level and metrics), `consistent.csv` (level 0), `traps.csv`
            (trap, ladder and metrics) and `seconds.csv` (metric, seconds).
    """
    use_threads(1)
    own = case_folder(case, folder)
    if not (own / "consistent.csv").exists():
        _write(own / "consistent.csv", [{"level": 0} | mean_scores(case.views, case.settings)])
    for ladder in case.ladders():
        for seed in case.settings.seeds:
            path = own / f"{ladder}_{seed}.csv"
            if not path.exists():
                _write(path, _climb(case, ladder, seed))
    if not (own / "traps.csv").exists():
        _write(own / "traps.csv", _set_traps(case))
    if not (own / "seconds.csv").exists():
        _write(own / "seconds.csv", _seconds(case))


def case_folder(case: Case, folder: Path) -> Path:
    """Folder of the scores of a case."""
    return folder / f"{case.subject}_{case.prompt}"


def read_ladders(cases: Sequence[Case], folder: Path) -> pd.DataFrame:
    """Scores on all ladders: subject, prompt, ladder, seed, level, metrics."""
    tables = []
    for case in cases:
        own = case_folder(case, folder)
        floor = _read(own / "consistent.csv")
        for ladder in case.ladders():
            for seed in case.settings.seeds:
                climb = _read(own / f"{ladder}_{seed}.csv")
                tables.append(_labeled(pd.concat([floor, climb]), case, ladder=ladder, seed=seed))
    return pd.concat(tables, ignore_index=True)


def read_traps(cases: Sequence[Case], folder: Path) -> pd.DataFrame:
    """Scores with and without traps: subject, prompt, trap, ladder, metrics."""
    tables = [_labeled(_read(case_folder(case, folder) / "traps.csv"), case) for case in cases]
    return pd.concat(tables, ignore_index=True)


def read_seconds(cases: Sequence[Case], folder: Path) -> pd.Series:
    """Seconds that each metric takes for one scene: the median over the cases."""
    tables = [_read(case_folder(case, folder) / "seconds.csv") for case in cases]
    return pd.concat(tables).groupby("metric")["seconds"].median()


def _climb(case: Case, ladder: str, seed: int) -> list[dict[str, Any]]:
    return [
        {"level": level} | mean_scores(case.rung(ladder, level, seed, case.views), case.settings)
        for level in range(1, case.settings.levels + 1)
    ]


def _set_traps(case: Case) -> list[dict[str, Any]]:
    settings = case.settings
    middle, seed = settings.levels / 2, settings.seeds[0]
    rows = [{"trap": NO_TRAP, "ladder": CONSISTENT} | mean_scores(case.views, settings)]
    for ladder in settings.trap_ladders:
        views = case.rung(ladder, middle, seed, case.views)
        rows.append({"trap": NO_TRAP, "ladder": ladder} | mean_scores(views, settings))
    for trap, rung in case.trap_rungs():
        found = mean_scores(case.trapped(trap, rung), settings, TRAPS[trap].neighbors)
        rows.append({"trap": trap, "ladder": rung or CONSISTENT} | found)
    return rows


def _seconds(case: Case) -> list[dict[str, Any]]:
    rows = []
    for name in case.settings.metrics["names"]:
        alone = case.settings.only(name)
        started = time.perf_counter()
        mean_scores(case.views, alone)
        rows.append({"metric": name, "seconds": round(time.perf_counter() - started, 3)})
    return rows


def _labeled(table: pd.DataFrame, case: Case, **labels: Any) -> pd.DataFrame:
    labels = {"subject": case.subject, "prompt": case.prompt} | labels
    return table.assign(**labels)[[*labels, *table.columns]]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    forget([path])
    table = pd.DataFrame(rows)
    floats = table.select_dtypes(np.floating).columns
    write_table(path, table.assign(**{name: table[name].round(8) for name in floats}))
    write_manifests("calibrate_metrics", [path], {})


def _read(path: Path) -> pd.DataFrame:
    """Scores of an earlier or this run, after their checksum was checked."""
    checked([path])
    return read_table(path, _SCORES)
