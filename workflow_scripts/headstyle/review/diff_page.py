"""The page that shows how two runs differ, and the lines about it for the terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError
from headstyle.report.labels import METRICS, metric_label
from headstyle.report.pages import data_uri, page, show_number, table, write_page
from headstyle.report.pictures import cutout
from headstyle.review.changes import Change, Changes, changes_between, scored_scenes
from headstyle.review.records import Records, differing, records_of
from headstyle.review.shown import Changed, amount_of, difference, heat_map, most_changed

_PICTURES = 12
_LONG_SIDE_PX = 300
_MOST_LISTED = 40
_VERDICTS = {
    "same": "same",
    "better": "better",
    "worse": "worse",
    "changed": "changed",
    "unclear": "no clear change",
}
_HOW = (
    "A difference is second minus first, of the same pair of views in both runs. The interval is a "
    "95 % bootstrap interval of the mean: over the target views of a scene, and over the avatars "
    "in the first table. Better and worse are said only where it excludes zero."
)


@dataclass(frozen=True)
class Difference:
    """How two runs differ."""

    first: Path
    second: Path
    records: tuple[Records, Records]
    changes: Changes
    pictures: list[Changed]
    """The renders that changed most."""
    compared: int
    """Number of renders that both runs have."""
    differing: int
    """Number of them that differ."""
    notes: list[str]
    """What could not be read."""

    def facts(self) -> list[dict[str, str]]:
        """Settings, versions, models and instructions that differ, as rows of a table."""
        first, second = self.records
        return [
            {"kind": kind, "key": key, "in_first": a or "–", "in_second": b or "–"}
            for kind, ours, theirs in (
                ("setting", first.settings, second.settings),
                ("version", first.versions, second.versions),
                ("model", first.models, second.models),
                ("instruction", first.instructions, second.instructions),
            )
            # Avatars of one run only are told as scenes.
            for key, a, b in differing(ours, theirs)
            if kind != "instruction" or (a and b)
        ]


def difference_of(first: str | Path, second: str | Path) -> Difference:
    """Compare two runs.

    Raises:
        InputError: one of the paths is no folder of results with scores.
    """
    first, second = Path(first), Path(second)
    for folder in (first, second):
        if not folder.is_dir() or not scored_scenes(folder):
            raise InputError(
                f"{folder} holds no scores of pairs; name the results_dir of a run whose"
                " measure_consistency is done"
            )
    notes: list[str] = []
    pictures, compared, count = most_changed(first, second, _PICTURES, notes)
    changes = changes_between(first, second)
    records = records_of(first), records_of(second)
    notes += [*changes.notes, *records[0].notes, *records[1].notes]
    return Difference(first, second, records, changes, pictures, compared, count, notes)


def difference_text(found: Difference) -> str:
    """A few lines for the terminal."""
    facts, changes = found.facts(), found.changes
    kinds = [f"{sum(f['kind'] == k for f in facts)} {k}s" for k in ("setting", "version", "model")]
    lines = [
        f"first:  {found.first}",
        f"second: {found.second}",
        f"  differ in {', '.join(kinds)}; {found.differing} of {found.compared} renders differ",
    ]
    lines += [
        f"  {f['kind']} {f['key']}: {_short(f['in_first'])} -> {_short(f['in_second'])}"
        for f in facts[:8]
    ]
    if len(facts) > 8:
        lines.append(f"  and {len(facts) - 8} more")
    widest = max((len(change.metric) for change in changes.overall), default=0)
    for change in changes.overall:
        words = _VERDICTS[change.verdict]
        if not change.is_same:
            words += f", {_signed(change.difference)}{_between(change)}"
        lines.append(f"  {change.metric:<{widest}}  {words} over {change.count} avatars")
    for name, only in (("first", changes.only_first), ("second", changes.only_second)):
        if only:
            more = f" and {len(only) - 4} more" if len(only) > 4 else ""
            lines.append(f"  only in the {name}: {', '.join(only[:4])}{more}")
    return "\n".join([*lines, *(f"  not compared: {note}" for note in found.notes)])


def difference_page(found: Difference) -> str:
    """The page, with its pictures inside."""
    changes = found.changes
    body = [
        "<h1>How two runs differ</h1>",
        f'<p class="lead">First: <b>{escape(str(found.first))}</b>. '
        f"Second: <b>{escape(str(found.second))}</b>.</p>",
        _numbers(found),
        *_facts(found),
        *_only("first", changes.only_first),
        *_only("second", changes.only_second),
        "<h2>Scores over all avatars</h2>",
        f"<p>{_HOW}</p>",
        *_overall(changes.overall),
        "<h2>Pictures that changed most</h2>",
        *_pictures(found),
        "<h2>Scores of each scene</h2>",
        *_scenes(changes.scenes),
        *_notes(found.notes),
    ]
    return page("How two runs differ", "\n".join(body), ["tables.js"], ["diff.css"], strict=True)


def write_difference(path: Path, found: Difference) -> None:
    """Write the page, whole or not at all."""
    write_page(path, difference_page(found))


def _numbers(found: Difference) -> str:
    facts = found.facts()
    scenes = {change.scene for change in found.changes.scenes}
    moved = {change.scene for change in found.changes.scenes if not change.is_same}
    numbers = [
        (str(len(facts)), "settings, versions, models and instructions differ"),
        (f"{len(moved)} of {len(scenes)}", "shared scenes have other scores"),
        (f"{found.differing} of {found.compared}", "shared renders differ"),
    ]
    items = "".join(f"<li><b>{n}</b><span>{escape(words)}</span></li>" for n, words in numbers)
    return f'<ul class="numbers">{items}</ul>'


def _facts(found: Difference) -> list[str]:
    first, second = found.records
    facts = found.facts()
    lines = ["<h2>Settings, versions and models</h2>"]
    if not (first.has_plan and second.has_plan):
        lines.append(
            '<p class="callout">A run of an older version wrote down only what shapes its avatars.'
            " So of that run the other settings cannot be compared.</p>"
        )
    if not facts:
        return [*lines, '<p class="empty">What both runs wrote down is the same.</p>']
    return [*lines, table(facts)]


def _only(name: str, only: Sequence[str]) -> list[str]:
    if not only:
        return []
    items = "".join(f"<li>{escape(words)}</li>" for words in only[:_MOST_LISTED])
    more = len(only) - _MOST_LISTED
    rest = f"<li>and {more} more</li>" if more > 0 else ""
    return [f"<h2>Only in the {name} run</h2>", f"<ul>{items}{rest}</ul>"]


def _overall(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return ['<p class="empty">The runs share no avatar.</p>']
    rows = [
        {"metric": metric_label(change.metric).name, "avatars": change.count} | _columns(change)
        for change in changes
    ]
    return [_forest(changes), table(rows)]


def _scenes(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return ['<p class="empty">The runs share no scene.</p>']
    moved = {change.scene for change in changes if not change.is_same}
    same = len({change.scene for change in changes} - moved)
    told = f"<p>{same} of the shared scenes have the same scores, pair by pair.</p>" if same else ""
    if not moved:
        return [told]
    rows = [
        {
            "scene": change.scene,
            "metric": metric_label(change.metric).name,
            "view_pairs": change.count,
        }
        | _columns(change)
        for change in changes
        if change.scene in moved
    ]
    field = (
        f'<input class="filter" type="search" data-table="scenes" '
        f'placeholder="Filter {len(rows)} rows" aria-label="Filter rows">'
    )
    return [told, field, table(rows, "scenes")]


def _columns(change: Change) -> dict[str, Any]:
    # Metrics have different units, so each number gets digits of its own.
    return {
        "verdict": _VERDICTS[change.verdict],
        "in_first": show_number(change.first, 4),
        "in_second": show_number(change.second, 4),
        "difference": "0" if change.is_same else _signed(change.difference),
        "interval": "–" if change.is_same else _between(change).strip(" ()") or "–",
    }


def _forest(changes: Sequence[Change]) -> str:
    """A drawing of the differences relative to the first run's mean, with their intervals."""
    spans = [
        (change, [value / abs(change.first) for value in _span(change)])
        for change in changes
        if change.first and all(map(math.isfinite, (change.first, change.difference)))
    ]
    if not spans:
        return ""
    widest = max(abs(value) for _, span in spans for value in span) or 1.0
    width, row, left, half = 760, 26, 230, 240
    middle = left + half
    parts = []
    for number, (change, span) in enumerate(spans):
        y = row * number + 30
        a, m, b = (round(middle + half * value / widest, 1) for value in span)
        kind = change.verdict
        label = metric_label(change.metric)
        hint = "higher is better" if label.higher_is_better else "lower is better"
        known = f", {hint}" if change.metric in METRICS else ""
        parts.append(
            f'<g class="{kind}"><title>{escape(label.name)}: {100 * span[1]:+.1f} %{known}</title>'
            f'<text x="{left - 20}" y="{y + 4}" text-anchor="end">{escape(label.name)}</text>'
            f'<line x1="{a}" y1="{y}" x2="{b}" y2="{y}"/><circle cx="{m}" cy="{y}" r="5"/>'
            f'<text class="note" x="{width - 10}" y="{y + 4}" text-anchor="end">'
            f"{escape(_VERDICTS[kind])}</text></g>"
        )
    height = row * len(spans) + 50
    axis = (
        f'<line class="zero" x1="{middle}" y1="12" x2="{middle}" y2="{height - 34}"/>'
        f'<text class="note" x="{middle}" y="{height - 14}" text-anchor="middle">'
        f"no change; the edges are ±{100 * widest:.3g} % of the first run's mean</text>"
    )
    return (
        f'<div class="wide"><svg class="forest" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Change of each metric with its interval">{axis}{"".join(parts)}</svg></div>'
    )


