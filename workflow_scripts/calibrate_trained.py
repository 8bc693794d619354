"""Calibrate the metrics on avatars that were trained on edits of known inconsistency.

Output: metrics  calibration_trained.csv: per metric and kind of ladder how well the one sees the
                 other, and its rank correlation with the avatars' distance to the true edit
        traps    calibration_trained_traps.csv: how far each trap moves each metric
        scores   calibration_trained_scores.csv: every avatar

Scores of each avatar are kept beside the results, so that a run that was stopped goes on.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.tables.frames import write_table
from headstyle.calibration.runs import keep_only
from headstyle.calibration.trained.cases import trained_settings
from headstyle.calibration.trained.summary import calibrate_trained
from headstyle.rendering.devices import best_device
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        params, out = snakemake.params, snakemake.output
        sections = {key: params[key] for key in ("baseline", "stylization", "metrics")}
        settings = trained_settings({"calibration": {"trained": params.calibration}} | sections)
        folder = Path(params.folder)
        keep_only(folder, f"{params.library} {settings}")
        made = calibrate_trained(settings, folder, best_device(), snakemake.threads)
        write_table(out.metrics, made.metrics)
        write_table(out.traps, made.traps)
        write_table(out.scores, made.scores)
        log.info("%d avatars trained and scored", len(made.scores))
