"""Gather the scores of all scenes into the study's tables.

Input:  views       all views.csv: of baselines, floors and avatars
        ratings     optional: subject, prompt, strength, quality
        pairs       all pairs.csv, and
        external    the files of metrics that were computed elsewhere, if there are any
        films       flicker.csv of each film, if summary.films is set
Output: avatars     per scene: mean over its views, spread, interval, excess, quality
        views       all views in one table
        thresholds  mean of each metric per quality rating
        strengths   low against high strength
        agreement   rank correlation of each metric with quality
        external    the pairs' values of metrics that were computed elsewhere, if there are any
"""

from typing import TYPE_CHECKING

import pandas as pd
from headstyle.base.errors import result_of
from headstyle.base.tables.frames import write_table
from headstyle.consistency.external.joining import join_external
from headstyle.consistency.external.settings import external_metrics
from headstyle.consistency.statistics import (
    agreement,
    avatar_scores,
    compare_strengths,
    read_ratings,
    read_scores,
    thresholds,
    with_flicker,
)
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        external = external_metrics(params.external)
        metrics = [*params.metrics, *(metric.name for metric in external)]
        views = pd.concat([read_scores(path) for path in paths.views], ignore_index=True)
        if external:
            pairs = pd.concat([read_scores(path) for path in paths.pairs], ignore_index=True)
            views, joined, gaps = join_external(external, views, pairs, params.elsewhere)
            for sentence in gaps:
                log.warning("%s", sentence)
            write_table(snakemake.output.external, joined)
        ratings = read_ratings(paths.ratings) if paths.get("ratings") else None
        avatars = avatar_scores(
            views,
            metrics,
            ratings,
            level=params.confidence,
            resamples=params.bootstrap_resamples,
            seed=params.seed,
        )
        if films := paths.get("films"):
            rows = [read_scores(path, result_of("film_scene")) for path in films]
            avatars = with_flicker(avatars, pd.concat(rows, ignore_index=True))
        log.info("%d scenes, %d views, metrics %s", len(avatars), len(views), ", ".join(metrics))
        if ratings is not None:
            rated = avatars["quality"].notna().sum()
            log.info("%d of %d ratings are of scenes of this run", rated, len(ratings))
        prompts = params.strength_prompts
        write_table(snakemake.output.views, views)
        write_table(snakemake.output.avatars, avatars)
        write_table(snakemake.output.thresholds, thresholds(avatars, metrics))
        write_table(snakemake.output.strengths, compare_strengths(avatars, metrics, prompts))
        write_table(snakemake.output.agreement, agreement(avatars, metrics))
