"""Train the unstylized splats of one subject on its views.

Input:  cameras   views/cameras.json; beside it the views' images and points.npz
Output: splats    splats.ply, 3DGS layout
        renders   folder of {view}.png, RGBA with straight alpha
        depth     folder of {view}.npz: median, expected (z, 0 = no surface)
        history   iteration, loss, psnr, splats, seconds
        metrics   metrics.json: PSNR and SSIM over the foreground, held-out views apart

While it trains, its state lies in the folder {output folder}.checkpoint, from which an interrupted
training goes on.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.cameras import read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import write_json
from headstyle.base.images import read_views
from headstyle.importers.cameras.splits import held_out_views
from headstyle.rendering.devices import best_device
from headstyle.rendering.splats import write_ply
from headstyle.training import baseline
from headstyle.training.trainer import TrainingSettings
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        folder, out = Path(snakemake.input.cameras).parent, snakemake.output
        results = Path(out.splats).parent
        cameras = read_cameras(snakemake.input.cameras)
        section = dict(snakemake.params.baseline)
        if section["holdout"] == "splits":
            section["holdout"] = held_out_views(snakemake.params.given_poses, cameras.names)
        settings = TrainingSettings.from_config(section)
        images = read_views(folder, cameras)
        points, colors = baseline.read_points(folder / "points.npz")
        trainer = baseline.train_on_views(
            *(cameras, images, points, colors, settings, snakemake.params.seed),
            device=best_device(),
            checkpoints=results.with_name(f"{results.name}.checkpoint"),
        )
        write_ply(out.splats, trainer.splats)
        renders = baseline.write_renders(trainer.splats, cameras, out.renders, out.depth)
        baseline.write_splat_history(out.history, trainer.history)
        scores = baseline.score_views(cameras, images, renders, settings.holdout, trainer.exposures)
        count = len(trainer.splats["means"])
        log.info("%d splats, foreground PSNR %.2f dB", count, scores["psnr"] or float("nan"))
        made = {
            "iterations": settings.iterations,
            "kept_iteration": trainer.kept_iteration or settings.iterations,
            "splats": count,
            "seconds": round(trainer.history[-1].seconds, 1),
        }
        write_json(out.metrics, made | scores)
