"""Draw what each stage before stylization made of a subject.

Input:  masks        masks.json, beside the masks
        capture      rig.tsv of a procedural capture; none for the user's photographs
        cameras      cameras.json, beside the views
        renders, depth, history, metrics   of the baseline
Output: photographs, masks, views, baseline, depth   contact sheets (JPEG)
        training     curves of the baseline's training (PNG)
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.report import sheets
from headstyle.report.contact_sheets import write_sheet
from headstyle.report.figures import read_history, training_curves, write_figure
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, name = snakemake.input, snakemake.wildcards.subject
        subject = sheets.Subject(
            name, Path(paths.masks), Path(paths.cameras).parent, Path(paths.renders).parent
        )
        write_sheet(snakemake.output.photographs, sheets.photographs_sheet(subject))
        write_sheet(snakemake.output.masks, sheets.masks_sheet(subject))
        write_sheet(snakemake.output.views, sheets.views_sheet(subject))
        write_sheet(snakemake.output.baseline, sheets.baseline_sheet(subject))
        write_sheet(snakemake.output.depth, sheets.depth_sheet(subject))
        histories = {"baseline": read_history(paths.history)}
        title = f"{name}: training of the baseline"
        curves = training_curves(title, histories, ["loss", "psnr", "splats"])
        write_figure(snakemake.output.training, curves)
        log.info("%s: five sheets and the training curves", name)
