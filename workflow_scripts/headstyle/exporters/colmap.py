"""A COLMAP model with its images, as 3D Gaussian splatting and most other methods read it."""

import shutil
from pathlib import Path

import numpy as np

from headstyle.base.files import whole_folder
from headstyle.base.progress import progress
from headstyle.exporters.scene import SceneFolder
from headstyle.importers.cameras.base import poses_of_cameras
from headstyle.importers.lenses import colmap_camera, load_pycolmap


def export_colmap(scene: SceneFolder, out: Path, text: bool = False) -> None:
    """Write `images/` and the model `sparse/0/`, binary or as text.

    Views with one lens share a camera. The points have no tracks: which view saw which feature is
    not kept.

    Raises:
        InputError: an image of the scene is missing.
    """
    pycolmap = load_pycolmap()
    model = pycolmap.Reconstruction()
    camera_ids: dict[object, int] = {}
    poses = poses_of_cameras(scene.cameras())
    for index, (view, pose) in enumerate(poses.items(), start=1):
        if pose.lens not in camera_ids:
            camera_ids[pose.lens] = len(camera_ids) + 1
            model.add_camera_with_trivial_rig(colmap_camera(camera_ids[pose.lens], pose.lens))
        image = pycolmap.Image(name=f"{view}.png", camera_id=camera_ids[pose.lens], image_id=index)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose.world_to_camera[:3]))
    for position, color in zip(*scene.points(), strict=True):
        model.add_point3D(position, pycolmap.Track(), np.asarray(color, np.uint8))
    with whole_folder(out) as folder:
        (folder / "images").mkdir()
        for view in progress(list(poses), "images"):
            shutil.copyfile(scene.image(view), folder / "images" / f"{view}.png")
        sparse = folder / "sparse" / "0"
        sparse.mkdir(parents=True)
        (model.write_text if text else model.write_binary)(sparse)
