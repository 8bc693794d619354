"""Try a grid of strengths on a few views of a subject in 2D: no avatar is trained.

Input:  cameras    cameras.json of the views, beside which the views {view}.png lie
        renders    folder {view}.png of the baseline, from which edits start
        depth      folder {view}.npz of the baseline
        adjacency  adjacency.csv: the views are the frontal one and its neighbors
Output: sheet      contact sheet: the photographs, then the edits of each trial
        table      one row for each trial: the knobs, how much it changed, how far views disagree
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.adjacency import read_neighbors
from headstyle.base.cameras import read_cameras
from headstyle.base.images import read_rgba, read_views
from headstyle.base.seeds import derived_seed
from headstyle.base.tables.frames import write_table
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        # Imported here, as they take seconds to import.
        from headstyle.avatars.strength_sweep import described, swept_edits, trials
        from headstyle.consistency.edit_sweep import sweep_scores, with_floor
        from headstyle.consistency.scoring import read_depths
        from headstyle.editing import Instruction, View, make_editor
        from headstyle.editing.registry import editor_device
        from headstyle.rendering.devices import best_device
        from headstyle.report.contact_sheets import write_sheet
        from headstyle.report.judging.strength_sweep import sweep_sheet
        from headstyle.report.pictures import shown_view

        paths, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
        rig = read_cameras(paths.cameras)
        front = shown_view(rig)
        near = read_neighbors(paths.adjacency, rig.names)[rig.index(front)]
        names = [front, *(rig.names[i] for i in near)][: params.sweep["views"]]
        cameras = rig.select(names)
        photographs = read_views(Path(paths.cameras).parent, cameras)
        views = [
            View(name, photograph, read_rgba(Path(paths.renders) / f"{name}.png"))
            for name, photograph in zip(names, photographs, strict=True)
        ]
        device = best_device()
        editing = snakemake.config["editing"]
        editor = make_editor(editing, editor_device(editing, device))
        tried = trials(params.sweep, editing, params.strengths)
        log.info("%d strengths on the views %s", len(tried), ", ".join(names))
        seed = derived_seed(params.seed, wildcards.subject, wildcards.prompt)
        start = Instruction(wildcards.prompt, params.prompt_text, 0.0, 0.0, 1.0, 0, seed)
        edits = [photographs, *swept_edits(editor, views, start, tried)]
        depths = read_depths(paths.depth, cameras)
        table = with_floor(
            [
                {**trial, **sweep_scores(row, photographs, depths, cameras, params.metrics, device)}
                for trial, row in zip([{}, *tried], edits, strict=True)
            ]
        )
        table.insert(0, "trial", ["photographs", *(described(trial) for trial in tried)])
        write_table(snakemake.output.table, table)
        sheet = sweep_sheet(
            f"{wildcards.subject}, {wildcards.prompt}: {params.prompt_text}",
            "change: mean ΔE00 to the photograph. views apart: how much further the views disagree "
            "than the photographs do, in ΔE00.",
            [{}, *tried],
            edits,
            table.to_dict("records"),
        )
        write_sheet(snakemake.output.sheet, sheet)
