"""The published study's figures from its published numbers, and a run's own below them.

Input:  metrics  thesis_metrics.csv: the study's 64 avatars and 4 baselines, with quality
        avatars  avatars.csv of a run; may be missing
Output: figures  {figure}.png and {figure}.svg
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.consistency.statistics import STUDY_STRENGTH_PROMPTS, published_scores, read_scores
from headstyle.report.figures import write_figure
from headstyle.report.reference.figures import FIGURES
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        scores = {"published": published_scores(snakemake.input.metrics)[0]}
        if avatars := snakemake.input.get("avatars"):
            scores["this run"] = read_scores(avatars)
        for path in map(Path, snakemake.output.figures):
            write_figure(path, FIGURES[path.stem](scores, STUDY_STRENGTH_PROMPTS))
        log.info("%d figures of %s", len(snakemake.output.figures), " and ".join(scores))
