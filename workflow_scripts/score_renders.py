"""Put the scores of other methods' renders into one table and on one page.

Input:  pairs   all scenes' pairs.csv: of the renders, and of the unedited views where given
        views   the same scenes' views.csv
        notes   import.json of each scene
        external   the files of metrics that were computed elsewhere, if there are any
        scenes  what `explore_renders` collected of each scene
Output: scores  scores.csv: scene, shown, depth, agreement, views, view_pairs, empty_pairs,
                overlap, and per metric mean, spread, interval and excess over the unedited views
        page    the same as a page, with the views
        explorer   HTML that shows the pixels behind the numbers
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from headstyle.base.errors import InputError, result_of
from headstyle.base.files import read_json
from headstyle.base.tables.frames import write_table
from headstyle.base.tables.rows import read_rows
from headstyle.consistency.external.joining import join_external
from headstyle.consistency.external.settings import external_metrics
from headstyle.consistency.statistics import avatar_scores, read_scores
from headstyle.report.explorer.legend import RENDERS
from headstyle.report.explorer.page import explorer_page, foreign_rows
from headstyle.report.foreign_page import TITLE, scene_page, scene_table, scene_warnings
from headstyle.report.labels import add_external
from headstyle.report.pages import write_page
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params, out = snakemake.input, snakemake.params, snakemake.output
        if not paths.notes:
            raise InputError(
                "the config's section foreign is empty; name the renders to score in it"
                " (README, Score your own renders)"
            )
        notes = {Path(path).parent.name: read_json(path) for path in paths.notes}
        pairs, views = (
            pd.concat([read_scores(path) for path in tables], ignore_index=True)
            for tables in (paths.pairs, paths.views)
        )
        # Of other methods' scenes, a metric that was computed elsewhere may have some only.
        external = [replace(m, partial=True) for m in external_metrics(params.external)]
        add_external(params.external)
        views, _, gaps = join_external(external, views, pairs, params.elsewhere)
        for sentence in gaps:
            log.warning("%s", sentence)
        avatars = avatar_scores(
            views,
            [*params.metrics, *(metric.name for metric in external)],
            level=params.confidence,
            resamples=params.bootstrap_resamples,
            seed=params.seed,
        )
        scenes = scene_table(avatars, pairs, notes)
        warnings = scene_warnings(scenes)
        for warning in warnings:
            log.warning("%s", warning)
        write_table(out.scores, scenes)
        write_page(out.page, scene_page(scenes, views, warnings))
        contents = [read_json(path) for path in paths.scenes]
        rows = foreign_rows(read_rows(out.scores, result_of("score_renders")), contents)
        write_page(out.explorer, explorer_page(TITLE, contents, rows, params.metrics, RENDERS))
        log.info("%d scenes, %d views", len(scenes), len(views))
