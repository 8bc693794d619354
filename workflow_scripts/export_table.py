"""Write one of the study's tables as Parquet.

Input:  table     a table of the study, CSV
Output: exported  the same as Parquet
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.exporters.tables import export_table
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake):
        export_table(Path(snakemake.input.table), Path(snakemake.output.exported))
