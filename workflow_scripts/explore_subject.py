"""Collect what the explorer shows of a subject: views, pairs of views and splats, ready to embed.

Input:  cameras, adjacency      of the views
        renders, splats         of the baseline
        edits, avatar_renders, avatar_depths, avatar_splats, inconsistency, pairs, views, kinds
                                of every avatar
        films, flicker          films beside the baseline and their tables, as far as they were made
        true_edits              photographs of the true edits, where they are known
        masks, prompts, subjects   the index of masks, and the study's tables
Output: content   JSON, see `headstyle.report.explorer.subjects.explored_subject`
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.files import write_json
from headstyle.report.explorer.shown import study_subject
from headstyle.report.explorer.subjects import explored_subject
from headstyle.report.instructions import avatars_of
from headstyle.report.sheets import Subject
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        name, baseline = snakemake.wildcards.subject, Path(snakemake.input.renders).parent
        subject = Subject(name, Path(paths.masks), Path(paths.cameras).parent, baseline)
        avatars = avatars_of(
            name, baseline.parent, paths.prompts, paths.subjects, params.prompts, params.strengths
        )
        content = explored_subject(
            study_subject(
                subject, avatars, Path(paths.adjacency), [Path(path) for path in paths.films]
            ),
            params.metrics["names"],
            params.metrics,
            params.max_bytes,
        )
        write_json(snakemake.output.content, content)
        log.info("%s: %d views of %d avatars", name, len(subject.cameras), len(avatars))
