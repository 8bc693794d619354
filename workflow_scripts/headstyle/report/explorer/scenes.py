"""What the page shows of one subject and of one scene: pictures, numbers and splats."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.errors import RESULT, result_of
from headstyle.base.tables.ply import read_ply_tables
from headstyle.base.tables.rows import read_rows
from headstyle.consistency.measuring import Comparison
from headstyle.consistency.parts.kinds import read_kinds
from headstyle.rendering.splat_files import read_splats
from headstyle.report import pictures
from headstyle.report.explorer.films import film_content
from headstyle.report.explorer.pairs import COUNTS, PairLooker, SeenPair
from headstyle.report.explorer.shown import ShownScene, ShownSubject
from headstyle.report.explorer.splats import packed_splats

MOST_DIFFERENCE = 10.0
"""Difference of the brightest color of a heat map [dE00]."""
REASON_STEP = 50
"""Gray of one reason in the picture of what counts; the background is 0."""
_INCONSISTENCY = "inconsistency"


@dataclass(frozen=True)
class Sizes:
    """How large things are in the page."""

    view_px: int
    """Longest side of a view."""
    pair_px: int
    """Longest side of a pair's pictures."""
    both_ways: bool
    """Whether a pair has pictures from both of its views, or only from the first one."""
    splats: int
    """Most splats of a scene."""
    film_bytes: int
    """The most that a film takes."""
    quality: int = 75
    """Quality of lossy pictures, 0 to 100."""


def subject_content(subject: ShownSubject, names: Sequence[str], sizes: Sizes) -> dict[str, Any]:
    """What all scenes of a subject share.

    Returns:
        layers: the photographs and the views before the edit, one picture per view.
        truth: per prompt the photographs of the true edit, where it is known.
        splats: the head before the edit; null where it is not known.
    """
    truth = {scene.prompt: scene.true_edit for scene in subject.scenes if scene.true_edit}
    return {
        "layers": [layer(name, folder, names, sizes) for name, folder in subject.layers],
        "truth": {
            prompt: layer("true edit", folder, names, sizes) for prompt, folder in truth.items()
        },
        "splats": splats_content(subject.splats, subject.cameras, sizes),
    }


def scene_content(
    subject: ShownSubject,
    scene: ShownScene,
    names: Sequence[str],
    metrics: Sequence[str],
    settings: Mapping[str, Any],
    sizes: Sizes,
) -> dict[str, Any]:
    """What the page shows of one scene.

    Returns:
        layers: the edits of some cycles and the renders, one picture per view.
        pairs: target, source, the metrics, the kinds of disagreement, and the pictures of those
            that have some.
        views: per view its metrics.
        splats: the scene; null where it is not known.
        film: see `films.film_content`; null where none was made.
    """
    film = scene.film and film_content(scene.film, scene.flicker, sizes.film_bytes)
    return {
        "film": film,
        "layers": [layer(name, folder, names, sizes) for name, folder in scene.layers],
        "pairs": pairs_content(subject.comparison(scene), scene.tables, metrics, settings, sizes),
        "views": _by_view(scene.tables / "views.csv", names, metrics),
        "splats": splats_content(scene.splats, subject.cameras, sizes),
    }


def layer(name: str, folder: Path, names: Sequence[str], sizes: Sizes) -> dict[str, Any]:
    """One picture per view; null where the folder lacks the view."""
    paths = [folder / f"{view}.png" for view in names]
    shown = [
        _encoded(pictures.cutout(path, sizes.view_px), sizes.quality) if path.exists() else None
        for path in paths
    ]
    return {"name": name, "pictures": shown}


def pairs_content(
    comparison: Comparison,
    tables: Path,
    metrics: Sequence[str],
    settings: Mapping[str, Any],
    sizes: Sizes,
) -> list[dict[str, Any]]:
    """The pairs of one scene: their numbers and pictures."""
    looker, names = PairLooker(comparison, settings), comparison.cameras.names
    kinds = read_kinds(tables / "kinds.npz") or looker.kinds()
    rows = {
        (row["target"], row["source"]): row
        for row in read_rows(
            tables / "pairs.csv", result_of("measure_consistency"), ["target", "source"]
        )
    }
    content = {}
    for target, source in looker.positions:
        row = rows.get((names[target], names[source]), {})
        found = kinds[min(target, source), max(target, source)]
        content[target, source] = {
            "target": target,
            "source": source,
            "values": [number(row.get(metric)) for metric in metrics],
            "kinds": [number(value) for value in found.kinds],
            "arrows": _arrows(found.arrows) if target < source else None,
        }
    for seen in looker.pairs(pictured(looker.positions, sizes)):
        content[seen.target, seen.source] |= {
            "shares": _shares(seen.reasons),
            **pair_pictures(seen, comparison.cameras, sizes),
        }
    return list(content.values())


