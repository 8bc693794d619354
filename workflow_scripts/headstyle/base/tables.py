"""Reading small tables without pandas, whose import takes longer than the reading."""

import csv
from pathlib import Path

from headstyle.base.errors import InputError


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV file as text.

    Raises:
        InputError: the file is missing or is not a table in UTF-8.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            return list(csv.DictReader(file, delimiter=delimiter))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it and run again") from None
