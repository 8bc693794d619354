"""Score the renders of one method for all subjects and prompts, by the baselines' geometry.

Input:  entries                            the method's renders and the true edits
        cameras, adjacency                 of each subject's views
        renders, depth, splats             of each subject's baseline
Output: pairs   pairs.csv: method, subject, prompt, target, source, overlap, coverage, metrics
        views   views.csv: method, subject, prompt, view, strength and sharpness of the edit, and
                PSNR, SSIM and LPIPS mini against the true edit, where it is known
"""

from typing import TYPE_CHECKING

import pandas as pd
from headstyle.base.devices import keep_freed_memory
from headstyle.base.errors import InputError
from headstyle.base.progress import progress
from headstyle.base.tables.frames import write_table
from headstyle.evaluation.scores import Networks
from headstyle.leaderboard.scores import EntryScene, score_scene
from headstyle.rendering.devices import best_device
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        method, params, device = snakemake.wildcards.method, snakemake.params, best_device()
        if not params.scenes:
            raise InputError(
                f"the method {method} has no renders of the study's subjects and prompts; name its"
                " folders {subject}/{prompt}, or take it out of leaderboard.methods"
            )
        networks = Networks.with_mini_only(device)
        scored = []
        for entry in progress(params.scenes, "scenes"):
            texts = entry["captions"]
            scene = EntryScene(**entry | {"captions": tuple(texts) if texts else None})
            scored.append(score_scene(method, scene, params.metrics, networks, device))
        for name, tables in zip(("pairs", "views"), zip(*scored, strict=True), strict=True):
            write_table(snakemake.output[name], pd.concat(tables, ignore_index=True))
        log.info("%s: %d scenes", method, len(scored))
