"""Score how well the views of one scene agree with each other.

Input:  images     folder of {view}.png: a scene's renders; or any file in such a folder
        depth      folder of {view}.npz of the scene that gives the geometry
        cameras    cameras.json of the views
        adjacency  adjacency.csv: which views are compared
        unedited   folder of {view}.png: the baseline's renders; or any file in such a folder
        splats     splats.ply of the baseline
        floor      pairs.csv of the baseline; none for the baseline itself
Output: pairs      pairs.csv: subject, prompt, strength, target, source, overlap, coverage, metrics,
                   their excess over the floor, their ceiling
        views      views.csv: subject, prompt, strength, view, neighbours, pairs used and left out,
                   strength and sharpness of the edit, and the same of the metrics
        kinds      kinds.npz: how each pair disagrees by the headline score, see
                   `headstyle.consistency.parts.kinds`; empty where that is not measured

The baseline's rows carry prompt `none`, those of the floor (the photographs, warped with the
baseline's depth) prompt `photographs`; both have strength `none`. The ceiling is what the scene
scores when every view shows the image of another one. Scenes of other methods may come without
unedited, splats and floor.
"""

from typing import TYPE_CHECKING

from headstyle.base.devices import keep_freed_memory
from headstyle.base.seeds import derived_seed
from headstyle.base.tables.frames import write_table
from headstyle.consistency.measuring import (
    measure_with_kinds,
    read_comparison,
    remarks,
    with_labels,
)
from headstyle.consistency.parts.kinds import write_kinds
from headstyle.consistency.statistics import read_scores
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        paths, params, subject = snakemake.input, snakemake.params, snakemake.wildcards.subject
        comparison = read_comparison(
            *(paths.cameras, paths.images, paths.depth, paths.adjacency),
            unedited=paths.get("unedited"),
            splats=paths.get("splats"),
            instruction=params.instruction,
            captions=tuple(params.captions) if params.captions else None,
        )
        pairs, views, kinds = measure_with_kinds(
            comparison,
            params.metrics,
            derived_seed(params.seed, subject),
            read_scores(paths.floor) if paths.get("floor") else None,
            is_baseline=params.labels[0] == "none",
        )
        log.info("%d pairs of %d views compared", len(pairs), len(views))
        for remark in remarks(pairs, views, params.metrics["min_overlap"]):
            log.warning(remark)
        for table, path in ((pairs, snakemake.output.pairs), (views, snakemake.output.views)):
            write_table(path, with_labels(table, subject, *params.labels))
        write_kinds(snakemake.output.kinds, kinds)
