"""Compare the estimated poses of a procedural subject with the true ones.

Input:  poses    poses.json, with the COLMAP model sparse/0 beside it
        rig      the capture's rig.tsv, with truth/cameras.json beside it
Output: truth    truth.json {"rotation_error_deg": {"median", "max"}, "center_error_fraction", ...}
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.cameras import read_cameras
from headstyle.base.files import write_json
from headstyle.importers.colmap_models import read_model
from headstyle.posing.pose_errors import pose_errors
from headstyle.posing.undistortion import lens_cameras
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        true = read_cameras(Path(snakemake.input.rig).parent / "truth" / "cameras.json")
        model = read_model(Path(snakemake.input.poses).parent / "sparse")
        errors = pose_errors(lens_cameras(model), true)
        write_json(snakemake.output.truth, errors)
        log.info(
            "%d of %d views: rotations off by %.3f deg in the median, centers by %.3f %% of the"
            " rig's radius",
            errors["views"],
            len(true),
            errors["rotation_error_deg"]["median"],
            100 * errors["center_error_fraction"]["median"],
        )
