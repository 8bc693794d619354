"""Self-contained HTML pages: tables that sort and filter, and the common frame of all pages.

Everything that comes from data passes through `html.escape`.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from headstyle.base.files import whole_file
from headstyle.report.labels import column_label

ASSETS = Path(__file__).parent / "assets"
MAX_PAGE_BYTES = 1_400_000
"""Largest page that opens in a report. As a base64 data address it must stay below 2 MiB."""
NAMES = (
    *("subject", "prompt", "strength", "view", "metric", "scene", "key", "value", "study"),
    *("in_first", "in_second", "difference", "interval"),
)
"""Columns of names, and of numbers in units of their own. They stay text, whatever they hold."""
_FILTER_FROM_ROWS = 15


def page(
    title: str,
    body: str,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    *,
    strict: bool = False,
) -> str:
    """An HTML document.

    Args:
        title: Plain text.
        body: HTML, already escaped.
        scripts, styles: Names of files in `assets/` to include in the page. `page.css` is always
            included.
        strict: Whether the browser is told to run no other script than these, and to load nothing
            but the pictures inside the page.
    """
    css = "\n".join(asset(name) for name in ("page.css", *styles))
    codes = [f"\n{asset(name)}" for name in scripts]
    code = "".join(f"<script>{text}</script>\n" for text in codes)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{_policy(codes) if strict else ''}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n{code}</body>\n</html>\n"
    )


def _policy(codes: Sequence[str]) -> str:
    """A content security policy that allows the given scripts, styles and embedded pictures."""
    digests = [base64.b64encode(sha256(code.encode()).digest()).decode() for code in codes]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    rules = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
    return f'<meta http-equiv="Content-Security-Policy" content="{rules}">\n'


def write_page(path: str | Path, text: str) -> None:
    """Write a page in one atomic step."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def table_page(title: str, intro: str, rows: Sequence[Mapping[str, Any]], empty: str = "") -> str:
    """A page with one table under a heading and an introduction.

    If the table is too large for a page, the page shows only the first rows and says so.

    Args:
        title, intro: Plain text.
        rows: The table's rows, all with the same keys; values are text or numbers.
        empty: Sentence that explains why there are no rows. It replaces an empty table.
    """
    fitting = _rows_that_fit(rows)
    if fitting < len(rows):
        intro += f" Here are the first {fitting:,} of {len(rows):,} rows; the CSV file has all."
        rows = rows[:fitting]
    head = f"<h1>{escape(title)}</h1>\n" + f'<p class="lead">{escape(intro)}</p>\n'
    if not rows:
        reason = empty or "This table has no rows."
        return page(title, f'{head}<p class="empty">{escape(reason)}</p>')
    field = ""
    if len(rows) >= _FILTER_FROM_ROWS:
        field = (
            '<input class="filter" type="search" data-table="rows" '
            f'placeholder="Filter {len(rows)} rows" aria-label="Filter rows">\n'
        )
    body = f"{head}{field}{table(rows, 'rows')}\n{meanings(list(rows[0]))}"
    return page(title, body, ["tables.js"])


def table(rows: Sequence[Mapping[str, Any]], identifier: str = "") -> str:
    """An HTML table of the rows. Columns of numbers align right with equal decimals."""
    columns = list(rows[0])
    numbers = {column: [_number(row[column]) for row in rows] for column in columns}
    numeric = {
        column: column not in NAMES
        and any(value is not None for value in values)
        and all(
            value is not None or _missing(row[column])
            for value, row in zip(values, rows, strict=True)
        )
        for column, values in numbers.items()
    }
    decimals = {c: _decimals(c, numbers[c]) for c in columns if numeric[c]}
    head = "".join(_head(column, numeric[column]) for column in columns)
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(
            _number_cell(numbers[c][i], decimals[c]) if numeric[c] else _text_cell(row[c])
            for c in columns
        )
        lines.append(f"<tr>{cells}</tr>")
    name = f' id="{escape(identifier)}"' if identifier else ""
    return (
        f'<div class="table"><table class="sortable"{name}>\n<thead><tr>{head}</tr></thead>\n'
        "<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table></div>"
    )


def meanings(columns: Sequence[str]) -> str:
    """A list that explains those columns that have a meaning."""
    labels = [column_label(column) for column in columns]
    items = "".join(
        f"<dt>{escape(label.name)}</dt><dd>{escape(label.meaning)}</dd>"
        for label in labels
        if label.meaning
    )
    return f'<dl class="meanings">{items}</dl>' if items else ""


