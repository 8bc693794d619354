"""Render a head that moves: all frames of its sequence, and another head's motion.

Input:  folder    folder of the sequence; in its folder driven, the same head moved by another one
        splats    splats.ply of the head
Output: renders   folder {split}/{frame}.png, RGBA with straight alpha; splits are train, val (novel
                  views), test (self-reenactment) and driven (cross-reenactment)
        depth     folder {split}/{frame}.npz: median, expected (z, 0 = no surface)
"""

from typing import TYPE_CHECKING

from headstyle.rendering.devices import best_device
from headstyle.rigged.scene import read_driven, read_scene, write_all_frames
from headstyle.rigged.sequence import read_sequence
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        given, out = snakemake.input, snakemake.output
        sequence, driven = read_sequence(given.folder), read_driven(given.folder)
        scene = read_scene(given.splats, sequence.meshes).to(best_device())
        write_all_frames(scene, sequence, driven, out.renders, out.depth)
        count = len(sequence.frames), len(driven.frames) if driven else 0
        log.info("%d frames, and %d of another head's motion", *count)
