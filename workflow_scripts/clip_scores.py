"""Collect the CLIP scores of all films in one table.

Input:  scores  clip.csv of each avatar's film
Output: table   clip.csv: one row per avatar
"""

from typing import TYPE_CHECKING

import pandas as pd
from headstyle.base.errors import result_of
from headstyle.base.tables.frames import read_table, write_table
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        rows = [read_table(path, result_of("clip_of_film")) for path in snakemake.input.scores]
        write_table(snakemake.output.table, pd.concat(rows, ignore_index=True))
        log.info("%d films", len(rows))
