"""Find which views are neighbors, from the rig's grid or from the cameras' directions.

Input:  cameras      cameras.json of the views
        rig          optional table view, row, column
Output: adjacency    adjacency.csv, square 0/1, view names as header and first column
        plot         picture of the rig and the matrix
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.adjacency import read_rig, view_adjacency, write_adjacency
from headstyle.base.cameras import read_cameras
from headstyle.report.adjacency_plot import plot_adjacency
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        cameras = read_cameras(snakemake.input.cameras)
        rig = snakemake.input.get("rig")
        places = read_rig(rig) if rig else None
        settings = snakemake.params.adjacency
        adjacency = view_adjacency(
            cameras, places, settings["neighbors"], settings["max_angle_deg"]
        )
        counts = adjacency.sum(axis=1)
        log.info(
            "%d views, %d links %s; %d to %d neighbors",
            len(cameras),
            counts.sum() // 2,
            f"from the rig's {Path(rig).name}" if rig else "by direction",
            counts.min(),
            counts.max(),
        )
        subject = Path(snakemake.output.adjacency).parent.name
        plot_adjacency(snakemake.output.plot, cameras, adjacency, f"Rig of subject {subject}")
        write_adjacency(snakemake.output.adjacency, cameras.names, adjacency)
