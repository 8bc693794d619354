"""Collect what the explorer shows of another method's scene, ready to embed.

Input:  cameras, adjacency   of the views
        renders, depth       of the scene
        pairs, views, kinds  of the scene, from `measure_renders`
        unedited, splats     of the views before the edit, where they are known
        own_splats           of the scene itself, where they are given
Output: content   JSON, see `headstyle.report.explorer.subjects.explored_subject`
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.files import write_json
from headstyle.report.explorer.shown import foreign_subject
from headstyle.report.explorer.splats import check_world
from headstyle.report.explorer.subjects import explored_subject
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params, name = snakemake.input, snakemake.params, snakemake.wildcards.subject
        own = Path(params.own_splats[0]) if params.own_splats else None
        subject = foreign_subject(
            name,
            params.instruction,
            cameras=Path(paths.cameras),
            adjacency=Path(paths.adjacency),
            renders=Path(paths.renders),
            depth=Path(paths.depth),
            tables=Path(paths.pairs).parent,
            unedited=Path(paths.unedited).parent if paths.get("unedited") else None,
            splats=Path(paths.splats) if paths.get("splats") else None,
            own_splats=own,
        )
        if own:
            check_world(own, subject.comparison(subject.scenes[0]), f"foreign.{name}.splats")
        metrics = params.metrics
        content = explored_subject(subject, metrics["names"], metrics, params.max_bytes)
        write_json(snakemake.output.content, content)
        log.info("%s: %d views", name, len(content["rig"]["names"]))
