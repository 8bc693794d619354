"""Write a scene in the small `.splat` format of web viewers.

Input:  splats    splats.ply, 3DGS layout
Output: exported  splats.splat: 32 bytes a splat, without direction-dependent color
"""

from typing import TYPE_CHECKING

from headstyle.rendering.splats import read_ply, write_splat
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        splats = read_ply(snakemake.input.splats)
        write_splat(snakemake.output.exported, splats)
        log.info("%d splats", len(splats["means"]))
