"""The report's table pages: what each says of itself, and the rows that no CSV holds yet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstyle.base.files import read_json

_UNRATED = (
    "No avatar of this run has a quality rating. Name a CSV with subject, prompt, strength and "
    "quality under summary.ratings in the configuration."
)
PAGES = {
    "avatars": (
        "Avatars",
        "One row per scene: how strong the edit is and how sharp it left the head; each metric's "
        "mean over the views, its spread, the 95 % confidence interval of the mean, the excess "
        "over the same pairs before stylization, and the ceiling: what shuffled views score. Lower "
        "means more consistent, but for SSIM, TSED and the CLIP metrics higher does. Prompt none "
        "is the baseline, prompt photographs the floor.",
        "No scene was measured.",
    ),
    "views": (
        "Views",
        "One row per view of each scene: the mean of each metric over the view's neighbors.",
        "No scene was measured.",
    ),
    "thresholds": (
        "Thresholds",
        "Mean of each metric over the avatars of one quality rating.",
        _UNRATED,
    ),
    "strengths": (
        "Low against high strength",
        "Per metric, each avatar of low strength against the one of high strength of the same "
        "head and prompt.",
        "No metric was computed.",
    ),
    "agreement": (
        "Agreement with ratings",
        "Rank correlation of each metric with the quality rating over the avatars. A metric that "
        "is lower for better avatars correlates negatively.",
        _UNRATED,
    ),
    "poses": (
        "Camera poses",
        "What structure from motion found per subject; for procedural heads also how far the "
        "cameras are from the true ones after a similarity alignment.",
        "No subject was reconstructed.",
    ),
    "baseline": (
        "Baselines",
        "The Gaussian splats of each subject before stylization, and how well they render the "
        "views, measured on the foreground.",
        "No baseline was trained.",
    ),
    "settings": (
        "Settings",
        "Every setting of this run, by its key in the configuration, and the value of the study "
        "as published where this run has another.",
        "There are no settings.",
    ),
}
"""Title, introduction, and why the table may be empty, by the name of the page."""
STUDY_PAGES = ("avatars", "views", "thresholds", "strengths", "agreement")
"""Pages that show a CSV of the same name."""


def poses_rows(
    subjects: Sequence[str], poses: Sequence[str], truths: Sequence[str]
) -> list[dict[str, Any]]:
    """One row per subject.

    Args:
        subjects: Names, in the order of `poses`.
        poses: Paths of poses.json.
        truths: Paths of truth.json, `{subject}/poses/truth.json`, of those subjects that have one.
    """
    errors = {Path(path).parent.parent.name: read_json(path) for path in truths}
    rows = []
    for subject, path in zip(subjects, poses, strict=True):
        found = read_json(path)
        row = {
            "subject": subject,
            "registered": len(found["registered"]),
            "dropped": len(found["dropped"]),
            "mean_reprojection_error_px": found.get("mean_reprojection_error_px"),
            "points": _count(found.get("points")),
            "cameras": _count(found.get("cameras")),
        }
        if errors:
            row |= _pose_errors(errors.get(subject, {}))
        reasons = [f"{view}: {reason}" for view, reason in sorted(found["dropped"].items())]
        rows.append(row | {"reasons": "\n".join(reasons)})
    return _without_empty(rows, ("reasons",))


def baseline_rows(subjects: Sequence[str], baselines: Sequence[str]) -> list[dict[str, Any]]:
    """One row per subject from the paths of its metrics.json, in the same order."""
    keys = ("iterations", "splats", "seconds", "psnr", "ssim", "heldout_psnr", "heldout_ssim")
    rows = [
        {"subject": subject} | {key: content.get(key) for key in keys}
        for subject, content in zip(subjects, map(read_json, baselines), strict=True)
    ]
    return _without_empty(rows, ("heldout_psnr", "heldout_ssim"))


def _without_empty(rows: list[dict[str, Any]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows without those of the columns that have no value in any of them."""
    empty = {c for c in columns if all(row[c] in (None, "") for row in rows)}
    return [{c: value for c, value in row.items() if c not in empty} for row in rows]


def _count(value: Any) -> int | None:
    """A count, also where the things themselves are listed."""
    return len(value) if isinstance(value, list | dict) else value


def _pose_errors(truth: dict[str, Any]) -> dict[str, float | None]:
    rotation = truth.get("rotation_error_deg", {})
    center = truth.get("center_error_fraction", {})
    percent = {key: None if value is None else 100 * value for key, value in center.items()}
    return {
        "rotation_median_deg": rotation.get("median"),
        "rotation_max_deg": rotation.get("max"),
        "center_median_percent": percent.get("median"),
        "center_max_percent": percent.get("max"),
    }
