"""Score how well a head that moves shows its photographs from new views and in new expressions.

Input:  folder    folder of the sequence
        splats    splats.ply of the head
        renders   folder {split}/{frame}.png of it
Output: table     evaluation.csv: subject, view, split (novel_view, self_reenactment), region
                  (masked, frame), background, psnr [dB], ssim, l1, lpips_mini, lpips
        facts     evaluation.json: splats, triangles, fps (rendering, of `device`), ply_bytes,
                  spz_bytes
"""

from typing import TYPE_CHECKING

from headstyle.base.files import write_json
from headstyle.base.tables.rows import write_cells
from headstyle.evaluation.scores import Networks
from headstyle.rendering.devices import best_device
from headstyle.rigged.evaluation import HEAD, scene_facts, score_frames
from headstyle.rigged.scene import read_scene
from headstyle.rigged.sequence import read_sequence
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        given, params, out = snakemake.input, snakemake.params, snakemake.output
        device = best_device()
        sequence = read_sequence(given.folder)
        rows = score_frames(
            *(params.subject, sequence, given.renders, params.backgrounds),
            *(Networks.load(params.metrics, device), params.seed, device),
        )
        write_cells(out.table, [HEAD, *rows])
        scene = read_scene(given.splats, sequence.meshes).to(device)
        facts = scene_facts(scene, given.splats, sequence)
        write_json(out.facts, facts)
        log.info("%d splats, %.1f frames a second on %s", facts["splats"], facts["fps"], device)
