"""A folder as nerfstudio and its methods read it."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from headstyle.base.files import whole_folder, write_json
from headstyle.base.images import read_rgba
from headstyle.base.progress import progress
from headstyle.base.tables.ply import write_ply_tables
from headstyle.exporters.scene import SceneFolder
from headstyle.importers.cameras.base import poses_of_cameras
from headstyle.importers.cameras.nerfstudio import transforms_content

POINTS = "sparse_pc.ply"


def export_nerfstudio(scene: SceneFolder, out: Path) -> None:
    """Write transforms.json, `images/` (RGBA), `masks/` (255 is the head) and the sparse points.

    Raises:
        InputError: an image of the scene is missing or cannot be read.
    """
    cameras = scene.cameras()
    content = transforms_content(
        {f"images/{view}.png": pose for view, pose in poses_of_cameras(cameras).items()}
    )
    with whole_folder(out) as folder:
        (folder / "images").mkdir()
        (folder / "masks").mkdir()
        for view, frame in progress(
            list(zip(cameras.names, content["frames"], strict=True)), "images"
        ):
            source = scene.image(view)
            alpha = np.rint(read_rgba(source)[..., 3] * 255).astype(np.uint8)
            shutil.copyfile(source, folder / "images" / f"{view}.png")
            PillowImage.fromarray(alpha).save(folder / "masks" / f"{view}.png")
            frame["mask_path"] = f"masks/{view}.png"
        if write_points_ply(folder / POINTS, scene):
            content["ply_file_path"] = POINTS
        write_json(folder / "transforms.json", content)


def write_points_ply(path: Path, scene: SceneFolder) -> bool:
    """Write the sparse points as a PLY with colors; False where the scene has none."""
    positions, colors = scene.points()
    table = np.empty(
        len(positions),
        dtype=[(axis, "<f4") for axis in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")],
    )
    for column, axis in enumerate("xyz"):
        table[axis] = positions[:, column]
    for column, color in enumerate(("red", "green", "blue")):
        table[color] = colors[:, column]
    if len(table):
        write_ply_tables(path, {"vertex": table})
    return len(table) > 0
