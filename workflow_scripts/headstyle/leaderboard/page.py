"""The leaderboard as one page that needs no other file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from headstyle.base.study import NOT_AVATARS
from headstyle.leaderboard.board import higher_is_better
from headstyle.leaderboard.methods import Method
from headstyle.leaderboard.ranking import Ranking, Resampling
from headstyle.report.labels import column_label
from headstyle.report.pages import meanings, page, show_number, table

TITLE = "Leaderboard"
_EDITS = ("edit_strength", "sharpness")
_PUBLISHED = ("lpips", "rmse", "ciede2000")


@dataclass(frozen=True)
class Board:
    """All that the page shows."""

    methods: Sequence[Method]
    rankings: Mapping[str, Ranking]
    """By metric, the most important first."""
    scenes: pd.DataFrame
    """From `board.scene_means`."""
    published: pd.DataFrame
    """The published study's score table."""
    gallery: Mapping[tuple[str, str], Mapping[str, str]]
    """From `board.gallery`."""
    resampling: Resampling


def board_page(board: Board) -> str:
    """The page: ranks, ranks by every metric, duels, pictures, scenes, and the published study."""
    first = next(iter(board.rankings))
    parts = [
        f"<h1>{TITLE}</h1>",
        f'<p class="lead">{escape(_lead(board, first))}</p>',
        _standings(board, first),
        f'<p class="note">{escape(_note(board))}</p>',
        "<h2>Ranks by every metric</h2>",
        _all_ranks(board),
        f"<h2>Who beats whom, by {escape(column_label(first).name)}</h2>",
        _duels(board, first),
        '<p class="note">Pairs of views that the method of the row wins against that of the column'
        " [%]. A frame marks a difference whose interval lies on one side of 0; the others are"
        " tied. duels.tsv has all metrics.</p>",
        "<h2>One view of each method</h2>",
        _gallery(board),
        "<h2>Scenes</h2>",
        table(_records(board.scenes), "scenes"),
        "<h2>The published study</h2>",
        "<p>Means over the study's own four heads, for each prompt and strength. Its heads are"
        " others, so its numbers and those above cannot be compared.</p>",
        table(_study_rows(board.published), "study"),
        meanings([*board.rankings, "edit_strength", "sharpness", "overlap"]),
    ]
    return page(TITLE, "\n".join(parts), ["tables.js"], ["leaderboard.css"], strict=True)


def _lead(board: Board, first: str) -> str:
    subjects, prompts = (board.scenes[key].nunique() for key in ("subject", "prompt"))
    return (
        f"{len(board.methods)} methods on {_counted(subjects, 'head')} and"
        f" {_counted(prompts, 'prompt')}, ranked by"
        f" {column_label(first).name}. All renders are warped by the unedited heads' geometry, so"
        " every method is compared on the same pairs of views."
    )


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _note(board: Board) -> str:
    return (
        "A rank is 1 plus the number of methods that are better: whose paired difference has a"
        f" {board.resampling.level:.0%} interval on one side of 0. The bootstrap draws heads,"
        f" prompts and pairs of views ({board.resampling.resamples:,} resamples). Methods that"
        " cannot be told apart share ranks. References take no rank: doing nothing is consistent,"
        " and the true edit is not made by a method. Methods that lack scenes take none, either."
        " Weak edits and blur also make views agree, so read a score beside the edit's strength"
        " and sharpness."
    )


def _standings(board: Board, first: str) -> str:
    """The table by the first metric, with a bar for each interval."""
    ranking = board.rankings[first].table
    ends = ranking[["ci_low", "ci_high", "score"]]
    low, high = float(ends.min().min()), float(ends.max().max())
    label = column_label(first)
    head = "".join(
        f'<th scope="col"{kind}><button>{escape(name)}</button></th>'
        for name, kind in (
            ("Rank", ' class="number"'),
            ("Method", ""),
            (str(label), ' class="number"'),
            ("Interval", ' class="number"'),
            ("Tied with", ""),
            ("Edit strength [ΔE]", ' class="number"'),
            ("Sharpness", ' class="number"'),
            ("Scenes", ' class="number"'),
            ("License", ""),
        )
    )
    methods = {method.name: method for method in board.methods}
    edits = board.scenes.groupby("method")[list(_EDITS)].mean()
    rows = [
        _standing(row, methods[row["method"]], edits.loc[row["method"]], (low, high))
        for row in ranking.to_dict("records")
    ]
    return (
        f'<div class="table standings"><table class="sortable" id="standings">\n<thead><tr>{head}'
        "</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table></div>"
    )


