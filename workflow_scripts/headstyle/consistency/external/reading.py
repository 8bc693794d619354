"""Read the values of a metric that was computed elsewhere, and check them against the study."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from headstyle.base.errors import InputError, given_by
from headstyle.base.study import NOT_AVATARS, SCENE_KEYS
from headstyle.base.tables.frames import read_table
from headstyle.consistency.external.settings import External

SCENE = list(SCENE_KEYS)
PAIR = ["target", "source"]
VALUE, SHUFFLED = "value", "shuffled"
"""Columns of the values, and of those that the same pair has when views are shuffled."""


def read_external(
    metric: External,
    scenes: pd.DataFrame,
    pairs: pd.DataFrame,
    views: pd.DataFrame,
    elsewhere: Collection[str] = (),
) -> tuple[pd.DataFrame, list[str]]:
    """The values of a metric, one row per pair or per view of the study.

    Args:
        metric: The metric and its file. Columns: subject, prompt, strength, value; target and
            source, or view; optionally shuffled.
        scenes: Every scene of the study: subject, prompt, strength.
        pairs: Every pair that the study compares: the same, and target and source.
        views: Every view of the study: the same, and view.
        elsewhere: Subjects that belong to other tables. Their rows are passed over.

    Returns:
        The columns that name a pair or a view, value, and shuffled where the file has it; and one
        sentence for each kind of gap, none where all is there.

    Raises:
        InputError: the file cannot be read; it names an avatar, pair or view that the study lacks,
            or one twice; a value is no finite number or out of the metric's range; or something is
            missing and the metric is not `partial`.
    """
    table = read_table(metric.path, given_by(f"the config key {metric.key}.path"), [*SCENE, VALUE])
    table = table[~table["subject"].isin(list(elsewhere))]
    unit = _unit(table, metric)
    keys, known = [*SCENE, *unit], pairs if unit == PAIR else views
    _check_known(table, scenes, SCENE, metric)
    _check_known(table, known, keys, metric)
    if table.duplicated(keys).any():
        twice = _named(table.loc[table.duplicated(keys), keys].iloc[0].tolist())
        raise InputError(f"{metric.path} has two values of {twice}; keep one")
    columns = [VALUE, *([SHUFFLED] if SHUFFLED in table else [])]
    for column in columns:
        table = table.assign(**{column: _numbers(table, column, keys, metric)})
    if metric.symmetric and unit == PAIR:
        table = _both_ways(table, known, keys)
    return table[[*keys, *columns]], _gaps(table, scenes, known, keys, metric)


def _unit(table: pd.DataFrame, metric: External) -> list[str]:
    """The columns that say what a value belongs to within a scene."""
    if all(name in table for name in PAIR):
        return PAIR
    if "view" in table:
        return ["view"]
    raise InputError(
        f"{metric.path} has neither the columns target and source nor the column view; add them"
    )


def _check_known(
    table: pd.DataFrame, known: pd.DataFrame, keys: Sequence[str], metric: External
) -> None:
    """Check that every row is of something that the study has."""
    names = set(known[list(keys)].itertuples(index=False, name=None))
    rows = table[list(keys)].itertuples(index=False, name=None)
    for number, row in zip(table.index + 2, rows, strict=True):
        if row not in names:
            what = {3: "scene", 4: "view", 5: "pair"}[len(keys)]
            raise InputError(
                f"{metric.path}, line {number}: the study has no {what} {_named(row)};"
                " correct the names or remove the row"
            )


def _numbers(
    table: pd.DataFrame, column: str, keys: Sequence[str], metric: External
) -> "pd.Series[float]":
    """A column as numbers, NaN where a cell is empty."""
    numbers = pd.to_numeric(table[column], errors="coerce").astype(np.float64)
    is_wrong = (table[column].notna() & ~np.isfinite(numbers)).to_numpy()
    allowed = "a finite number"
    if metric.range is not None:
        low, high = metric.range
        is_wrong = is_wrong | ((numbers < low) | (numbers > high)).to_numpy()
        allowed += f" from {low:g} to {high:g}"
    if is_wrong.any():
        first = int(np.flatnonzero(is_wrong)[0])
        more = f" ({is_wrong.sum() - 1} more cells are wrong)" if is_wrong.sum() > 1 else ""
        line, whose = table.index[first] + 2, _named(table[list(keys)].iloc[first].tolist())
        raise InputError(
            f"{metric.path}, line {line}: the {column} of {whose} is"
            f" {table[column].iloc[first]}, not {allowed}; correct it{more}"
        )
    return numbers


def _both_ways(table: pd.DataFrame, known: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The table with the pairs that it lacks but has the other way round."""
    turned = table.assign(target=table["source"], source=table["target"])
    both = pd.concat([table, turned], ignore_index=True).drop_duplicates(list(keys))
    return both.merge(known[list(keys)], on=list(keys))


def _gaps(
    table: pd.DataFrame,
    scenes: pd.DataFrame,
    known: pd.DataFrame,
    keys: Sequence[str],
    metric: External,
) -> list[str]:
    """What is missing: avatars, and pairs or views of scenes that the file has."""
    given = set(table[SCENE].itertuples(index=False, name=None))
    wanted = scenes[SCENE].drop_duplicates().itertuples(index=False, name=None)
    absent = [row for row in wanted if row not in given and row[1] not in NOT_AVATARS]
    valued = set(table.loc[table[VALUE].notna(), list(keys)].itertuples(index=False, name=None))
    parts = [
        row
        for row in known[list(keys)].itertuples(index=False, name=None)
        if row[:3] in given and row not in valued
    ]
    what = "pairs" if len(keys) == 5 else "views"
    sentences = [
        f"{metric.path} lacks {_listed(rows, kind)}"
        for rows, kind in ((absent, "avatars"), (parts, what))
        if rows
    ]
    if sentences and not metric.partial:
        raise InputError(f"{sentences[0]}; add the values, or set {metric.key}.partial to true")
    return sentences


def _listed(rows: Sequence[tuple[str, ...]], kind: str, most: int = 3) -> str:
    """The first names and how many more there are."""
    named = "; ".join(_named(row) for row in rows[:most])
    more = f"; and {len(rows) - most} more" if len(rows) > most else ""
    return f"{len(rows)} {kind[:-1] if len(rows) == 1 else kind} ({named}{more})"


def _named(row: Sequence[object]) -> str:
    """The name of a scene, view or pair for a message: `A P4 low, view_01 – view_02`."""
    names = [str(name) for name in row]
    scene, inside = " ".join(names[:3]), " – ".join(names[3:])
    return f"{scene}, {inside}" if inside else scene
