"""Map where on the head an avatar's views disagree.

Input:  splats     splats.ply of the avatar
        images     folder of {view}.png: its renders
        depth      folder of {view}.npz
        cameras    cameras.json of the views
        adjacency  adjacency.csv: which views are compared
        unedited   folder of {view}.png: the baseline's renders
Output: splats     inconsistency.ply: the same splats in the same order, with further properties:
                   `inconsistency` [ΔE00], and others of `headstyle.consistency.head_map`
        summary    inconsistency.json: splats, compared, mean, median, p95, share, scale, and the
                   mean of each further property
        picture    the maps over some views (JPEG)
"""

from typing import TYPE_CHECKING

import torch
from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import write_json
from headstyle.consistency.head_map import EXCESS, NAME, head_map
from headstyle.consistency.measuring import read_comparison
from headstyle.consistency.pair_batches import make_scene
from headstyle.consistency.splat_weights import rendered_values
from headstyle.rendering.devices import best_device
from headstyle.rendering.splats import read_ply, write_ply
from headstyle.report.contact_sheets import write_sheet
from headstyle.report.maps.heat import ViewMaps, inconsistency_sheet
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        paths, params = snakemake.input, snakemake.params
        views = read_comparison(
            *(paths.cameras, paths.images, paths.depth, paths.adjacency), unedited=paths.unedited
        )
        cameras, device = views.cameras, torch.device(best_device())
        scene = make_scene(
            *(views.images, views.depths, cameras, params.metrics["foreground_alpha"], device),
            unedited=views.unedited,
        )
        positions = [
            (cameras.index(target), cameras.index(source)) for target, source in views.pairs
        ]
        splats = read_ply(paths.splats).to(device)
        found = head_map(scene, splats, positions, params.metrics)
        summary = found.summary()
        write_ply(snakemake.output.splats, splats, found.properties)
        write_json(snakemake.output.summary, summary)
        shown = [
            rendered_values(splats, cameras, found.properties[name]) for name in (NAME, EXCESS)
        ]
        columns = (cameras.names, views.images, found.views, *shown)
        maps = {name: ViewMaps(*parts) for name, *parts in zip(*columns, strict=True)}
        title = f"{snakemake.wildcards.subject}, {params.title}: where views disagree"
        write_sheet(snakemake.output.picture, inconsistency_sheet(title, cameras, maps, summary))
        log.info("median %.2f, 95th percentile %.2f ΔE00", summary["median"], summary["p95"])
