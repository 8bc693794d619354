"""Rank methods on the same heads and prompts, as tables and as a page.

Input:  methods   the table of methods
        prompts   the prompts table
        pairs     pairs.csv of every method
        views     views.csv of every method
        study     the published study's scores
        cameras   cameras.json of each subject's views
Output: ranks     ranks.tsv: metric, method, rank, score, intervals, who is tied with it
        duels     duels.tsv: metric, method, other, wins, ties, losses, difference, verdict
        scenes    scenes.tsv: mean of each metric by method, subject and prompt
        page      the same as one page, with pictures
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from headstyle.avatars.schedules import available_schedules
from headstyle.base.cameras import read_cameras
from headstyle.base.errors import result_of
from headstyle.base.tables.frames import read_table, write_table
from headstyle.consistency.statistics import published_scores
from headstyle.leaderboard.board import gallery, rank_all, scene_means
from headstyle.leaderboard.methods import read_methods
from headstyle.leaderboard.page import Board, board_page
from headstyle.leaderboard.ranking import Resampling
from headstyle.report.pages import write_page
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params, out = snakemake.input, snakemake.params, snakemake.output
        methods = read_methods(paths.methods, available_schedules())
        origin = result_of("measure_method")
        pairs, views = (
            pd.concat([read_table(path, origin) for path in tables], ignore_index=True)
            for tables in (paths.pairs, paths.views)
        )
        resampling = Resampling(params.bootstrap_resamples, params.confidence, params.seed)
        rankings = rank_all(pairs, views, params.metrics, methods, resampling)
        tables = {
            "ranks": {name: ranking.table for name, ranking in rankings.items()},
            "duels": {name: ranking.duels for name, ranking in rankings.items()},
        }
        for name, parts in tables.items():
            whole = pd.concat([part.assign(metric=m) for m, part in parts.items()])
            write_table(out[name], whole[["metric", *whole.columns.drop("metric")]])
        scenes = scene_means(pairs, views, list(rankings))
        write_table(out.scenes, scenes)
        cameras = {Path(path).parents[1].name: read_cameras(path) for path in paths.cameras}
        board = Board(
            methods,
            rankings,
            scenes,
            published_scores(paths.study)[0],
            gallery(params.scenes, cameras),
            resampling,
        )
        write_page(out.page, board_page(board))
        first = next(iter(rankings.values())).table
        log.info("%d methods, %d scenes", len(methods), first["scenes"].max())
