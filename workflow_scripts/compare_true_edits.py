"""Compare avatars, their last edits and the unedited renders with the true edits, where known.

Input:  truths    folders {subject}/true_edits/{prompt}
        cameras   cameras.json of each subject's views
        unedited  the baselines' renders
        renders   the avatars' renders
        edits     the avatars' edits
Output: table     true_edits.csv: subject, prompt, strength, shown, views, PSNR, SSIM, LPIPS mini
        page      the same as a page
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.images import RgbaImage, last_edits, read_views
from headstyle.base.progress import progress
from headstyle.base.study import BASELINE
from headstyle.base.tables.frames import write_table
from headstyle.evaluation.scores import Networks
from headstyle.evaluation.true_edits import TRUTH_SCORES, score_against_truth
from headstyle.rendering.devices import best_device
from headstyle.report.pages import table_page, write_page
from headstyle.report.summaries import PAGES
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake


def shown(
    folder: Path, prompt: str, strengths: list[str], cameras: Cameras
) -> Iterator[tuple[str, str, list[RgbaImage]]]:
    """Strength, name and images of all that is compared with one true edit."""
    yield BASELINE, "unedited", read_views(folder / "baseline" / "renders", cameras)
    for strength in strengths:
        avatar = folder / "avatars" / f"{prompt}_{strength}"
        yield strength, "last edits", last_edits(avatar / "edits", cameras)
        yield strength, "avatar", read_views(avatar / "renders", cameras)


if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        paths, params, device = snakemake.input, snakemake.params, best_device()
        networks = Networks.with_mini_only(device)
        rigs = {Path(path).parents[1]: read_cameras(path) for path in paths.cameras}
        rows = []
        for path in progress(list(map(Path, paths.truths)), "true edits"):
            folder, prompt = path.parents[1], path.name
            cameras = rigs[folder]
            truths = read_views(path, cameras)
            for strength, name, images in shown(folder, prompt, params.strengths, cameras):
                scores = score_against_truth(cameras.names, images, truths, networks, device)
                means = scores[list(TRUTH_SCORES)].mean().to_dict()
                labels = {"subject": folder.name, "prompt": prompt, "strength": strength}
                rows.append({**labels, "shown": name, "views": len(cameras), **means})
        table = pd.DataFrame(rows)
        write_table(snakemake.output.table, table)
        title, intro, empty = PAGES["true_edits"]
        records = table.to_dict("records")
        write_page(snakemake.output.page, table_page(title, intro, records, empty))
        log.info("%d scenes compared with %d true edits", len(rows), len(paths.truths))
