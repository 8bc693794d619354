"""Photograph the edited procedural head from the views' cameras: what a perfect edit looks like.

Input:  rig      capture/rig.tsv; beside it truth/cameras.json, which took the photographs
        cameras  views/cameras.json, which of them became views and their size
Output: photographs   {view}.png: RGBA, straight alpha, of the view's size
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.cameras import read_cameras
from headstyle.base.files import whole_folder
from headstyle.base.images import write_image
from headstyle.base.progress import progress
from headstyle.capture.head import synthesize_head
from headstyle.capture.operators import Edit
from headstyle.capture.photograph import photograph_views
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        views = read_cameras(paths.cameras)
        truth = read_cameras(Path(paths.rig).parent / "truth" / "cameras.json")
        cameras = truth.select(views.names).scaled(views.sizes)
        log.info("head of seed %d, %s", params.seed, params.operator)
        mesh = synthesize_head(params.seed, params.coarseness, Edit(params.operator))
        taken = photograph_views(mesh, cameras, params.samples_per_side)
        with whole_folder(Path(snakemake.output.photographs)) as folder:
            for name, (image, _) in zip(progress(cameras.names, "views"), taken, strict=True):
                write_image(folder / f"{name}.png", image)
