"""Read and check a user's sequence: frames of GaussianAvatars, and a mesh per timestep.

Input:  files      what the frames and the meshes lie in
Output: sequence   sequence/sequence.json: frames and cameras; beside it
                   meshes.npz             vertices (T, V, 3) and faces (F, 3)
                   images/{frame}.png     RGBA, straight alpha
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.rigged.reading import import_sequence
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake, index="sequence") as log:
        entry = snakemake.params.entry
        log.info("frames of %s, meshes of %s", entry["frames"], entry["meshes"])
        folder = Path(snakemake.output.sequence).parent
        import_sequence(folder, entry["frames"], entry["meshes"])
