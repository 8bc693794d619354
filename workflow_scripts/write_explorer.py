"""Write the explorer: one page on which a person sees where the views of avatars disagree.

Input:  subjects   what `explore_subject` collected, one file per subject
        avatars    the study's table of avatars
Output: page       HTML that needs no other file
"""

from typing import TYPE_CHECKING

from headstyle.base.errors import result_of
from headstyle.base.files import read_json
from headstyle.base.tables.rows import read_rows
from headstyle.report.explorer.page import explorer_page
from headstyle.report.labels import add_external
from headstyle.report.pages import write_page
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        add_external(snakemake.params.external)
        paths = snakemake.input
        page = explorer_page(
            "headstyle explorer",
            [read_json(path) for path in paths.subjects],
            read_rows(paths.avatars, result_of("summarize")),
            snakemake.params.metrics,
        )
        write_page(snakemake.output.page, page)
        log.info("explorer of %d subjects, %.1f MB", len(paths.subjects), len(page) / 1e6)
