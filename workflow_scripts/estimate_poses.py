"""Find where each photograph was taken from, by structure from motion inside the masks.

Input:  masks    masks.json, with {view}.png beside it and the photographs' paths inside
        capture  rig.tsv of a procedural capture; none for the user's photographs
Output: sparse   folder whose 0/ is the COLMAP model of the upright photographs
        poses    poses.json {"registered", "dropped", "points", "mean_reprojection_error_px", ...}
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.files import read_json, whole_folder, write_json
from headstyle.importers.given_poses import read_given_poses
from headstyle.posing.photographs import read_info
from headstyle.posing.poses import clean_work_folder, estimate_poses
from headstyle.posing.registration.reconstruction import Settings
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        config = snakemake.params.poses
        masks_path, sparse = Path(snakemake.input.masks), Path(snakemake.output.sparse)
        masks = read_json(masks_path)
        given_path = snakemake.params.given_poses
        given = None
        if given_path:
            paths = {view: entry["photograph"] for view, entry in masks["views"].items()}
            # Files that give no size are by programs that leave photographs as they are stored.
            sizes = {view: read_info(path).stored_size for view, path in paths.items()}
            given = read_given_poses(given_path, sizes, paths, config["min_registered"])
        settings = Settings(
            config["max_features"], config["mapper"], snakemake.params.seed, snakemake.threads
        )
        work = clean_work_folder(sparse.parent / ".work")
        try:
            with whole_folder(sparse) as folder:
                poses = estimate_poses(
                    masks,
                    masks_path.parent,
                    given,
                    config,
                    settings,
                    work,
                    folder / "0",
                    snakemake.params.max_views,
                )
        finally:
            shutil.rmtree(work)
        write_json(snakemake.output.poses, poses)
        log.info(
            "%d of %d views posed, %d points, mean reprojection error %.2f px",
            len(poses["registered"]),
            len(poses["registered"]) + len(poses["dropped"]),
            poses["points"],
            poses["mean_reprojection_error_px"],
        )
        for view, reason in poses["dropped"].items():
            log.warning("%s is left out: %s", view, reason)
        for number, names in enumerate(poses["captures"], start=1):
            log.warning("capture %d overlaps with no other: %s", number, ", ".join(names))
        if poses["went_on"]:
            log.warning("the run goes on without them, as poses.go_on allows")
