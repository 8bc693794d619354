"""The report's first page."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from headstyle.base.study import BASELINE, FLOOR, NOT_AVATARS, instruction_text
from headstyle.report.labels import metric_label
from headstyle.report.pages import data_uri, page, show_number, table
from headstyle.report.sheets import stacked_strips

Rows = Sequence[Mapping[str, str]]
"""Of a table: one mapping from column to text each."""

_STAGES = (
    "One view of each head: the view nearest to the middle of the rig, or the first view if the "
    "cameras stand all around the head. From left to right: the photograph; its mask (outlined); "
    "the baseline, which is a render of the Gaussian splats trained on all views. For some prompts "
    "two pictures follow: the editor's last edit of this view, and the avatar, which is a render "
    "of the splats trained on the edits of all views. A procedural head also has its true edit: "
    "the head was edited in three dimensions and photographed again, so its views agree."
)
_LOW_IS_NOT_YET_GOOD = (
    "Splats average edits that disagree, and a smooth, pale or blurred surface differs little from "
    "view to view. So a low RMSE or color difference alone does not prove a consistent edit. This "
    "is a known flaw of the published metrics. Look at the pictures beside the numbers."
)
_HEADLINE = (
    "Compare avatars by the headline score, also those of different prompts. 1 means as consistent "
    "as the baseline; shuffled views score about 0.1. Look at the strength of the edit too: an "
    "avatar that was hardly edited is also consistent."
)
_BESIDE = ("edit_strength", "sharpness")
"""Columns beside the metrics, because unedited and blurred avatars are consistent too."""
_FACTS = 3
"""Number of metrics beside each head. The tables have all metrics."""
_NAMES = 8
"""Of many photographs, so many are named on this page. The log and poses.json have all."""
_COST = (
    "What only these photographs show, the splats do not show or guess, and fewer neighboring "
    "views are compared there."
)
_HOW_TO_READ = (
    ("Overview", "this page."),
    ("Subjects", "the results of each stage for each head, from photographs to trained splats."),
    (
        "Avatars",
        "the edits and the stylized splats per prompt and strength, and a page that shows "
        "them side by side, view after view.",
    ),
    ("Consistency", "the metrics by prompt, subject and strength, compared with the references."),
    ("Tables", "all numbers as sortable tables, and as CSV files to download."),
    ("Run", "time and memory of each stage."),
)


def overview_page(
    subjects: Mapping[str, Mapping[str, Any]],
    avatars: Sequence[Mapping[str, str]],
    prompts: Mapping[str, str],
    metrics: Sequence[str],
    shown: int,
    note: str = "",
    is_harmless: bool = False,
) -> str:
    """The first page of the report.

    Args:
        subjects: Per subject `strip` (path of its picture), `poses` (poses.json), `baseline`
            (metrics.json) and, if there is something to tell, `baseline_note`.
        avatars: Rows of `avatars.csv`.
        prompts: Text of each prompt.
        metrics: Names of the metrics' columns.
        shown: At most so many subjects' pictures stand at the top.
        note: What readers must know about the edits, in sentences; or nothing.
        is_harmless: Whether the note warns of nothing, so that it need not stand out.
    """
    count = sum(row["prompt"] not in NOT_AVATARS for row in avatars)
    intro = (
        f"{_count(len(subjects), 'head')}, {_count(count, 'stylized avatar')}: how well do the "
        "views of each agree with each other? Gaussian splats were trained on the photographs of "
        "each head. An editor edited the views, and the splats were trained on the edits. The "
        "metrics warp neighboring views of the result into each other and compare them."
    )
    top = stacked_strips([entry["strip"] for entry in subjects.values()][:shown])
    parts = [
        "<h1>Consistency of stylized head avatars</h1>",
        f'<p class="lead">{escape(intro)}</p>',
        f'<p class="{"note" if is_harmless else "callout"}">{escape(note)}</p>' if note else "",
        *(
            f'<p class="callout">{escape(name)}: {escape(text)}</p>'
            for name, entry in subjects.items()
            if (text := views_note(entry["poses"]))
        ),
        *(
            f'<p class="callout">{escape(name)}: {escape(text)}</p>'
            for name, entry in subjects.items()
            if (text := entry.get("baseline_note", ""))
        ),
        _figure(data_uri(top, 85), "The stages on one view of each head", _STAGES),
        "<h2>Results at a glance</h2>",
        _means(avatars, prompts, metrics),
        "<h2>Heads</h2>",
        *(_subject(name, entry, avatars, metrics) for name, entry in subjects.items()),
        "<h2>In this report</h2>",
        "<ul>" + "".join(f"<li><b>{n}</b>: {escape(t)}</li>" for n, t in _HOW_TO_READ) + "</ul>",
    ]
    return page("Overview", "\n".join(parts), ["tables.js"])


def views_note(poses: Mapping[str, Any]) -> str:
    """What a subject lacks because photographs have no pose, in sentences; or nothing.

    Args:
        poses: Content of poses.json.
    """
    registered, dropped = len(poses["registered"]), sorted(poses["dropped"])
    captures = poses.get("captures", [])
    said = []
    if dropped:
        said.append(
            f"{registered} of {registered + len(dropped)} photographs have a pose. Left out:"
            f" {_first_of(dropped)}. {_COST}"
        )
    if poses.get("went_on"):
        tries = len(poses.get("attempts", []))
        said.append(
            "These are fewer than poses.min_registered asks for, after"
            f" {_count(tries, 'attempt')}. The run went on because"
            " poses.go_on allows it. More photographs between those left out and the others help"
            " most."
        )
    if captures:
        named = "; ".join(_first_of(names) for names in captures)
        said.append(
            f"The photographs fall into {len(captures)} parts that do not overlap: {named}. If they"
            " show different heads, give each a folder of its own."
        )
    return " ".join(said)


def _first_of(names: Sequence[str]) -> str:
    """The first names of many, and the number of the others."""
    if len(names) <= _NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMES])} and {len(names) - _NAMES} others"


def _means(rows: Rows, prompts: Mapping[str, str], metrics: Sequence[str]) -> str:
    """The means over subjects of each prompt and strength, and of the two references."""
    scenes = list(dict.fromkeys((row["prompt"], row["strength"]) for row in rows))
    references = sorted(s for s in scenes if s[0] in NOT_AVATARS)[::-1]
    lines = []
    for prompt, strength in [*references, *(s for s in scenes if s not in references)]:
        chosen = [r for r in rows if r["prompt"] == prompt and r["strength"] == strength]
        name = {FLOOR: "photographs, warped", BASELINE: "unstylized baseline"}.get(prompt, prompt)
        line = {
            "scene": name,
            "strength": "" if prompt in (FLOOR, BASELINE) else strength,
            "prompt_text": instruction_text(prompts.get(prompt, "")),
        }
        columns = [*metrics, *(name for name in _BESIDE if name in rows[0])]
        lines.append(line | {column: _mean(chosen, column) for column in columns})
    if not lines:
        return '<p class="empty">Nothing was measured in this run.</p>'
    note = (
        f"Means over all heads. Neighboring views differ less if {_directions(metrics)}. There are "
        "two references: the floor (the photographs themselves, warped), and the baseline (the "
        "splats before any edit), which is smoother than the photographs."
    )
    first = [_HEADLINE] if "headline" in metrics else []
    found = " ".join([*first, _better_than_baseline(rows, metrics), _LOW_IS_NOT_YET_GOOD])
    notes = f'<p class="note">{escape(note)}</p>\n<p class="callout">{escape(found)}</p>'
    return f"{table(lines)}\n{notes}"


def _directions(metrics: Sequence[str]) -> str:
    """Which metrics are better when lower, and which when higher, in words."""
    said = []
    for word, is_higher in (("higher", True), ("lower", False)):
        names = [
            metric_label(m).name for m in metrics if metric_label(m).higher_is_better is is_higher
        ]
        if names:
            verb = "is" if len(names) == 1 else "are"
            said.append(f"{_listed(names)} {verb} {word}")
    return " and ".join(said)


def _better_than_baseline(rows: Rows, metrics: Sequence[str]) -> str:
    """A sentence with the number of avatars that score better than their own head's baseline."""
    counts = []
    for metric in metrics:
        sign = -1 if metric_label(metric).higher_is_better else 1
        baselines = {r["subject"]: _mean([r], metric) for r in rows if r["prompt"] == BASELINE}
        avatars = [r for r in rows if r["prompt"] not in NOT_AVATARS]
        pairs = [(_mean([r], metric), baselines.get(r["subject"])) for r in avatars]
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        better = sum(sign * mean < sign * baseline for mean, baseline in known)
        counts.append((better, f"{better} of {len(known)} by {metric_label(metric).name}"))
    if not any(better for better, _ in counts):
        return ""
    listed = ", ".join(count for _, count in counts)
    return f"Avatars that score better than the baseline of their own head: {listed}."


