"""Score how well the baseline of a subject shows its photographs.

Input:  splats   splats.ply of the baseline, or field.safetensors
        metrics  metrics.json of the baseline, which names the held-out views
        cameras  views/cameras.json; beside it the views
Output: table    evaluation.csv: subject, view, split (train, heldout), region (masked, frame),
                 background, psnr [dB], ssim, l1, lpips_mini, lpips
        facts    evaluation.json: splats, fps (rendering, of `device`), ply_bytes, spz_bytes; of a
                 radiance field parameters, fps
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.cameras import read_cameras
from headstyle.base.files import read_json, write_json
from headstyle.base.images import read_views
from headstyle.base.progress import progress
from headstyle.base.tables.rows import write_cells
from headstyle.evaluation.scores import (
    SCORES,
    Networks,
    background_color,
    finite_or_none,
    score_view,
)
from headstyle.evaluation.speed import file_sizes, frames_per_second
from headstyle.radiance.scenes import moved, read_scene, scene_size
from headstyle.rendering.devices import best_device
from headstyle.rendering.renderer import render_views
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        given, params, out = snakemake.input, snakemake.params, snakemake.output
        device = best_device()
        cameras = read_cameras(given.cameras)
        images = read_views(Path(given.cameras).parent, cameras)
        held = set(read_json(given.metrics)["heldout"])
        scene = moved(read_scene(given.splats), device)
        networks = Networks.load(params.metrics, device)
        rows = []
        renders = render_views(scene, cameras)
        for view, image in zip(cameras.names, progress(images, "views"), strict=True):
            name, render, _, _ = next(renders)
            assert name == view
            split = "heldout" if view in held else "train"
            for background in params.backgrounds:
                color = background_color(background, view, params.seed)
                for region, scores in score_view(image, render, color, networks, device):
                    found = [finite_or_none(scores[key]) for key in SCORES]
                    cells = ["" if value is None else f"{value:.6g}" for value in found]
                    rows.append([params.subject, view, split, region, background, *cells])
        head = ["subject", "view", "split", "region", "background", *SCORES]
        write_cells(out.table, [head, *rows])
        fps = frames_per_second(scene, cameras)
        facts = {**scene_size(scene), "fps": round(fps, 2), "device": device}
        write_json(out.facts, facts | file_sizes(scene, Path(given.splats)))
        log.info("%d views, %.1f frames a second on %s", len(cameras), fps, device)