def _span(change: Change) -> tuple[float, float, float]:
    if math.isfinite(change.low) and math.isfinite(change.high):
        return change.low, change.difference, change.high
    return change.difference, change.difference, change.difference


def _pictures(found: Difference) -> list[str]:
    if not found.pictures:
        return ['<p class="empty">No render that both runs have differs.</p>']
    maps = [difference(c.first, c.second, _LONG_SIDE_PX) for c in found.pictures]
    highest = max(float(amount_of(values).max()) for values in maps) or 1.0
    lines = [
        f"<p>Renders on gray, at most two of a scene. In the map, dark is no difference and yellow "
        f"the largest one on this page, {highest:.2f} of the range of colors.</p>"
    ]
    lines.append('<div class="changes">')
    for changed, values in zip(found.pictures, maps, strict=True):
        name = f"{changed.scene}, view {changed.view}"
        shown = [
            ("first", cutout(changed.first, _LONG_SIDE_PX)),
            ("second", cutout(changed.second, _LONG_SIDE_PX)),
            ("difference", heat_map(values, highest)),
        ]
        panes = "".join(
            f'<div><img src="{data_uri(picture)}" width="{picture.width}" height="{picture.height}"'
            f' alt="{escape(name)}: {what}"><span>{what}</span></div>'
            for what, picture in shown
        )
        lines.append(
            f'<figure class="changed"><div class="panes">{panes}</div><figcaption>{escape(name)}. '
            f"RMSE {show_number(changed.rmse)}</figcaption></figure>"
        )
    return [*lines, "</div>"]


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return [f'<h2>Not compared</h2>\n<ul class="note">{items}</ul>']


def _between(change: Change) -> str:
    if not (math.isfinite(change.low) and math.isfinite(change.high)):
        return ""
    return f" ({_signed(change.low)} to {_signed(change.high)})"


def _signed(value: float) -> str:
    sign = "−" if value < 0 else "+" if value > 0 else ""
    return f"{sign}{show_number(abs(value))}"


def _short(text: str) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