def settings_rows(config: Mapping[str, Any], study: Mapping[str, Any]) -> list[dict[str, str]]:
    """All settings of a run as rows in the study's order, with the study's value if it differs.

    Args:
        config: The run's settings.
        study: The settings of the study as published.
    """
    published = {row["key"]: row["value"] for row in flat_settings(study)}
    order = {key: i for i, key in enumerate(published)}
    sections = {key: i for i, key in enumerate(study)}
    rows = flat_settings(config)
    last = len(order)
    # Settings that the study lacks, such as control operations, come last in their section.
    rows.sort(
        key=lambda row: (sections.get(row["key"].split(".")[0], last), order.get(row["key"], last))
    )
    for row in rows:
        there = published.get(row["key"], "(not set)")
        row["study"] = "" if there == row["value"] else there
    return rows


def flat_settings(config: Mapping[str, Any], prefix: str = "") -> list[dict[str, str]]:
    """Nested settings as rows of dotted key and value."""
    rows = []
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            rows += flat_settings(value, f"{name}.")
        else:
            rows.append({"key": name, "value": _setting(value)})
    return rows


def data_uri(picture: Image.Image, quality: int = 80, kind: str = "WEBP") -> str:
    """A picture as a data address, so that a page needs no other file."""
    buffer = io.BytesIO()
    # WebP's slowest method takes a few milliseconds more and saves a twentieth of the size.
    picture.save(buffer, kind, quality=quality, method=6)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def asset(name: str) -> str:
    """The text of a file in `assets/`."""
    return (ASSETS / name).read_text(encoding="utf-8")


def show_number(value: float | None, digits: int = 3) -> str:
    """A number with the given significant digits; a dash if there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits - 1 - math.floor(math.log10(abs(value)))}f}"


def _head(column: str, numeric: bool) -> str:
    label = column_label(column)
    unit = f'<span class="unit">{escape(label.unit)}</span>' if label.unit else ""
    kind = ' class="number"' if numeric else ""
    hint = f' title="{escape(label.meaning)}"' if label.meaning else ""
    return f'<th scope="col"{kind}{hint}><button>{escape(label.name)}{unit}</button></th>'


def _rows_that_fit(rows: Sequence[Mapping[str, Any]]) -> int:
    """Number of rows that fit into a page of `MAX_PAGE_BYTES`."""
    if len(rows) < 1000:
        return len(rows)
    sample = rows[:: len(rows) // 200]
    bytes_per_row = len(table(sample).encode()) / len(sample)
    return min(len(rows), int((MAX_PAGE_BYTES - 20_000) / bytes_per_row))


def _number_cell(value: float | None, decimals: int) -> str:
    if value is None:
        return '<td class="n missing">–</td>'
    shown = f"{value:,.{decimals}f}"
    if value != 0 and float(f"{value:.{decimals}f}") == 0:
        shown = f"{value:.0e}"
    shown = shown.replace("-", "−")
    return f'<td class="n">{shown}</td>'


def _text_cell(value: Any) -> str:
    if _missing(value):
        return '<td class="missing">–</td>'
    text = str(value)
    kind = ' class="text"' if len(text) > 24 or "\n" in text else ""
    return f"<td{kind}>{escape(text)}</td>"


def _number(value: Any) -> float | None:
    """The value as a finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _missing(value: Any) -> bool:
    return value is None or str(value).strip().lower() in ("", "nan")


def _decimals(column: str, numbers: Sequence[float | None]) -> int:
    """Number of decimals of a column: 0 if all values are whole, else three digits of the median.

    The smallest value keeps two digits; values below a twentieth of the median do not count.
    Probabilities have four decimals.
    """
    if column.endswith("_p"):
        return 4
    values = sorted(abs(value) for value in numbers if value)
    if all(value.is_integer() for value in values):
        return 0
    typical = values[(len(values) - 1) // 2]
    smallest = next(value for value in values if value >= typical / 20)
    digits = max(2 - math.floor(math.log10(typical)), 1 - math.floor(math.log10(smallest)))
    return min(6, max(0, digits))


def _setting(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_setting(item) for item in value) or "(empty)"
    return "(empty)" if isinstance(value, Mapping) else str(value)
