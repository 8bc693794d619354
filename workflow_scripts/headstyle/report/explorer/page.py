"""The page itself: a frame that paints at once, and contents that are read when they are shown."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from headstyle.base.study import BASELINE, FLOOR
from headstyle.report.explorer.legend import KINDS, REASONS, RENDERS, STUDY, Words
from headstyle.report.labels import metric_label
from headstyle.report.pages import asset

STYLES = ("page.css", "explorer.css")
SCRIPTS = (
    "explorer_tools.js",
    "explorer_matrix.js",
    "explorer_rig.js",
    "explorer_pair.js",
    "explorer_views.js",
    "explorer_splats.js",
    "explorer_film.js",
    "explorer.js",
)
_VALUES = ("", "_ci_low", "_ci_high", "_excess")


def explorer_page(
    title: str,
    subjects: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, str]],
    metrics: Sequence[str],
    words: Words = STUDY,
) -> str:
    """The page of a run.

    Args:
        title: Plain text.
        subjects: What `subjects.explored_subject` returns, one each.
        rows: Rows of the table of avatars, or what `foreign_rows` makes of other methods' scores.
        metrics: Names of the metrics, the first one shown first.
        words: What the page calls the things that it shows.
    """
    known = {(row["subject"], row["prompt"], row["strength"]): row for row in rows}
    summary = {
        "title": title,
        "words": vars(words),
        "metrics": [_metric(name) for name in metrics],
        "kinds": [vars(kind) for kind in KINDS],
        "reasons": [vars(reason) for reason in REASONS],
        "subjects": [
            {
                "name": subject["name"],
                "unedited": subject["unedited"],
                "rig": subject["rig"],
                "avatars": [
                    avatar
                    | {
                        "values": _values(
                            known.get((subject["name"], avatar["prompt"], avatar["strength"])),
                            metrics,
                        )
                    }
                    for avatar in subject["avatars"]
                ],
                "baseline": _values(known.get((subject["name"], BASELINE, "none")), metrics),
                "floor": _values(known.get((subject["name"], FLOOR, "none")), metrics),
            }
            for subject in subjects
        ],
    }
    parts = {"summary": summary}
    later = {}
    for s, subject in enumerate(subjects):
        later[f"subject-{s}"] = subject["shared"]
        for a, avatar in enumerate(subject["avatars"]):
            later[f"avatar-{s}-{a}"] = subject["content"][avatar["name"]]
    return _document(title, parts, later)


def foreign_rows(
    scores: Sequence[Mapping[str, str]], subjects: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Rows of other methods' scores, labelled as `explorer_page` looks for them.

    Args:
        scores: Rows of scores.csv, see `headstyle.report.foreign_page.scene_table`.
        subjects: What `subjects.explored_subject` returns, one per scene of another method.
    """
    prompts = {subject["name"]: subject["avatars"][0]["prompt"] for subject in subjects}
    rows = []
    for row in scores:
        is_edited = row["shown"] == RENDERS.edited
        prompt, strength = (prompts[row["scene"]], "") if is_edited else (BASELINE, "none")
        rows.append({**row, "subject": row["scene"], "prompt": prompt, "strength": strength})
    return rows


def _document(title: str, parts: Mapping[str, Any], later: Mapping[str, Any]) -> str:
    """The document: styles, body, summary, scripts, and at last the large contents."""
    style = "\n".join(asset(name) for name in STYLES)
    code = [f'"use strict";\n{asset(name)}' for name in SCRIPTS]
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(_digest(text) for text in code),
        "style-src": _digest(style),
        "img-src": "data: blob:",
        "media-src": "data: blob:",
        "connect-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    policy = "; ".join(f"{name} {value}" for name, value in rules.items())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{asset('explorer.html')}\n{_embedded(parts)}"
        + "".join(f"<script>{text}</script>\n" for text in code)
        + f"{_embedded(later)}</body>\n</html>\n"
    )


def _embedded(contents: Mapping[str, Any]) -> str:
    """Contents as JSON that the page's scripts read by name."""
    return "".join(
        f'<script type="application/json" id="{name}">{_safe(content)}</script>\n'
        for name, content in contents.items()
    )


def _safe(content: Any) -> str:
    # "</script" would end the script element, and "<!--<script" would keep it open.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _digest(text: str) -> str:
    """What the policy calls a script or a style that may be used."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _metric(name: str) -> dict[str, Any]:
    label = metric_label(name)
    return {
        "key": name,
        "name": label.name,
        "unit": label.unit,
        "meaning": label.meaning,
        "higher": label.higher_is_better,
    }


def _values(row: Mapping[str, str] | None, metrics: Sequence[str]) -> list[list[float | None]]:
    """Per metric its mean, both ends of its interval and its excess."""
    return [[_number((row or {}).get(name + part)) for part in _VALUES] for name in metrics]


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    # JSON has no NaN.
    return float(f"{value:.5g}") if value == value and abs(value) != float("inf") else None
