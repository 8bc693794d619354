"""Train the unstylized scene of one subject on its views, or take known splats.

Input:  cameras   views/cameras.json; beside it the views' images and points.npz
        known     a file of known splats to start from, or of a training's state to go on from; may
                  be missing
Output: splats    splats.ply, 3DGS layout; or field.safetensors, a radiance field
        renders   folder of {view}.png, RGBA with straight alpha
        depth     folder of {view}.npz: median, expected (z, 0 = no surface)
        history   iteration, loss, psnr, splats, seconds
        metrics   metrics.json: PSNR and SSIM over the foreground, held-out views apart

The scenes of `save_iterations` lie beside the splats as iterations/{iteration}.ply, the states of
`checkpoint_iterations` as iterations/{iteration}.safetensors.

While it trains, its state lies in the folder {output folder}.checkpoint, from which an interrupted
training goes on.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.cameras import read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.errors import InputError
from headstyle.base.files import write_json
from headstyle.base.images import read_views
from headstyle.importers.given_poses import held_out_views
from headstyle.importers.points import in_foreground
from headstyle.radiance.baseline import train_field_on_views
from headstyle.radiance.scenes import Scene, scene_size, write_scene
from headstyle.radiance.settings import FIELD_SUFFIX, NerfSettings
from headstyle.rendering.devices import best_device
from headstyle.rendering.splat_files import read_splats
from headstyle.rendering.splats import to_splats
from headstyle.training import baseline
from headstyle.training.checkpoints import STATE_SUFFIX
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
        path, start, state = snakemake.input.get("known"), None, None
        if path and Path(path).suffix.lower() == STATE_SUFFIX:
            state = path
        elif path:
            known = read_splats(path)
            arrays = {name: value.detach().numpy() for name, value in known.items()}
            kept = in_foreground(path, arrays["means"].astype(float), cameras, images)
            log.info("%d of %d known splats belong to the head", kept.sum(), len(kept))
            start = to_splats({name: values[kept] for name, values in arrays.items()})
        scene: Scene
        exposures = None
        if Path(out.splats).suffix == FIELD_SUFFIX:
            nerf = NerfSettings.from_config(snakemake.params.nerf)
            points, _ = baseline.read_points(folder / "points.npz")
            fitted = train_field_on_views(
                *(cameras, images, points, nerf, snakemake.params.seed),
                device=best_device(),
                holdout=settings.holdout,
                background=settings.background,
            )
            scene, history = fitted.scene, fitted.history
            iterations = kept_iteration = nerf.iterations
        elif settings.iterations:
            points, colors = baseline.read_points(folder / "points.npz")
            trainer = baseline.train_on_views(
                *(cameras, images, points, colors, settings, snakemake.params.seed),
                device=best_device(),
                checkpoints=results.with_name(f"{results.name}.checkpoint"),
                start=start,
                saved_scenes=results / "iterations",
                state=state,
            )
            scene, exposures, history = trainer.splats, trainer.exposures, trainer.history
            iterations = settings.iterations
            kept_iteration = trainer.kept_iteration or iterations
        elif start is None:
            raise InputError(
                "baseline.iterations is 0, but the subject has no known splats (the state of a"
                " training is none); name their file in"
                " the column splats of the subjects table, or train some iterations"
            )
        else:
            scene, history, iterations, kept_iteration = start.to(best_device()), [], 0, 0
        write_scene(out.splats, scene)
        renders = baseline.write_renders(scene, cameras, out.renders, out.depth)
        baseline.write_splat_history(out.history, history)
        scores = baseline.score_views(cameras, images, renders, settings.holdout, exposures)
        size = scene_size(scene)
        log.info("%s, foreground PSNR %.2f dB", size, scores["psnr"] or float("nan"))
        made = {
            "iterations": iterations,
            "kept_iteration": kept_iteration,
            **size,
            "seconds": round(history[-1].seconds, 1) if history else 0.0,
        }
        write_json(out.metrics, made | scores)
