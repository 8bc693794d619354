"""Draw the avatars of a subject: edits beside renders, all at a glance, curves, and a page to walk.

Input:  masks, capture, cameras, renders   of the stages up to the baseline
        edits, avatar_renders, histories   of every avatar
        prompts, subjects   the study's tables
Output: sheets       one contact sheet per avatar (JPEG)
        overview     all avatars of the subject (JPEG)
        strip        the pipeline on one view (JPEG)
        training     curves of the avatars' training (PNG)
        compare      one page per prompt that walks through the views (HTML)
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.report import sheets
from headstyle.report.compare import compare_page
from headstyle.report.contact_sheets import write_sheet
from headstyle.report.figures import read_history, training_curves, write_figure
from headstyle.report.instructions import avatars_of
from headstyle.report.pages import write_page
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        name, baseline = snakemake.wildcards.subject, Path(snakemake.input.renders).parent
        subject = sheets.Subject(name, Path(paths.masks), Path(paths.cameras).parent, baseline)
        avatars = avatars_of(
            name, baseline.parent, paths.prompts, paths.subjects, params.prompts, params.strengths
        )
        for avatar, path in zip(avatars, snakemake.output.get("sheets", []), strict=True):
            write_sheet(path, sheets.avatar_sheet(subject, avatar))
        write_sheet(snakemake.output.overview, sheets.avatars_sheet(subject, avatars))
        write_sheet(snakemake.output.strip, sheets.strip_sheet(subject, avatars))
        histories = {
            avatar.name.replace("_", " "): read_history(avatar.folder / "history.tsv")
            for avatar in avatars
        }
        title = f"{name}: training of the avatars"
        curves = training_curves(title, histories, ["loss", "psnr"], params.edited_at)
        write_figure(snakemake.output.training, curves)
        for prompt, path in zip(params.prompts, snakemake.output.get("compare", []), strict=True):
            chosen = [avatar for avatar in avatars if avatar.prompt == prompt]
            write_page(path, compare_page(subject, chosen, params.page_bytes))
        log.info("%s: sheets, curves and page of %d avatars", name, len(avatars))
