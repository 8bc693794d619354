"""Labels of the tables' columns for readers: names, units and meanings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INK, SOFT_INK = "#1b2733", "#5d6b7a"
"""Colors of text, and of text that stands back, on pictures and figures; as in `page.css`."""


@dataclass(frozen=True)
class Label:
    """A column's name for readers."""

    name: str
    """Name on axes and in the heads of tables."""
    unit: str = ""
    """Unit or range, or empty."""
    meaning: str = ""
    """Explanation, or empty."""
    higher_is_better: bool = False
    """For metrics: whether higher values mean that views differ less."""

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


METRICS = {
    "headline": Label(
        "Headline score", "0–1", "1: as consistent as the baseline; shuffled views: about 0.1", True
    ),
    "rmse": Label("RMSE", "0–1", "root mean square difference of the colors (0–1) after warping"),
    "ciede2000": Label("CIEDE2000", "ΔE", "mean perceptual color difference; 1 is just noticeable"),
    "lpips": Label("LPIPS", "", "distance of deep features, as published"),
    "rmse_corrected": Label("RMSE, corrected", "0–1", "sub-pixel warp, without hidden surface"),
    "ciede2000_corrected": Label("CIEDE2000, corrected", "ΔE", "with the corrected warp"),
    "lpips_corrected": Label("LPIPS, corrected", "", "only over the pixels that both views show"),
    "lpips_mini": Label("LPIPS mini", "", "LPIPS with headstyle's own small network"),
    "lpips_mini_corrected": Label(
        "LPIPS mini, corrected", "", "only over the pixels that both views show"
    ),
    "ssim": Label("SSIM", "0–1", "structural similarity; 1 for equal images", True),
    "gmsd": Label("GMSD", "", "difference of edges and textures; 0 for equal images"),
    "flip": Label("ꟻLIP", "0–1", "difference seen when flipping between the images"),
    "tsed": Label("TSED", "0–1", "fraction of pairs whose features match on epipolar lines", True),
    "refit_residual": Label("Re-fit residual", "0–1", "RMSE that no single scene explains"),
    "face_landmarks": Label("Face landmarks", "%", "distance of eyes, nose and mouth in two views"),
    "face_identity": Label("Face identity", "cos", "similarity of the person in both views", True),
    "clip_consistency": Label(
        "CLIP consistency", "cos", "similarity of the edit in both views", True
    ),
    "dreamsim": Label("DreamSim", "0–2", "perceptual difference of the shared parts as wholes"),
    "registration": Label("Registered views", "0–1", "views that COLMAP finds a pose for", True),
    "registration_matches": Label(
        "Verified matches",
        "ratio",
        "COLMAP's matches of the pair, over those before the edit",
        True,
    ),
    "registration_points": Label(
        "Points in a view", "ratio", "COLMAP's points, over those before the edit", True
    ),
    "clip_similarity": Label("CLIP similarity", "cos", "how well the edit follows its text", True),
    "clip_direction": Label(
        "CLIP direction", "cos", "how well it leads between its captions", True
    ),
    "clip_caption": Label("CLIP caption", "cos", "how well the view shows the caption after", True),
    "clip_image": Label("CLIP image", "cos", "how much of the unedited view is left", True),
    "short_clip_consistency": Label("CLIP consistency, 1 frame", "cos", "along the film", True),
    "long_clip_consistency": Label("CLIP consistency, 7 frames", "cos", "along the film", True),
}
"""The metrics. Lower means more consistent, unless `higher_is_better` is set."""

