"""Measure what makes the views of a subject and their renders differ: mask, exposure or pose.

Input:  cameras    views/cameras.json; beside it the views' images
        renders    folder of the baseline's {view}.png
Output: judgement  {view: {"error", "mask", "exposure", "pose", "gain", "shift_px", "region",
                   "region_part"}}, see headstyle.report.judging.baseline.measure_view
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.cameras import read_cameras
from headstyle.base.files import write_json
from headstyle.base.images import read_views
from headstyle.report.judging.baseline import measure_view
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        cameras = read_cameras(snakemake.input.cameras)
        views = read_views(Path(snakemake.input.cameras).parent, cameras)
        renders = read_views(snakemake.input.renders, cameras)
        pairs = zip(cameras.names, views, renders, strict=True)
        measured = {name: measure_view(view, render) for name, view, render in pairs}
        write_json(snakemake.output.judgement, measured)
        log.info("%d views compared with their renders", len(measured))