def _subject(name: str, entry: Mapping[str, Any], rows: Rows, metrics: Sequence[str]) -> str:
    poses, baseline = entry["poses"], entry["baseline"]
    total = len(poses["registered"]) + len(poses["dropped"])
    psnr = baseline.get("heldout_psnr")
    where = "on held-out views" if psnr is not None else "on training views"
    facts = [
        (f"{len(poses['registered'])} of {total}", "views registered"),
        (f"{show_number(poses.get('mean_reprojection_error_px'), 2)} px", "reprojection error"),
        *((f"{baseline[kind]:,}", kind) for kind in ("splats", "parameters") if kind in baseline),
        (f"{show_number(baseline['psnr'] if psnr is None else psnr)} dB", f"PSNR {where}"),
    ]
    avatars = [r for r in rows if r["subject"] == name and r["prompt"] not in NOT_AVATARS]
    for metric in metrics[:_FACTS]:
        mean = _mean(avatars, metric)
        if mean is not None:
            before = _mean(
                [r for r in rows if (r["subject"], r["prompt"]) == (name, BASELINE)], metric
            )
            what = f"avatars’ {metric_label(metric)}; baseline {show_number(before)}"
            facts.append((show_number(mean), what))
    items = "".join(f"<li><b>{escape(v)}</b><span>{escape(what)}</span></li>" for v, what in facts)
    return (
        f'<section class="subject">\n<h3>{escape(name)}</h3>\n'
        f'<ul class="numbers">{items}</ul>\n</section>'
    )


def _figure(address: str, description: str, caption: str) -> str:
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    image = f'<img alt="{escape(description)}" src="{address}">'
    return f'<figure><div class="wide">{image}</div>{text}</figure>'


def _mean(rows: Rows, metric: str) -> float | None:
    values = [float(row[metric]) for row in rows if row.get(metric) not in (None, "", "nan")]
    values = [value for value in values if math.isfinite(value)]
    return sum(values) / len(values) if values else None


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
