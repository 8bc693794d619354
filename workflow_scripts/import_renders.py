"""Bring the renders of another method into the form that scenes have here, and check them.

Input:  files      everything that the scene's settings name
Output: cameras    views/cameras.json; beside it, where they are given, the views before the edit
                   {view}.png, and points.npz for a fit to them
        renders    folder of {view}.png, RGBA with straight alpha
        depth      folder of {view}.npz with median (z, 0 = no surface); empty if a fit gives it
        adjacency  adjacency.csv: which views are compared
        notes      import.json: what was read, and how well cameras and depth agree
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from headstyle.base.adjacency import Adjacency, write_adjacency
from headstyle.base.cameras import write_cameras
from headstyle.base.files import whole_folder, write_json, write_points
from headstyle.base.images import RgbaImage, write_image
from headstyle.importers.points import start_points
from headstyle.importers.scenes import SceneFiles, read_scene
from headstyle.workflow.stage import stage
from numpy.typing import NDArray

if TYPE_CHECKING:
    from snakemake.script import snakemake


def write_images(folder: Path, names: Sequence[str], images: Iterable[RgbaImage]) -> None:
    """Write {view}.png of each view."""
    for name, image in zip(names, images, strict=True):
        write_image(folder / f"{name}.png", image)


def write_depths(path: str, names: Sequence[str], depths: Iterable[NDArray[np.float32]]) -> None:
    """Write {view}.npz of each view."""
    with whole_folder(path) as folder:
        for name, depth in zip(names, depths, strict=True):
            np.savez_compressed(folder / f"{name}.npz", median=depth)


def adjacency_of(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> Adjacency:
    """The pairs as a symmetric matrix."""
    adjacency = np.zeros((len(names), len(names)), dtype=bool)
    for target, source in pairs:
        i, j = names.index(target), names.index(source)
        adjacency[i, j] = adjacency[j, i] = i != j
    return adjacency


if __name__ == "__main__":
    with stage(snakemake, index="cameras") as log:
        params, out = snakemake.params, snakemake.output
        files = SceneFiles.from_config(params.settings)
        scene = read_scene(files, f"foreign.{snakemake.wildcards.subject}", **params.adjacency)
        names = scene.cameras.names
        with whole_folder(Path(out.cameras).parent) as folder:
            if scene.unedited:
                write_images(folder, names, scene.unedited)
            if scene.depths is None:
                assert scene.unedited is not None, "a scene without depths has unedited views"
                points = start_points(
                    files.cameras, scene.cameras, scene.unedited, params.points, params.seed
                )
                write_points(folder / "points.npz", *points)
            write_cameras(folder / Path(out.cameras).name, scene.cameras)
        with whole_folder(out.renders) as folder:
            write_images(folder, names, scene.renders)
        write_depths(out.depth, names if scene.depths else (), scene.depths or ())
        write_adjacency(out.adjacency, names, adjacency_of(names, scene.pairs))
        agreement = None if math.isnan(scene.explained) else round(scene.explained, 4)
        notes = {"views": len(names), "depth": "files" if scene.depths else "fit"}
        write_json(out.notes, notes | {"agreement": agreement})
        log.info("%d views, %d pairs, agreement %s", len(names), len(scene.pairs), agreement)
