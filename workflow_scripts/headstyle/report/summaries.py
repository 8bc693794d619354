"""The report's table pages: their introductions, and the rows of tables that have no CSV."""

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
        "One row per scene. It has the strength of the edit and the sharpness after it. Each "
        "metric has its mean over the views, its standard deviation, and the 95 % confidence "
        "interval of the mean. The excess is the difference from the same pairs before "
        "stylization. The ceiling is the score of shuffled views. Lower means more consistent, "
        "except for the headline score, SSIM, TSED, face identity and the CLIP metrics. Prompt "
        "none is the baseline (the splats before any edit). Prompt photographs is the floor (the "
        "photographs themselves, warped).",
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
        "Each metric, compared between the avatars of low and high strength of the same head and "
        "prompt.",
        "No metric was computed.",
    ),
    "agreement": (
        "Agreement with ratings",
        "Rank correlation of each metric with the quality rating over the avatars. A metric that "
        "is lower for better avatars correlates negatively.",
        _UNRATED,
    ),
    "true_edits": (
        "Against the true edits",
        "PSNR, SSIM and LPIPS mini against the head itself, edited in three dimensions and "
        "photographed: means over the views. They are taken where either image shows the head. "
        "Only procedural heads have a true edit. Unedited renders say what doing nothing scores.",
        "No prompt of this run has a true edit.",
    ),
    "decomposition": (
        "Where the disagreement went",
        "How much the last edits of an avatar disagree with each other, how much of them its "
        "splats left out, and how much still shows between its renders. Each has the mean number "
        "of steps, the kind of disagreement with the most steps, and the headline score.",
        "This run has no avatars.",
    ),
    "poses": (
        "Camera poses",
        "Result of structure from motion per subject. Procedural heads also have the errors of the "
        "cameras against the true ones, after a similarity alignment.",
        "No subject was reconstructed.",
    ),
    "baseline": (
        "Baselines",
        "The Gaussian splats of each subject before stylization, and the quality of their renders "
        "on the foreground.",
        "No baseline was trained.",
    ),
    "settings": (
        "Settings",
        "Every setting of this run, by its key in the configuration, and the value of the "
        "published study if it differs.",
        "There are no settings.",
    ),
}
"""Title, introduction, and text for an empty table, by the name of the page."""
STUDY_PAGES = ("avatars", "views", "thresholds", "strengths", "agreement")
"""Pages that show the CSV of the same name."""


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
    """One row per subject from the paths of their metrics.json, in the same order."""
    kinds = ("splats", "parameters")
    scores = ("psnr", "ssim", "heldout_psnr", "heldout_ssim")
    keys = ("iterations", *kinds, "seconds", *scores)
    rows = [
        {"subject": subject} | {key: content.get(key) for key in keys}
        for subject, content in zip(subjects, map(read_json, baselines), strict=True)
    ]
    return _without_empty(rows, (*kinds, "heldout_psnr", "heldout_ssim"))


def _without_empty(rows: list[dict[str, Any]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows without those of the given columns that are empty in all rows."""
    empty = {c for c in columns if all(row[c] in (None, "") for row in rows)}
    return [{c: value for c, value in row.items() if c not in empty} for row in rows]


def _count(value: Any) -> int | None:
    """A count. A list is counted."""
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
