"""Write the report's first page, and the picture of the whole pipeline.

Input:  strips             one picture per subject
        poses, baselines   poses.json and metrics.json per subject
        judgements         baseline_judgement.json per subject
        avatars            the study's table of avatars
        prompts            the table of prompts
Output: page      HTML
        picture   JPEG
"""

from typing import TYPE_CHECKING

from headstyle.base.errors import result_of
from headstyle.base.files import read_json
from headstyle.base.tables.rows import read_rows
from headstyle.report.contact_sheets import write_sheet
from headstyle.report.instructions import read_prompts
from headstyle.report.judging.baseline import baseline_note
from headstyle.report.labels import add_external
from headstyle.report.overview import overview_page
from headstyle.report.pages import write_page
from headstyle.report.sheets import stacked_strips
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        add_external(snakemake.params.external)
        paths, params = snakemake.input, snakemake.params
        subjects = {
            name: {"strip": strip, "poses": read_json(poses), "baseline": read_json(baseline)}
            for name, strip, poses, baseline in zip(
                params.subjects, paths.strips, paths.poses, paths.baselines, strict=True
            )
        }
        for entry, judgement in zip(subjects.values(), paths.judgements, strict=True):
            entry["baseline_note"] = baseline_note(
                entry["baseline"], read_json(judgement), entry["poses"], params.least_psnr
            )
        prompts = {p: row["text"] for p, row in read_prompts(paths.prompts).items()}
        page = overview_page(
            subjects,
            read_rows(paths.avatars, result_of("summarize")),
            prompts,
            params.metrics,
            params.shown,
            params.note,
            params.is_harmless,
        )
        write_page(snakemake.output.page, page)
        write_sheet(snakemake.output.picture, stacked_strips(paths.strips[: params.shown]))
        log.info("overview of %d subjects", len(subjects))
