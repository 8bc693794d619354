"""Read the values that somebody's metric gave to the items of a kit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from headstyle.base.errors import InputError, Origin
from headstyle.base.tables.frames import read_table

ANSWER = Origin("correct the path", "correct the file")
_PARTS: tuple[list[str], ...] = (["target", "source"], ["view"], [])
"""What a row may belong to within an item; the first that the file has counts."""


def read_answers(path: str | Path, items: Sequence[str]) -> pd.DataFrame:
    """One row per item: item, value, and seconds where the file has them.

    Args:
        path: A CSV with the columns item and value; optionally target and source, or view; seconds.
        items: All items of the kit.

    Returns:
        The value is the mean over the item's views, and a view's the mean over its pairs; NaN where
        the file leaves it empty. The seconds are the sum over the item's rows.

    Raises:
        InputError: a column or an item is missing, an item is unknown, a row stands twice, or a
            value is no finite number; with its name.
    """
    table = read_table(path, ANSWER, ["item", "value"])
    table["item"] = table["item"].astype(str)
    if unknown := sorted(set(table["item"]) - set(items)):
        raise InputError(f"{path} names the item {unknown[0]!r}, which the kit lacks; correct it")
    if missing := [name for name in items if name not in set(table["item"])]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{path} lacks the item {missing[0]}{more}; add a row, with an empty value where your"
            " metric is not defined"
        )
    part = next(names for names in _PARTS if all(name in table for name in names))
    keys = ["item", *part]
    if table.duplicated(keys).any():
        twice = " ".join(map(str, table.loc[table.duplicated(keys), keys].iloc[0]))
        raise InputError(f"{path} has two rows of {twice}; keep one")
    columns = ["value", *(["seconds"] if "seconds" in table else [])]
    for column in columns:
        table[column] = _numbers(path, table, column, keys)
    values = table
    for by in (["item", "target"], ["item"]) if len(part) == 2 else (["item"],):
        values = values.groupby(by, sort=False)["value"].mean().reset_index()
    found = values.set_index("item").reindex(list(items))
    if "seconds" in table:
        found["seconds"] = table.groupby("item")["seconds"].sum(min_count=1)
    return found.reset_index()


def _numbers(
    path: str | Path, table: pd.DataFrame, column: str, keys: Sequence[str]
) -> "pd.Series[float]":
    numbers = pd.to_numeric(table[column], errors="coerce").astype(np.float64)
    is_wrong = (table[column].notna() & ~np.isfinite(numbers)).to_numpy()
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        whose = " ".join(map(str, table[list(keys)].iloc[row]))
        raise InputError(
            f"{path}, line {row + 2}: the {column} of {whose} is {table[column].iloc[row]}, not a"
            " finite number; correct it, or leave it empty"
        )
    return numbers
