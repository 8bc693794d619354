"""Photograph a procedural head that moves, and write the true mesh of every timestep.

Output: sequence   sequence/sequence.json: frames and cameras; beside it
                   meshes.npz             vertices (T, V, 3) and faces (F, 3)
                   images/{frame}.png     RGBA, straight alpha
                   driven/                the same head, moved by another one, in the same form
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.rigged.synthesis import SynthesisSettings, synthesize_sequence
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake, index="sequence") as log:
        params = snakemake.params
        settings = SynthesisSettings(**params.sequence)
        log.info("head of seed %d, driven by that of seed %d", params.seed, params.driver_seed)
        folder = Path(snakemake.output.sequence).parent
        synthesize_sequence(folder, params.seed, params.driver_seed, settings)
