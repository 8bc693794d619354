"""Train splats bound to the mesh of a head that moves.

Input:  folder    folder with sequence.json, meshes.npz and the frames' images
Output: splats    splats.ply: 3DGS layout in the frames of the mesh's triangles, and the column
                  triangle
        history   iteration, loss, psnr, splats, seconds
        metrics   metrics.json: PSNR and SSIM over the foreground, per split

While it trains, its state lies in the folder {output folder}.checkpoint, from which an interrupted
training goes on.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import write_json
from headstyle.rendering.devices import best_device
from headstyle.rigged.scene import frame_image, render_frames, write_scene
from headstyle.rigged.sequence import SPLITS, joined_cameras, read_sequence
from headstyle.rigged.settings import BindingSettings, rigged_training
from headstyle.rigged.training import train_on_sequence
from headstyle.training import baseline
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        params, out = snakemake.params, snakemake.output
        results = Path(out.splats).parent
        sequence = read_sequence(snakemake.input.folder)
        trainer = train_on_sequence(
            sequence,
            rigged_training(params.baseline, params.rigged),
            BindingSettings.from_config(params.rigged),
            params.seed,
            best_device(),
            results.with_name(f"{results.name}.checkpoint"),
        )
        write_scene(out.splats, trainer.scene)
        baseline.write_splat_history(out.history, trainer.history)
        scores = {}
        for split in SPLITS:
            if not (frames := sequence.of_split(split)):
                continue
            rendered = render_frames(trainer.scene, frames, trainer.frames)
            images = [frame_image(frame) for frame in frames]
            shown = {frame.name: image for frame, image, _, _ in rendered}
            found = baseline.score_views(joined_cameras(frames), images, shown, 0)
            scores[split] = {key: found[key] for key in ("psnr", "ssim")}
            log.info("%s: foreground PSNR %.2f dB", split, found["psnr"] or float("nan"))
        made = {
            "iterations": trainer.iteration,
            "splats": len(trainer.scene.triangles),
            "triangles": len(sequence.meshes.faces),
            "seconds": round(trainer.seconds, 1),
        }
        write_json(out.metrics, made | scores)
