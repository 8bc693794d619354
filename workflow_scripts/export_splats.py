"""Write a scene's splats in a smaller format, as viewers read it.

Input:  splats    splats.ply, 3DGS layout
Output: exported  splats.splat: 32 bytes a splat, without direction-dependent color;
                  or splats.spz, splats.sog: compressed, with it
"""

from typing import TYPE_CHECKING

from headstyle.rendering.splat_files import read_splats, write_splats
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        splats = read_splats(snakemake.input.splats)
        write_splats(snakemake.output.exported, splats)
        log.info("%d splats", len(splats["means"]))
