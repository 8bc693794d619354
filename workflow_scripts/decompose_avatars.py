"""Say how much of what the edits disagree in the avatars' splats left out, and how much shows.

Input:  cameras      cameras.json of each subject's views, beside {view}.png: the photographs
        adjacency    adjacency.csv of each subject: which views are compared
        baselines    the baselines' renders
        depth        the baselines' depth
        renders      the avatars' renders
        edits        the avatars' edits
        kinds        kinds.npz of each avatar: how its renders disagree
Output: table        decomposition.csv: subject, prompt, strength, and of the edits, of what the
                     splats left out and of the renders the steps, the leading kind and the headline
                     score
        page         the same as a page
"""

from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from headstyle.base.adjacency import read_neighbors
from headstyle.base.cameras import read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.images import last_edits, read_views
from headstyle.base.progress import progress
from headstyle.base.tables.frames import write_table
from headstyle.consistency.parts.disagreement import TERMS
from headstyle.consistency.parts.kinds import read_kinds
from headstyle.consistency.scoring import read_depths
from headstyle.evaluation.decomposition import Rig, kinds_between, kinds_left_out, part_of
from headstyle.rendering.devices import best_device
from headstyle.report.pages import table_page, write_page
from headstyle.report.summaries import PAGES
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake


class Subject:
    """What the avatars of a subject share."""

    def __init__(self, folder: Path, metrics: Any) -> None:
        cameras = read_cameras(folder / "views" / "cameras.json")
        depths = read_depths(folder / "baseline" / "depth", cameras)
        self.rig = Rig(cameras, depths, metrics, torch.device(best_device()))
        self.photographs = read_views(folder / "views", cameras)
        self.baseline = read_views(folder / "baseline" / "renders", cameras)
        neighbors = read_neighbors(folder / "adjacency.csv", cameras.names)
        near = {(min(a, b), max(a, b)) for a, others in enumerate(neighbors) for b in others}
        self.pairs = sorted(near)

    def decompose(self, avatar: Path) -> dict[str, Any]:
        """The row of one avatar."""
        edits = last_edits(avatar / "edits", self.rig.cameras)
        renders = read_views(avatar / "renders", self.rig.cameras)
        shown = read_kinds(avatar / "consistency" / "kinds.npz").values()
        parts = {
            "edits": kinds_between(self.rig, edits, self.photographs, self.pairs),
            "left_out": kinds_left_out(self.rig, edits, self.photographs, renders, self.baseline),
            "shown": np.array([each.kinds for each in shown], np.float32).reshape(-1, len(TERMS)),
        }
        return {
            f"{name}_{key}": value
            for name, kinds in parts.items()
            for key, value in asdict(part_of(kinds)).items()
        }


if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        params, rows = snakemake.params, []
        folders = [Path(path).parents[1] for path in snakemake.input.cameras]
        for folder in progress(folders, "subjects"):
            subject = Subject(folder, params.metrics)
            for prompt, strength in product(params.prompts, params.strengths):
                parts = subject.decompose(folder / "avatars" / f"{prompt}_{strength}")
                labels = {"subject": folder.name, "prompt": prompt, "strength": strength}
                rows.append(labels | parts)
        table = pd.DataFrame(rows)
        write_table(snakemake.output.table, table)
        title, intro, empty = PAGES["decomposition"]
        page = table_page(title, intro, table.to_dict("records"), empty)
        write_page(snakemake.output.page, page)
        log.info("%d avatars", len(rows))
