"""Collect the flicker of all films in one table.

Input:  flicker  flicker.csv of each scene's film
Output: table    flicker.csv: one row per scene
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
        origin = result_of("film_scene")
        rows = [read_table(path, origin) for path in snakemake.input.flicker]
        write_table(snakemake.output.table, pd.concat(rows, ignore_index=True))
        log.info("%d films", len(rows))