def pictured(positions: Sequence[tuple[int, int]], sizes: Sizes) -> list[tuple[int, int]]:
    """The pairs (target, source) that have pictures: those with arrows, or all."""
    return [pair for pair in positions if sizes.both_ways or pair[0] < pair[1]]


def pair_pictures(seen: SeenPair, cameras: Cameras, sizes: Sizes) -> dict[str, str]:
    """The warped source, what counts, and the difference as gray up to `MOST_DIFFERENCE`."""
    width, height = cameras.sizes[seen.target].tolist()
    factor = min(1.0, sizes.pair_px / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    valid = (seen.reasons == COUNTS).astype(np.float32)
    share = cv2.resize(valid, size, interpolation=cv2.INTER_AREA)[..., None]
    warped = np.full((size[1], size[0], 3), np.array(pictures.BACKDROP) / 255, np.float32)
    inside = cv2.resize(seen.warped * valid[..., None], size, interpolation=cv2.INTER_AREA)
    warped = inside + warped * (1 - share)
    difference = cv2.resize(seen.difference * valid, size, interpolation=cv2.INTER_AREA)
    difference = difference / np.maximum(share[..., 0], 1e-3) / MOST_DIFFERENCE
    reasons = cv2.resize(seen.reasons, size, interpolation=cv2.INTER_NEAREST)
    return {
        "warped": _encoded(_picture(warped), sizes.quality),
        "difference": _encoded(_picture(difference), sizes.quality),
        "reasons": _encoded(Image.fromarray(reasons * REASON_STEP), None),
    }


def splats_content(path: Path | None, cameras: Path, sizes: Sizes) -> dict[str, Any] | None:
    """The splats of a scene, with their inconsistency where it was measured.

    Args:
        path: File of the splats; None where there are none.
        cameras: cameras.json of the rig.
        sizes: How many splats fit.
    """
    if path is None:
        return None
    measured = path.parent / f"{_INCONSISTENCY}.ply"
    values = None
    if measured.exists():
        vertices = read_ply_tables(measured, RESULT)["vertex"]
        values = vertices[_INCONSISTENCY].astype(np.float32)
    splats = read_splats(path)
    if values is not None and len(values) != len(splats["means"]):
        values = None
    return packed_splats(splats, sizes.splats, values, read_cameras(cameras))


def number(value: Any) -> float | None:
    """A finite number with four significant digits, or null."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return float(f"{found:.4g}") if np.isfinite(found) else None


def _by_view(table: Path, names: Sequence[str], metrics: Sequence[str]) -> list[Any]:
    rows = {r["view"]: r for r in read_rows(table, result_of("measure_consistency"), ["view"])}
    return [[number(rows.get(name, {}).get(metric)) for metric in metrics] for name in names]


def _arrows(arrows: NDArray[np.float32]) -> str:
    """Places in thousandths of the frame, displacements in ten-thousandths; int16 in base64."""
    whole = np.rint(arrows * (1e3, 1e3, 1e4, 1e4))
    return base64.b64encode(whole.clip(-32768, 32767).astype("<i2").tobytes()).decode()


def _shares(reasons: NDArray[np.uint8]) -> list[float]:
    """The part of the head that each reason after the background has."""
    counts = np.bincount(reasons.ravel(), minlength=5)[1:5]
    return [round(float(count), 3) for count in counts / max(1, counts.sum())]


def _encoded(picture: Image.Image, quality: int | None) -> str:
    """A picture as WebP in base64; exact where there is no quality."""
    buffer = io.BytesIO()
    exact = quality is None
    # Slower methods take twice the time and more, and save less than a twentieth.
    picture.convert("RGB").save(
        buffer, "WEBP", lossless=exact, quality=50 if exact else quality, method=2
    )
    return base64.b64encode(buffer.getvalue()).decode()


def _picture(values: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
