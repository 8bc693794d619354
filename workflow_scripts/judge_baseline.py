"""Measure what makes the views of a subject and their renders differ: mask, exposure or pose.

Input:  cameras    views/cameras.json; beside it the views' images
        renders    folder of the baseline's {view}.png
        history    history.tsv of the baseline's training
Output: judgement  {"views": {view: {"error", "mask", "exposure", "pose", "gain", "shift_px",
                   "region", "region_part"}}, "rise_db"}, see headstyle.report.judging.baseline
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from headstyle.base.cameras import read_cameras
from headstyle.base.files import write_json
from headstyle.base.images import read_views
from headstyle.report.figures import read_history
from headstyle.report.judging.baseline import measure_view, rise_db
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
        psnr = read_history(snakemake.input.history)["psnr"]
        rise = rise_db(psnr[np.isfinite(psnr)].tolist())
        judgement = {"views": measured, "rise_db": round(rise, 3)}
        write_json(snakemake.output.judgement, judgement)
        log.info("%d views compared with their renders", len(measured))
