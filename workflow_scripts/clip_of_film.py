"""Measure by CLIP how an edit goes along a film, against the baseline's film on the same path.

Input:  frames     folder of {frame}.png and cameras.json of the avatar's film
        unedited   the same of the baseline's film
Output: scores     clip.csv, one row: subject, prompt, strength, frames, clip_direction,
                   short_clip_consistency, long_clip_consistency
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from headstyle.base.cameras import read_cameras
from headstyle.base.images import read_views
from headstyle.base.tables.frames import write_table
from headstyle.consistency.parts.clip import Clip
from headstyle.consistency.parts.clip_path import clip_along_path
from headstyle.rendering.devices import best_device
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        clip = Clip.of(params.metrics, torch.device(best_device()))
        rig = read_cameras(Path(paths.frames, "cameras.json"))
        edited, unedited = (read_views(folder, rig) for folder in (paths.frames, paths.unedited))
        scores = clip_along_path(
            *(clip, edited, unedited, tuple(params.captions) if params.captions else None),
            whole=params.metrics["clip_frame"] == "whole",
        )
        labels = dict(zip(("subject", "prompt", "strength"), params.labels, strict=True))
        row = {**labels, "frames": len(rig), **scores}
        write_table(snakemake.output.scores, pd.DataFrame([row]))
        log.info(", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
