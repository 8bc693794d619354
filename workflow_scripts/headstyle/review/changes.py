"""What changed in the scores from one run to another, pair of views by pair of views.

A difference is that of one pair of views in both runs, so what makes some views harder than others
cancels. The pairs of one target share its pixels. So their mean is one value, and the bootstrap of
`headstyle.consistency.statistics` draws targets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from headstyle.base.errors import InputError, result_of
from headstyle.base.tables.frames import read_table
from headstyle.consistency.statistics import bootstrap_interval
from headstyle.report.labels import METRICS

PAIR = ["target", "source"]
_NO_METRICS = ("subject", "prompt", "strength", *PAIR, "overlap", "coverage")
_PARTS = ("_excess", "_ceiling")
_RUNS = ("first", "second")
_MEASURED = result_of("measure_consistency")


@dataclass(frozen=True)
class Change:
    """The change of one metric in one scene, or over all avatars."""

    scene: str
    """The scene's folder relative to the results, such as `A/avatars/P3_low`; empty for all."""
    metric: str
    """The metric's column."""
    count: int
    """Pairs that both runs score; for all avatars the number of avatars."""
    first: float
    """Mean of these in the first run."""
    second: float
    """Mean of these in the second run."""
    difference: float
    """Mean over the targets, or avatars, of second minus first."""
    low: float
    """Lower end of its bootstrap interval; NaN for a single value."""
    high: float
    """Upper end of its bootstrap interval; NaN for a single value."""
    is_same: bool
    """Whether no pair differs at all."""

    @property
    def verdict(self) -> str:
        """`same`, `better`, `worse`, `changed` (for metrics without a direction) or `unclear`."""
        if self.is_same:
            return "same"
        # Of one value there is no interval.
        if not (self.low > 0 or self.high < 0):
            return "unclear"
        if self.metric not in METRICS:
            return "changed"
        is_better = (self.difference > 0) == METRICS[self.metric].higher_is_better
        return "better" if is_better else "worse"


@dataclass(frozen=True)
class Changes:
    """What changed in the scores from one run to another."""

    scenes: list[Change]
    """Each metric of each scene that both runs have."""
    overall: list[Change]
    """Each metric over the avatars that both runs have."""
    only_first: list[str]
    """Scenes, metrics and pairs that only the first run has, in words."""
    only_second: list[str]
    """The same of the second run."""
    notes: list[str]
    """What could not be read."""


def scored_scenes(folder: Path) -> list[str]:
    """The scenes of a run that have scores of pairs, by their folders relative to it; sorted."""
    paths = folder.rglob("consistency/pairs.csv")
    found = (path.parents[1].relative_to(folder) for path in paths)
    return sorted(p.as_posix() for p in found if not any(part.startswith(".") for part in p.parts))


def changes_between(
    first: Path, second: Path, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Changes:
    """Compare the scores of two runs.

    Args:
        first, second: The results folders.
        level: Coverage of the bootstrap intervals.
        resamples: Resamples of the bootstrap.
        seed: Seed of the bootstrap.
    """
    ours, theirs = scored_scenes(first), scored_scenes(second)
    only = [
        [f"scene {name}" for name in ours if name not in theirs],
        [f"scene {name}" for name in theirs if name not in ours],
    ]
    notes: list[str] = []
    changes: list[Change] = []
    for scene in ours:
        if scene not in theirs:
            continue
        try:
            tables = [_pairs(run / scene / "consistency" / "pairs.csv") for run in (first, second)]
        except InputError as error:
            notes.append(str(error))
            continue
        for side, names in enumerate(_only_in_one(scene, *tables)):
            only[side] += names
        changes += _scene_changes(scene, tables[0], tables[1], level, resamples, seed)
    overall = list(_overall(changes, level, resamples, seed))
    return Changes(changes, overall, only[0], only[1], notes)


def _pairs(path: Path) -> pd.DataFrame:
    table = read_table(path, _MEASURED, PAIR)
    return table.drop_duplicates(PAIR).set_index(PAIR)


def metrics_of(table: pd.DataFrame) -> list[str]:
    """The columns of metrics in a table of pairs, without those derived from them."""
    return [
        name
        for name in map(str, table.columns)
        if name not in _NO_METRICS
        and not name.endswith(_PARTS)
        and pd.api.types.is_numeric_dtype(table[name])
    ]


def _only_in_one(
    scene: str, first: pd.DataFrame, second: pd.DataFrame
) -> tuple[list[str], list[str]]:
    found: list[list[str]] = []
    for table, other in ((first, second), (second, first)):
        metrics = [name for name in metrics_of(table) if name not in metrics_of(other)]
        told = [f"{scene}: metric {name}" for name in metrics]
        pairs = len(table.index.difference(other.index))
        told += [f"{scene}: {pairs} {'pair' if pairs == 1 else 'pairs'} of views"] if pairs else []
        found.append(told)
    return found[0], found[1]


def _scene_changes(
    scene: str,
    first: pd.DataFrame,
    second: pd.DataFrame,
    level: float,
    resamples: int,
    seed: int,
) -> Iterator[Change]:
    shared = first.index.intersection(second.index, sort=False)
    known = metrics_of(second)
    for metric in metrics_of(first):
        if metric not in known:
            continue
        a = first.loc[shared, metric].astype(np.float64)
        b = second.loc[shared, metric].astype(np.float64)
        both = a.notna() & b.notna()
        if not both.any():
            continue
        difference = (b - a)[both]
        # Every target counts alike, as in the tables.
        by_target = difference.groupby(level="target", sort=False).mean().to_numpy()
        low, high = _interval(by_target, level, resamples, seed)
        yield Change(
            *(scene, metric, int(both.sum()), float(a[both].mean()), float(b[both].mean())),
            *(float(by_target.mean()), low, high, bool((difference == 0).all())),
        )


def _overall(
    changes: Sequence[Change], level: float, resamples: int, seed: int
) -> Iterator[Change]:
    avatars = [change for change in changes if "/avatars/" in change.scene]
    for metric in dict.fromkeys(change.metric for change in avatars):
        group = [change for change in avatars if change.metric == metric]
        differences = np.array([change.difference for change in group])
        low, high = _interval(differences, level, resamples, seed)
        first, second = (float(np.mean([getattr(c, key) for c in group])) for key in _RUNS)
        is_same = all(change.is_same for change in group)
        mean = float(differences.mean())
        yield Change("", metric, len(group), first, second, mean, low, high, is_same)


def _interval(
    values: NDArray[np.float64], level: float, resamples: int, seed: int
) -> tuple[float, float]:
    return bootstrap_interval(values, level, resamples, seed) if len(values) > 1 else (np.nan,) * 2
