"""The page of one head that moves: photograph, baseline and avatar side by side over time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from PIL import Image

from headstyle.base.study import BASELINE, FLOOR
from headstyle.report import pictures
from headstyle.report.labels import metric_label
from headstyle.report.pages import data_uri, page, show_number

_LONG_SIDES_PX = (384, 320, 256, 192, 160, 128)
_ENOUGH_CAMERAS = 8
_QUALITY = 72

Place = tuple[int, int]
"""Camera and timestep."""


@dataclass(frozen=True)
class Layer:
    """Pictures of one kind."""

    name: str
    """What they show, such as `photograph`."""
    pictures: Mapping[Place, Path]
    """An image file by camera and timestep."""


@dataclass(frozen=True)
class Motion:
    """What a head does: its own motion, or that of another head."""

    name: str
    timesteps: int
    """Number of timesteps."""
    cameras: tuple[int, ...]
    """Numbers of the cameras."""
    splits: Mapping[Place, str]
    """`train`, `val` or `test` of each frame."""
    shared: Sequence[Layer]
    """Photographs and baseline."""
    avatars: Mapping[str, Layer]
    """The avatars by their names."""


@dataclass(frozen=True)
class Moving:
    """A head that moves."""

    name: str
    motions: Sequence[Motion]
    """At least one; the first is its own."""
    rows: Sequence[Mapping[str, Any]]
    """Its scenes' rows of `temporal.csv`."""
    pairs: Sequence[Mapping[str, Any]]
    """Its scenes' rows of `temporal_pairs.csv`."""
    metrics: Sequence[str]
    """Names of the metrics."""


def moving_page(head: Moving, max_bytes: int) -> str:
    """The page, with the pictures inside.

    Args:
        head: What it shows.
        max_bytes: Largest size. To stay below it, first the pictures get smaller. Then the page
            shows fewer cameras, evenly spaced.
    """
    long_side_px, count = _fitting(head.motions, max_bytes)
    data = {
        "motions": [_motion(motion, long_side_px, count) for motion in head.motions],
        "metrics": [_metric(name) for name in head.metrics],
        "series": _series(head),
    }
    return page(
        f"{head.name}: a head that moves", _body(head, data), ["moving.js"],
        ["compare.css", "moving.css"], strict=True,
    )  # fmt: skip


def scene_name(prompt: str, strength: str) -> str:
    """What the page calls a scene of the tables."""
    return {BASELINE: "baseline", FLOOR: "photographs"}.get(prompt, f"{prompt} {strength}")


def _fitting(motions: Sequence[Motion], max_bytes: int) -> tuple[int, int]:
    """Size of the pictures [px] and number of cameras that keep the page within its limit."""
    layers = [layer for m in motions for layer in (*m.shared, *m.avatars.values())]
    per_camera = sum(m.timesteps * (len(m.shared) + len(m.avatars)) for m in motions)
    samples = [next(iter(layer.pictures.values())) for layer in layers if layer.pictures]
    most = max((len(motion.cameras) for motion in motions), default=1)
    long_side_px, count = _LONG_SIDES_PX[-1], 1
    for long_side_px in _LONG_SIDES_PX:
        sizes = [len(_shown(path, long_side_px)) for path in samples]
        # A quarter stays for the rest of the page, and for pictures larger than these.
        each = max(sizes, default=1) * max(1, per_camera)
        count = int(0.75 * max_bytes / each)
        if count >= min(most, _ENOUGH_CAMERAS):
            break
    return long_side_px, max(1, count)


def _shown(path: Path, long_side_px: int) -> str:
    with Image.open(path) as image:
        size = min(long_side_px, max(image.size))
    return data_uri(pictures.cutout(path, size), _QUALITY)


