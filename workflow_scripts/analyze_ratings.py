"""What people's answers say of the methods, of each other, and of the metrics.

Input:  answers    files that the page of the ratings gave
        key        ratings_key.csv
        scenes     scenes.tsv of the leaderboard
Output: methods    method, strength, interval, wins, ties, losses, mean rating, interval
        people     Krippendorff's alpha of choices and ratings
        metrics    how well each metric agrees with the people
"""

from typing import TYPE_CHECKING

from headstyle.base.errors import InputError, result_of
from headstyle.base.tables.frames import read_table, write_table
from headstyle.leaderboard.board import higher_is_better
from headstyle.leaderboard.ranking import Resampling
from headstyle.leaderboard.ratings.analysis import (
    Answers,
    method_strengths,
    metric_agreement,
    people_agreement,
)
from headstyle.leaderboard.ratings.answers import read_answers, read_key
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

SCORES = ("overlap", "edit_strength", "sharpness", "method", "subject", "prompt")
"""Columns of the scenes that are no metrics."""

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params, out = snakemake.input, snakemake.params, snakemake.output
        key = read_key(paths.key)
        given = read_answers(paths.answers, key)
        if not given:
            raise InputError(
                "there are no answers; send people ratings.html, and name the files that they send"
                " back in leaderboard.ratings.answers"
            )
        answers = Answers.of(given, key)
        resampling = Resampling(params.bootstrap_resamples, params.confidence, params.seed)
        scenes = read_table(paths.scenes, result_of("leaderboard"))
        metrics = {name: higher_is_better(name) for name in scenes if name not in SCORES}
        write_table(out.methods, method_strengths(answers, resampling))
        write_table(out.people, people_agreement(answers, resampling))
        write_table(out.metrics, metric_agreement(answers, scenes, metrics, resampling))
        log.info("%d answers of %d people", len(given), len(answers.raters))
