"""Collect the consistency over time of all heads that move in one table.

Input:  tables  temporal.csv of each scene
Output: table   temporal.csv: one row per scene
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
        rows = [read_table(path, result_of("measure_over_time")) for path in snakemake.input.tables]
        write_table(snakemake.output.table, pd.concat(rows, ignore_index=True))
        log.info("%d scenes", len(rows))
