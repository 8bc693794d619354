"""Film a scene on a path through the rig's cameras, and measure how much the film flickers.

Input:  splats     splats.ply of the scene, or field.safetensors
        cameras    cameras.json of the views
Output: frames     folder of {frame}.png (RGBA) and cameras.json of the path
        residuals  folder of {frame}.png: the difference from the frame before, warped, as a map
        video      turntable.mp4: the frames above the residuals
        flicker    flicker.csv, one row: subject, prompt, strength, frames, turn_deg, and
                   {range}_{metric} for the short and the long range
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from headstyle.base.cameras import Cameras, read_cameras, write_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import whole_folder
from headstyle.base.images import read_rgba, write_image
from headstyle.base.progress import progress
from headstyle.base.tables.frames import write_table
from headstyle.consistency.flicker import Frame, flicker, flicker_metrics
from headstyle.exporters.camera_path import rig_path, turn_per_frame_deg
from headstyle.exporters.turntable import write_video
from headstyle.radiance.scenes import Scene, moved, read_scene
from headstyle.rendering.devices import best_device
from headstyle.rendering.renderer import render_views
from headstyle.report.maps.films import film_frame, residual_picture
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake


def filmed(splats: Scene, path: Cameras, folder: Path) -> Iterator[Frame]:
    """Write the frames as PNG, and yield each as it was written, with its depth."""
    for name, image, depth, _ in progress(render_views(splats, path), "frames"):
        write_image(folder / f"{name}.png", image)
        yield read_rgba(folder / f"{name}.png"), depth


if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        out, params, device = snakemake.output, snakemake.params, torch.device(best_device())
        path = rig_path(read_cameras(snakemake.input.cameras), params.frames)
        splats = moved(read_scene(snakemake.input.splats), device)
        settings = {**params.metrics, "names": flicker_metrics(params.metrics["names"])}
        with whole_folder(out.frames) as folder:
            found = flicker(filmed(splats, path, folder), path, settings, device)
            write_cameras(folder / "cameras.json", path)
        frames, residuals = Path(out.frames), Path(out.residuals)
        with whole_folder(residuals) as folder:
            for name, residual in zip(path.names, found.residuals, strict=True):
                picture = residual_picture(frames / f"{name}.png", residual)
                picture.save(folder / f"{name}.png")
        files = [(frames / f"{name}.png", residuals / f"{name}.png") for name in path.names]
        write_video(out.video, (film_frame([pair]) for pair in files))
        labels = dict(zip(("subject", "prompt", "strength"), params.labels, strict=True))
        row = {**labels, "frames": len(path), "turn_deg": turn_per_frame_deg(path), **found.means()}
        write_table(out.flicker, pd.DataFrame([row]))
        log.info(", ".join(f"{name} {value:.4f}" for name, value in found.means().items()))
