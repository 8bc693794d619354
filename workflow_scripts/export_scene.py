"""Write a scene for another program.

Input:  splats    splats.ply of the scene; beside it renders/ and depth/
        cameras   views/cameras.json of the subject; beside it the views
Output: exported  a folder or file in the format
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.exporters.formats import export
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        scene = Path(snakemake.input.splats).parent
        # Snakemake has made the folder of the output.
        made = export(scene, snakemake.params.format)
        log.info("%s", made)