def _motion(motion: Motion, long_side_px: int, count: int) -> dict[str, Any]:
    cameras = pictures.evenly_spaced(motion.cameras, count)
    steps = range(motion.timesteps)

    def shown(layer: Layer) -> dict[str, Any]:
        return {
            "name": layer.name,
            "pictures": [
                [
                    _shown(path, long_side_px) if (path := layer.pictures.get((c, t))) else None
                    for t in steps
                ]
                for c in cameras
            ],
        }

    with Image.open(next(iter(motion.shared[0].pictures.values()))) as image:
        aspect = f"{image.width} / {image.height}"
    return {
        "name": motion.name,
        "timesteps": motion.timesteps,
        "aspect": aspect,
        "cameras": list(cameras),
        "splits": [[motion.splits.get((c, t)) for t in steps] for c in cameras],
        "shared": [shown(layer) for layer in motion.shared],
        "avatars": {name: shown(layer) for name, layer in motion.avatars.items()},
    }


def _metric(name: str) -> dict[str, str]:
    label = metric_label(name)
    return {"name": name, "text": str(label)}


def _series(head: Moving) -> dict[str, dict[str, list[float | None]]]:
    """Mean over cameras of each metric at each timestep, by scene and metric."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for row in head.pairs:
        scene = found.setdefault(scene_name(row["prompt"], row["strength"]), {})
        for metric in head.metrics:
            scene.setdefault(metric, [None] * head.motions[0].timesteps)
    for name, metrics in found.items():
        own = [r for r in head.pairs if scene_name(r["prompt"], r["strength"]) == name]
        for metric, values in metrics.items():
            for step in range(len(values)):
                at = [float(r[metric]) for r in own if int(r["target_timestep"]) == step]
                at = [value for value in at if isfinite(value)]
                values[step] = sum(at) / len(at) if at else None
    return found


def _body(head: Moving, data: dict[str, Any]) -> str:
    avatars = list(dict.fromkeys(name for motion in head.motions for name in motion.avatars))
    choices = {
        "motion": [motion.name for motion in head.motions],
        "avatar": avatars,
        "camera": [],
        "metric": [metric["text"] for metric in data["metrics"]],
    }
    select = {
        key: f'<label>{key.capitalize()} <select id="{key}">'
        + "".join(f'<option value="{i}">{escape(n)}</option>' for i, n in enumerate(names))
        + "</select></label>"
        for key, names in choices.items()
    }
    # "</script" would end the script element, and "<!--<script" would keep it open.
    content = json.dumps({**data, "names": avatars}, ensure_ascii=False).replace("<", "\\u003c")
    return f"""<h1>{escape(head.name)}: a head that moves</h1>
<p class="lead">Move through time with the slider, the arrow keys or Play. The splats are bound to
the triangles of a mesh. Held-out timesteps and cameras were not seen in training.</p>
<div class="controls">
{select["motion"]}
{select["avatar"] if avatars else '<select id="avatar" hidden></select>'}
{select["camera"]}
<label>Time <input id="slider" type="range" min="0" max="0" value="0"></label>
<button id="play" type="button" aria-pressed="false">Play</button>
<output id="place"></output>
</div>
<div class="panes" id="panes"></div>
<h2>Consistency over time</h2>
<p>Each frame is compared with those of the same camera before and after it, carried along the
surface of the mesh. Excess is what the scene has beyond its baseline. Ceiling is the score of
frames whose images were exchanged. Brackets hold 95 % intervals over frames.</p>
{_table(head)}
<div class="chart">{select["metric"]}<svg id="chart" viewBox="0 0 640 200" role="img"
aria-label="The metric over time"></svg><p class="note" id="legend"></p></div>
<script type="application/json" id="data">{content}</script>"""


def _table(head: Moving) -> str:
    if not head.rows:
        return '<p class="empty">Nothing was measured over time.</p>'
    header = "".join(f"<th>{escape(str(metric_label(m)))}</th>" for m in head.metrics)
    lines = []
    for row in head.rows:
        cells = []
        for metric in head.metrics:
            value, low, high, excess, ceiling = (
                show_number(_number(row.get(metric + part)))
                for part in ("", "_ci_low", "_ci_high", "_excess", "_ceiling")
            )
            cells.append(
                f'<td class="n"><b>{value}</b> [{low}, {high}]<span class="unit">excess {excess},'
                f" ceiling {ceiling}</span></td>"
            )
        name = escape(scene_name(row["prompt"], row["strength"]))
        lines.append(f"<tr><td>{name}</td>{''.join(cells)}</tr>")
    return (
        f'<div class="table"><table><thead><tr><th>Scene</th>{header}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
