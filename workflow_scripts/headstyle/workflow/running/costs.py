"""What a job of each rule takes beside the others, for the time that a run has left."""

from collections.abc import Mapping

RELATIVE_COSTS: Mapping[str, float] = {
    "agree_masks": 3,
    "calibrate_metrics": 3600,
    "calibrate_trained": 3600,
    "camera_adjacency": 1.3,
    "check_models": 5,
    "compare_poses": 0.5,
    "develop_photographs": 20,
    "download_models": 300,
    "downscale_views": 1,
    "draw_avatars": 4,
    "draw_stages": 2,
    "estimate_poses": 10,
    "evaluate_baseline": 10,
    "evaluate_rigged": 10,
    "explore_renders": 4,
    "explore_subject": 11,
    "export_scene": 2,
    "export_splats": 1,
    "export_table": 1,
    "export_turntable": 20,
    "film_beside_baseline": 20,
    "film_scene": 20,
    "fit_unedited": 20,
    "full_evaluation": 1,
    "import_renders": 2,
    "import_sequence": 10,
    "judge_baseline": 1,
    "map_inconsistency": 20,
    "mask_views": 3,
    "measure_consistency": 22,
    "measure_over_time": 12,
    "measure_renders": 22,
    "measure_unedited": 22,
    "photograph_true_edits": 4,
    "plot_costs": 1,
    "plot_study": 14,
    "reference_tables": 1,
    "render_rigged": 10,
    "score_renders": 2,
    "stylize_avatar": 44,
    "stylize_rigged": 44,
    "summarize": 2,
    "sweep_strengths": 60,
    "synthesize_capture": 15,
    "synthesize_sequence": 25,
    "tabulate_over_time": 1,
    "train_baseline": 20,
    "train_editor": 3600,
    "train_matting": 3600,
    "train_perceptual": 3600,
    "train_rigged": 60,
    "write_explorer": 1,
    "write_overview": 1,
    "write_rigged_page": 2,
    "write_table_pages": 0.5,
}
"""Mean seconds of a job of each rule: measured in the demo on two cores (2026-11-29), estimated for
rules that the demo does not run. Only their ratios count."""
TYPICAL_COST = 5.0
"""Of a rule that is not in the table."""
NO_WORK = ("all", "study")
"""Targets, which only name what others make."""


def relative_cost(rule: str) -> float:
    """The cost of a rule's job; a module may have given the rule a prefix."""
    known = {**RELATIVE_COSTS, **dict.fromkeys(NO_WORK, 0.0)}
    # `plot_study` is no module's `study`.
    fitting = [name for name in known if rule == name or rule.endswith(f"_{name}")]
    return known[max(fitting, key=len)] if fitting else TYPICAL_COST
