"""Film an avatar beside its baseline.

Input:  frames, residuals                     of the avatar's film
        baseline_frames, baseline_residuals   of its baseline's film
Output: video    beside_baseline.mp4: both, frames above residuals
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.cameras import read_cameras
from headstyle.exporters.turntable import write_video
from headstyle.report.maps.films import film_frame
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths = snakemake.input
        scenes = [
            (Path(paths.baseline_frames), Path(paths.baseline_residuals)),
            (Path(paths.frames), Path(paths.residuals)),
        ]
        names = read_cameras(scenes[0][0] / "cameras.json").names
        files = [f"{name}.png" for name in names]
        columns = ([(image / name, rest / name) for image, rest in scenes] for name in files)
        labels = ("baseline", snakemake.params.label)
        write_video(snakemake.output.video, (film_frame(each, labels) for each in columns))
        log.info("%d frames", len(names))