def _standing(
    row: Mapping[Any, Any], method: Method, edits: "pd.Series", ends: tuple[float, float]
) -> str:
    rank = "ref." if method.is_reference else "–" if pd.isna(row["rank"]) else f"{row['rank']:.0f}"
    name = escape(method.name)
    if method.link:
        name = f'<a href="{escape(method.link)}" rel="noopener noreferrer">{name}</a>'
    missing = pd.isna(row["score"])
    score = "–" if missing else show_number(row["score"])
    tied = escape(row["tied_with"].replace(" ", ", ")) or "–"
    cells = [
        f'<td class="n rank">{rank}</td>',
        f'<td class="who"><b>{name}</b><span>{escape(method.what)}</span></td>',
        f'<td class="n">{score}</td>',
        f'<td class="n">{_bar(row, *ends)}</td>',
        f'<td class="tied">{tied}</td>',
        *(f'<td class="n">{show_number(float(edits[name]))}</td>' for name in _EDITS),
        f'<td class="n">{row["scenes"]}</td>',
        f"<td>{escape(method.license) or '–'}</td>",
    ]
    kind = ' class="reference"' if method.is_reference else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _bar(row: Mapping[Any, Any], low: float, high: float) -> str:
    """Both ends of an interval as text, and a bar on the scale of the whole table."""
    if pd.isna(row["ci_low"]):
        return "–"
    span = max(high - low, 1e-12)
    left, right, at = ((row[key] - low) / span for key in ("ci_low", "ci_high", "score"))
    text = f"{show_number(row['ci_low'])} to {show_number(row['ci_high'])}"
    return (
        f'{text}<span class="scale"><i style="left:{100 * left:.1f}%;'
        f'width:{100 * max(right - left, 0.004):.1f}%"></i>'
        f'<b style="left:{100 * at:.1f}%"></b></span>'
    )


def _all_ranks(board: Board) -> str:
    """One row per method: rank and score by every metric."""
    names = list(next(iter(board.rankings.values())).table["method"])
    heads = ["<th scope='col'><button>Method</button></th>"]
    for metric in board.rankings:
        label = column_label(metric)
        arrow = "higher" if higher_is_better(metric) else "lower"
        heads.append(
            f'<th scope="col" class="number"><button>{escape(label.name)}'
            f'<span class="unit">{escape(label.unit)} {arrow} is better</span></button></th>'
        )
    lines = []
    for name in names:
        cells = [f'<td class="who"><b>{escape(name)}</b></td>']
        for ranking in board.rankings.values():
            found = ranking.table.set_index("method")
            cells.append(_rank_cell(found.loc[name] if name in found.index else None))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="table"><table class="sortable" id="ranks">\n<thead><tr>{"".join(heads)}'
        "</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table></div>"
    )


def _rank_cell(row: "pd.Series | None") -> str:
    if row is None or pd.isna(row["score"]):
        return '<td class="n missing">–</td>'
    place = "" if pd.isna(row["rank"]) else f'<span class="place">{row["rank"]:.0f}</span>'
    hint = f"{show_number(row['ci_low'])} to {show_number(row['ci_high'])}"
    return f'<td class="n" title="{hint}">{show_number(row["score"])}{place}</td>'


def _duels(board: Board, metric: str) -> str:
    ranking = board.rankings[metric]
    names = list(ranking.table["method"])
    found = {(row["method"], row["other"]): row for row in _records(ranking.duels)}
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("", *names))
    lines = []
    for name in names:
        cells = "".join(
            '<td class="n missing">–</td>' if name == other else _duel_cell(found[name, other])
            for other in names
        )
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        f'<div class="table"><table class="duels">\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody>\n</table></div>"
    )


def _duel_cell(duel: Mapping[Any, Any]) -> str:
    if not duel["units"]:
        return '<td class="n missing">–</td>'
    said = (
        f"{duel['wins']} won, {duel['ties']} equal, {duel['losses']} lost; {duel['verdict']};"
        f" difference {duel['difference']:+.3g} ({duel['ci_low']:+.3g} to {duel['ci_high']:+.3g})"
    )
    share = 100 * duel["wins"] / duel["units"]
    return f'<td class="n {escape(duel["verdict"])}" title="{escape(said)}">{share:.0f}</td>'


def _gallery(board: Board) -> str:
    names = [method.name for method in board.methods]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("", *names))
    lines = []
    for (subject, prompt), shown in board.gallery.items():
        cells = "".join(
            f'<td><img alt="{escape(f"{name}, {subject}, {prompt}")}" src="{shown[name]}"></td>'
            if name in shown
            else '<td class="missing">–</td>'
            for name in names
        )
        lines.append(f'<tr><th scope="row">{escape(subject)} {escape(prompt)}</th>{cells}</tr>')
    return (
        f'<div class="table"><table class="gallery">\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody>\n</table></div>"
    )


def _study_rows(published: pd.DataFrame) -> list[dict[str, Any]]:
    """Means of the study's avatars by prompt and strength, then its baselines."""
    columns = [name for name in (*_PUBLISHED, "quality") if name in published]
    avatars = published[~published["prompt"].isin(NOT_AVATARS)]
    means = avatars.groupby(["prompt", "strength"], sort=False)[columns].mean().reset_index()
    rest = published[published["prompt"].isin(NOT_AVATARS)]
    baselines = rest.groupby(["prompt", "strength"], sort=False)[columns].mean().reset_index()
    return _records(pd.concat([means, baselines], ignore_index=True))


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    records: list[dict[Any, Any]] = frame.to_dict("records")
    return records
