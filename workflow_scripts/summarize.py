"""Gather the scores of all scenes into the study's tables.

Input:  views       all views.csv: of baselines, floors and avatars
        ratings     optional: subject, prompt, strength, quality
Output: avatars     per scene: mean over its views, spread, interval, excess, quality
        views       all views in one table
        thresholds  mean of each metric per quality rating
        strengths   low against high strength
        agreement   rank correlation of each metric with quality
"""

from typing import TYPE_CHECKING

import pandas as pd
from headstyle.base.tables.frames import write_table
from headstyle.consistency.statistics import (
    agreement,
    avatar_scores,
    compare_strengths,
    read_ratings,
    read_scores,
    thresholds,
)
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        metrics = params.metrics
        views = pd.concat([read_scores(path) for path in paths.views], ignore_index=True)
        ratings = read_ratings(paths.ratings) if paths.get("ratings") else None
        avatars = avatar_scores(
            views,
            metrics,
            ratings,
            level=params.confidence,
            resamples=params.bootstrap_resamples,
            seed=params.seed,
        )
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
