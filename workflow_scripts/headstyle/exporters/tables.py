"""Tables as CSV and as Parquet."""

from pathlib import Path

from headstyle.base.errors import USERS_FILE, InputError
from headstyle.base.files import whole_file
from headstyle.base.tables.frames import read_table, write_table


def export_table(source: Path, out: Path) -> None:
    """Write one table as `.parquet` or `.csv`, whichever `out` ends in.

    Raises:
        InputError: the table cannot be read, or the package for Parquet is missing.
    """
    table = read_table(source, USERS_FILE)
    if out.suffix != ".parquet":
        write_table(out, table)
        return
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise InputError(
            "Parquet needs the package pyarrow; run `pip install 'headstyle[arrow]'`, or export csv"
        ) from None
    with whole_file(out) as partial:
        table.to_parquet(partial, engine="pyarrow", index=False)


def export_tables(folder: Path, out: Path, suffix: str) -> None:
    """Write every table in a folder, or below it in `tables` or `consistency`, as one format.

    Args:
        folder: A folder with tables (`.csv`, `.tsv`).
        out: Folder to write into.
        suffix: `.csv` or `.parquet`.

    Raises:
        InputError: there are no tables.
    """
    places = [folder, folder / "tables", folder / "consistency"]
    sources = sorted(
        path for place in places for end in ("csv", "tsv") for path in place.glob(f"*.{end}")
    )
    if not sources:
        raise InputError(
            f"{folder} has no tables (.csv, .tsv); name results/tables or a scene's folder"
        )
    for source in sources:
        export_table(source, out / f"{source.stem}{suffix}")
