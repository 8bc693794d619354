"""Photograph a procedural head with the study's rig before a green screen.

Output: rig     capture/rig.tsv: view, row, column; beside it
                {view}.jpg                the photographs, with their focal length as EXIF
                truth/cameras.json        the cameras
                truth/masks/{view}.png    255 on the head, else 0
                truth/depth/{view}.npz    depth: z in the camera [m], 0 off the head
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from headstyle.base.cameras import write_cameras
from headstyle.base.files import whole_folder
from headstyle.base.progress import progress
from headstyle.capture.head import synthesize_head
from headstyle.capture.photograph import photograph, scene_of, write_jpeg
from headstyle.capture.rig import CaptureSettings, study_rig
from headstyle.workflow.stage import stage
from PIL import Image

if TYPE_CHECKING:
    from snakemake.script import snakemake


def write_capture(
    folder: Path, seed: int, settings: CaptureSettings, coarseness: float = 1.0
) -> None:
    """Fill an empty folder with the capture of one head; its index, `rig.tsv`, comes last."""
    rig = study_rig(settings)
    mesh = synthesize_head(seed, coarseness)
    scene = scene_of(mesh)
    for name in ("masks", "depth"):
        (folder / "truth" / name).mkdir(parents=True)
    for i, view in enumerate(progress(rig.cameras.names, "photographs")):
        taken = photograph(mesh, scene, rig.cameras, i, settings.samples_per_side, seed)
        write_jpeg(folder / f"{view}.jpg", taken.rgb, settings)
        mask = Image.fromarray(taken.mask.astype(np.uint8) * 255)
        mask.save(folder / "truth" / "masks" / f"{view}.png")
        np.savez_compressed(folder / "truth" / "depth" / f"{view}.npz", depth=taken.depth)
    write_cameras(folder / "truth" / "cameras.json", rig.cameras)
    (folder / "rig.tsv").write_text(rig.table(), encoding="utf-8")


if __name__ == "__main__":
    with stage(snakemake, index="rig") as log:
        settings = CaptureSettings(**snakemake.params.capture)
        log.info("head of seed %d", snakemake.params.seed)
        with whole_folder(Path(snakemake.output.rig).parent) as folder:
            write_capture(folder, snakemake.params.seed, settings)
