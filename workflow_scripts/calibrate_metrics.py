"""Calibrate the metrics on ladders of known inconsistency and on traps.

Input:  cameras     cameras.json of each capture
        renders     folder of each capture's baseline renders
        depth       folder of each capture's baseline depth
Output: metrics     calibration.csv: per metric and kind of ladder how well the one sees the other
        traps       calibration_traps.csv: per trap and metric how far the one moves the other
        scores      calibration_scores.csv: every score on every ladder

Scores of each case are kept beside the results, so that a run that was stopped goes on.
"""

from pathlib import Path

from headstyle.calibration.cases import Capture, settings_from_config
from headstyle.calibration.runs import keep_only
from headstyle.calibration.summary import calibrate
from headstyle.files import write_table
from headstyle.stage import stage

if __name__ == "__main__":
    with stage(snakemake) as log:
        params = snakemake.params
        settings = settings_from_config(params.calibration, params.metrics)
        captures = [
            Capture(name, Path(cameras).parent, Path(renders).parent)
            for name, cameras, renders in zip(
                params.captures, snakemake.input.cameras, snakemake.input.renders, strict=True
            )
        ]
        folder = Path(params.folder)
        keep_only(folder, f"{params.library} {settings}")
        made = calibrate(settings, captures, params.calibration["fit"], folder, snakemake.threads)
        write_table(snakemake.output.metrics, made.metrics)
        write_table(snakemake.output.traps, made.traps)
        write_table(snakemake.output.scores, made.scores)
        log.info("%d scores on ladders", len(made.scores))
