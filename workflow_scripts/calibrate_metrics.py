"""Calibrate the metrics on ladders of known inconsistency and on traps.

Input:  cameras     cameras.json of each capture
        renders     folder of each capture's baseline renders
        depth       folder of each capture's baseline depth
Output: metrics     calibration.csv: per metric and kind of ladder how well the one sees the other
        traps       calibration_traps.csv: per trap and metric how far the one moves the other
        scores      calibration_scores.csv: every score on every ladder
        figures     PNG files named by figure: ladders, seen, traps, climbs
        page        all of it to look at

Scores of each case are kept beside the results, so that a run that was stopped goes on.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.files import whole_file
from headstyle.base.tables.frames import write_table
from headstyle.calibration.cases import Capture, Case, settings_from_config
from headstyle.calibration.figures import climbs, moved_by_traps, seen
from headstyle.calibration.page import calibration_page
from headstyle.calibration.pictures import ladders_sheet
from headstyle.calibration.runs import keep_only
from headstyle.calibration.summary import calibrate
from headstyle.report.figures import write_figure
from headstyle.report.pages import write_page
from headstyle.workflow.stage import stage
from PIL import Image

if TYPE_CHECKING:
    from snakemake.script import snakemake

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
        names, largest = settings.metrics["names"], settings.largest
        example = Case(settings.heads[-1], settings.prompts[-1], settings)
        paths = {Path(path).stem: path for path in snakemake.output.figures}
        with whole_file(paths["ladders"]) as partial:
            ladders_sheet(example).save(partial)
        write_figure(paths["seen"], seen(made.metrics, "held_out"))
        write_figure(paths["traps"], moved_by_traps(made.traps, "held_out"))
        write_figure(paths["climbs"], climbs(made.scores, names, largest))
        pictures = {name: Image.open(path) for name, path in paths.items()}
        write_page(snakemake.output.page, calibration_page(made.metrics, made.traps, pictures))
        log.info("%d scores on ladders", len(made.scores))
