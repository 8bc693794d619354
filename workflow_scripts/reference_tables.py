"""The study's published scores through the same statistics as ours.

Input:  metrics     thesis_metrics.csv: the study's 64 avatars and 4 baselines, with quality
Output: thresholds  mean of each metric per quality rating
        strengths   low against high strength
        agreement   rank correlation of each metric with quality
"""

from typing import TYPE_CHECKING

from headstyle.base.tables.frames import write_table
from headstyle.consistency.statistics import (
    STUDY_STRENGTH_PROMPTS,
    agreement,
    compare_strengths,
    published_scores,
    thresholds,
)
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        avatars, metrics = published_scores(snakemake.input.metrics)
        prompts = STUDY_STRENGTH_PROMPTS
        log.info("%d published scenes, metrics %s", len(avatars), ", ".join(metrics))
        write_table(snakemake.output.thresholds, thresholds(avatars, metrics))
        write_table(snakemake.output.strengths, compare_strengths(avatars, metrics, prompts))
        write_table(snakemake.output.agreement, agreement(avatars, metrics))
