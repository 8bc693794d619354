"""Plot the study's figures for each metric.

Input:  avatars, views   the study's tables
        prompts          the table of prompts
Output: figures          PNG files named {metric}_{figure}
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.errors import result_of
from headstyle.base.tables.frames import read_table
from headstyle.report import plots
from headstyle.report.figures import write_figure
from headstyle.report.instructions import read_prompts
from headstyle.report.labels import add_external
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

_STUDY = result_of("summarize")

if __name__ == "__main__":
    with stage(snakemake) as log:
        add_external(snakemake.params.external)
        avatars = read_table(snakemake.input.avatars, _STUDY)
        views = read_table(snakemake.input.views, _STUDY)
        names = {p: row.get("name", "") for p, row in read_prompts(snakemake.input.prompts).items()}
        for path in snakemake.output.figures:
            metric = next(
                m for m in snakemake.params.metrics if Path(path).name.startswith(f"{m}.")
            )
            figure = Path(path).name.split(".")[1]
            if figure == "by_prompt":
                write_figure(path, plots.by_prompt(views, metric, names))
            else:
                write_figure(path, plots.FIGURES[figure](avatars, metric))
        log.info("%d figures", len(snakemake.output.figures))
