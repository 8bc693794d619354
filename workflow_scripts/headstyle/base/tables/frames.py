"""Tables as data frames of pandas, to compute with."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from headstyle.base.errors import InputError, Origin, first_line
from headstyle.base.files import whole_file
from headstyle.base.tables.rows import delimiter_of

NAME_COLUMNS = (
    *("subject", "prompt", "strength", "view", "target", "source"),
    *("method", "other", "what", "license", "rater"),
)
"""Columns of names. They stay text, also where a name looks like a number or like nothing."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def read_table(path: str | Path, origin: Origin, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table as a data frame. The columns of names stay text; empty cells are NaN.

    Args:
        path: The file.
        origin: Whose file it is.
        columns: Columns that the table must have.

    Raises:
        InputError: the file is missing or is not a table, or a column is missing.
    """
    path = Path(path)
    try:
        table = pd.read_csv(
            path,
            sep=delimiter_of(path),
            dtype=dict.fromkeys(NAME_COLUMNS, str),
            keep_default_na=False,
            na_values=[""],
        )
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {origin.if_missing}") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a table ({first_line(error)}); {origin.if_wrong}"
        ) from None
    if missing := [name for name in columns if name not in table]:
        raise InputError(f"{path} lacks the column {missing[0]}; {origin.if_wrong}")
    return table


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a data frame as CSV or TSV without its index, whole or not at all.

    A name that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    names = [name for name in NAME_COLUMNS if name in table]
    table = table.assign(**{name: table[name].map(_defused) for name in names})
    with whole_file(path) as partial:
        table.to_csv(partial, sep=delimiter_of(Path(path)), index=False, lineterminator="\n")


def _defused(name: object) -> object:
    return f"'{name}" if isinstance(name, str) and name.startswith(_FORMULA_STARTS) else name