_COLUMNS = {
    "subject": Label("Subject"),
    "prompt": Label("Prompt", "", "none: the baseline; photographs: the floor"),
    "strength": Label("Strength", "", "pair of guidance scales of the edit"),
    "view": Label("View"),
    "views": Label("Views", "", "number of views in the mean"),
    "neighbours": Label("Neighbors", "", "adjacent views that share surface with this one"),
    "pairs_used": Label("Pairs used", "", "pairs that share enough for the corrected metrics"),
    "pairs_left_out": Label("Pairs left out", "", "pairs that share too little of the head"),
    "coverage": Label("Coverage", "0–1", "overlap as the corrected metrics compute it"),
    "edit_strength": Label("Edit strength", "ΔE", "mean color difference from the unedited views"),
    "edit_strength_ssim": Label(
        "Edit strength, 1 − SSIM", "0–2", "mean structural difference from the unedited views"
    ),
    "sharpness": Label("Sharpness", "", "gradient energy relative to the unedited views"),
    "quality": Label("Quality", "1–4", "human rating, 4 best"),
    "metric": Label("Metric"),
    "overlap": Label("Overlap", "0–1", "fraction of the target's foreground that is compared"),
    "mean": Label("Mean", "of the metric", "over the avatars of this rating: the threshold"),
    "n": Label("Avatars", "", "number of avatars in the computation"),
    "pairs": Label("Pairs", "", "subjects with a prompt at both strengths"),
    "view_pairs": Label("Pairs", "of views", "target and neighbor"),
    "lower_at_low": Label("Lower at low", "pairs", "pairs whose low-strength avatar scores lower"),
    "mean_difference": Label("Difference of means", "", "high minus low, in the metric's unit"),
    "q1_difference": Label("Difference of lower quartiles", "", "high minus low"),
    "median_difference": Label("Difference of medians", "", "high minus low"),
    "q3_difference": Label("Difference of upper quartiles", "", "high minus low"),
    "wilcoxon": Label("Wilcoxon W", "", "signed-rank statistic over the pairs"),
    "wilcoxon_p": Label("p", "two-sided", "p-value of the signed-rank test"),
    "rank_biserial": Label("Effect size r", "−1–1", "rank-biserial; 1: every pair lower at low"),
    "spearman": Label("Spearman ρ", "−1–1", "rank correlation with quality"),
    "spearman_p": Label("p of ρ"),
    "kendall": Label("Kendall τ", "−1–1", "rank correlation with quality (tau-b)"),
    "kendall_p": Label("p of τ"),
    "scene": Label("Scene"),
    "shown": Label("Shown"),
    "depth": Label("Depth from"),
    "agreement": Label("Agreement", "0–1", "points at which two views' depth or features agree"),
    "empty_pairs": Label("Pairs without overlap", "", "not part of the means"),
    "prompt_text": Label("Instruction"),
    "psnr": Label("PSNR", "dB", "on the foreground of the training views"),
    "heldout_psnr": Label("PSNR held out", "dB", "on views kept out of training"),
    "heldout_ssim": Label("SSIM held out", "0–1", "on views kept out of training"),
    "seconds": Label("Training", "s"),
    "iterations": Label("Iterations"),
    "splats": Label("Splats"),
    "parameters": Label("Parameters"),
    "registered": Label("Registered", "views"),
    "dropped": Label("Dropped", "views"),
    "reasons": Label("Why dropped"),
    "mean_reprojection_error_px": Label("Reprojection error", "px", "mean over all points"),
    "points": Label("Points", "", "structure-from-motion points"),
    "cameras": Label("Cameras", "", "camera models (lens and size)"),
    "rotation_median_deg": Label("Rotation error, median", "°", "against the true cameras"),
    "rotation_max_deg": Label("Rotation error, max", "°", "against the true cameras"),
    "center_median_percent": Label("Center error, median", "% of radius", "against the truth"),
    "center_max_percent": Label("Center error, max", "% of radius", "against the truth"),
    "half": Label("Half", "", "fit: constants were chosen on it; held out: no constant was"),
    "ladder": Label("Ladder", "", "kind of known inconsistency; consistent: none"),
    "ladders": Label("Ladders", "", "number of ladders over all heads, edits and seeds"),
    "spearman_within": Label(
        "ρ within", "−1–1", "rank correlation with the level, mean of ladders"
    ),
    "spearman_within_min": Label("Worst ρ within", "−1–1", "lowest of all ladders"),
    "spearman_across": Label(
        "ρ across", "−1–1", "rank correlation over all heads, edits and captures together"
    ),
    "auc": Label(
        "AUC", "0–1", "probability that an inconsistent scene scores worse than a consistent one"
    ),
    "smallest_level": Label(
        "Detected from", "level", "there, 95 % of scenes score worse than 95 % of consistent ones"
    ),
    "smallest_amount": Label("Amount there", "of the ladder", "that level in the ladder's units"),
    "trap": Label("Trap", "", "a change that must not change a score"),
    "scenes": Label("Scenes"),
    "mean_steps": Label("Moved by", "steps", "mean; positive is worse; one step is one level"),
    "low_steps": Label("At least", "steps"),
    "high_steps": Label("At most", "steps"),
    "beyond_step": Label("Beyond one step", "", "scenes that the trap moves by more than one step"),
    "key": Label("Setting"),
    "value": Label("Value"),
    "in_first": Label("First run"),
    "in_second": Label("Second run"),
    "difference": Label("Difference", "", "second minus first"),
    "interval": Label("95 % interval", "", "of the difference"),
    "method": Label("Method"),
    "truth_psnr": Label("PSNR, true edit", "dB", "against the head edited in 3D"),
    "truth_ssim": Label("SSIM, true edit", "0–1", "against the head edited in 3D"),
    "truth_lpips_mini": Label("LPIPS mini, true edit", "", "against the head edited in 3D"),
    "study": Label("In the study", "", "the published study's value, if it differs"),
}
_DISTANCES = {"short": "1 frame apart", "long": "7 frames apart"}
_PARTS = {
    "_ci_low": ("95 % from", "lower end of the mean's confidence interval"),
    "_ci_high": ("95 % to", "upper end of the mean's confidence interval"),
    "_sd": ("SD", "standard deviation over views"),
    "_excess": ("excess", "difference from the same pairs before the edit"),
    "_ceiling": ("ceiling", "score of shuffled views: no consistency at all"),
}


def add_external(entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Give the metrics that were computed elsewhere their labels, for the rest of this process.

    Args:
        entries: The config's section `metrics.external`.
    """
    for name, entry in entries.items():
        METRICS[name] = Label(
            entry.get("label") or name,
            entry.get("unit", ""),
            "computed outside headstyle",
            entry["direction"] == "higher",
        )


def metric_label(metric: str) -> Label:
    """The label of a metric. An unknown metric keeps its column's name."""
    return METRICS.get(metric) or Label(metric)


def column_label(column: str) -> Label:
    """The label of a table's column, such as `rmse`, or its derived column `rmse_sd`."""
    if column in _COLUMNS:
        return _COLUMNS[column]
    distance, _, metric = column.removesuffix("_excess").partition("_")
    if distance in _DISTANCES and metric in METRICS:
        label = METRICS[metric]
        name = f"{label.name}, {_DISTANCES[distance]}"
        excess = " excess" if column.endswith("_excess") else ""
        return Label(name + excess, label.unit, "flicker of the film, the earlier frame warped")
    for ending, (name, meaning) in _PARTS.items():
        if column.endswith(ending):
            whole = metric_label(column.removesuffix(ending))
            return Label(f"{whole.name} {name}", whole.unit, meaning)
    if column in METRICS:
        return METRICS[column]
    words = column.replace("_", " ")
    return Label(words[:1].upper() + words[1:])
