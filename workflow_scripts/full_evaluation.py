"""Collect the evaluations of all subjects in one table.

Input:  tables   evaluation.csv of each subject
        facts    evaluation.json of each subject, beside its table
Output: table    evaluation.csv: per subject and over all: split, region, background, views, mean
                 scores, splats, fps, ply_bytes, spz_bytes
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.tables.frames import write_table
from headstyle.evaluation.tables import summarize_evaluations
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake):
        folders = [Path(path).parent for path in snakemake.input.tables]
        write_table(snakemake.output.table, summarize_evaluations(folders))
