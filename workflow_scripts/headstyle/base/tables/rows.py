"""Tables as rows of text, without pandas, whose import takes longer than reading a small table."""

import csv
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

from headstyle.base.errors import InputError, Origin
from headstyle.base.files import whole_file


def read_cells(path: str | Path, origin: Origin, delimiter: str | None = None) -> list[list[str]]:
    """Read all lines of a table that are not empty, as text; the first is usually the header.

    A cell may be quoted; then it may hold the delimiter, newlines and doubled quotes.

    Args:
        path: The file.
        origin: Whose file it is.
        delimiter: What separates the cells; None goes by the ending of the file's name.

    Raises:
        InputError: the file is missing or is not text in UTF-8.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, delimiter=delimiter or delimiter_of(path))
            return [line for line in lines if line]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {origin.if_missing}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({error}); {origin.if_wrong}") from None


def read_rows(
    path: str | Path,
    origin: Origin,
    columns: Sequence[str] = (),
    delimiter: str | None = None,
) -> list[dict[str, str]]:
    """Read a table with a header as one dictionary per row; cells are text, empty where missing.

    Args:
        path: The file.
        origin: Whose file it is.
        columns: Columns that the table must have.
        delimiter: As in `read_cells`.

    Raises:
        InputError: as `read_cells`; or a column is missing or stands twice, a cell stands beyond
            the last column, or the columns are separated by something else.
    """
    header, *lines = read_cells(path, origin, delimiter) or [[]]
    if len(header) == 1 and any(other in header[0] for other in "\t,; "):
        wanted = "tabs" if (delimiter or delimiter_of(Path(path))) == "\t" else "commas"
        raise InputError(f"{path} has one column, {header[0]!r}; separate its columns by {wanted}")
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise InputError(f"{path} has the column {twice[0]} twice; {origin.if_wrong}")
    if missing := [name for name in columns if name not in header]:
        raise InputError(f"{path} lacks the column {missing[0]}; {origin.if_wrong}")
    rows = []
    for number, line in enumerate(lines, start=2):
        if any(line[len(header) :]):
            raise InputError(
                f"{path}, row {number}: a cell stands beyond the last column; {origin.if_wrong}"
            )
        rows.append(dict(zip_longest(header, line[: len(header)], fillvalue="")))
    return rows


def write_cells(path: str | Path, lines: Iterable[Sequence[object]]) -> None:
    """Write lines of cells, the header first, whole or not at all."""
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter_of(partial), lineterminator="\n").writerows(lines)


def delimiter_of(path: Path) -> str:
    """What separates the cells of a file with this name."""
    return "\t" if path.suffix == ".tsv" else ","
