"""COLMAP models, binary and text."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from headstyle.base.errors import InputError
from headstyle.importers.cameras.base import CameraFormat, Companions, GivenPose, Sizes
from headstyle.importers.cameras.colmap_files import find_model, open_model
from headstyle.importers.lenses import colmap_camera, lens_of, load_pycolmap


class ColmapModel(CameraFormat):
    """A folder with cameras, images and, maybe, points3D, rigs and frames."""

    label = "a folder with a COLMAP model"
    rank = 1

    def find(self, path: Path) -> Path | None:
        place = find_model(path) if path.is_dir() else None
        # nerfstudio's folders keep the model that their transforms.json was made from.
        return place if place == path or not (path / "transforms.json").is_file() else None

    def names(self, place: Path) -> list[str]:
        model, names = open_model(place)
        return sorted(names[i.image_id] for i in model.images.values() if i.has_pose)

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        model, names = open_model(place)
        poses = {}
        for image in model.images.values():
            name = names[image.image_id]
            if name in sizes and image.has_pose:
                pose = np.eye(4)
                pose[:3] = image.cam_from_world().matrix()
                lens = lens_of(model.cameras[image.camera_id])
                if lens.model == "EQUIRECTANGULAR":
                    raise InputError(
                        f"{place}: {name!r} is a panorama ({lens.model}), which no pinhole shows;"
                        " cut perspective images out of it"
                    )
                if not np.isfinite(pose).all() or not np.isfinite(lens.params).all():
                    raise InputError(
                        f"{place}: the camera of {name!r} is not finite; export the model again"
                    )
                poses[name] = GivenPose(lens, pose)
        return poses

    def companions(self, place: Path) -> Companions:
        with_points = any((place / f"points3D.{suffix}").is_file() for suffix in ("bin", "txt"))
        return Companions(points=place if with_points else None)

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        pycolmap = load_pycolmap()
        model = pycolmap.Reconstruction()
        for index, (name, pose) in enumerate(poses.items(), start=1):
            model.add_camera_with_trivial_rig(colmap_camera(index, pose.lens))
            model.add_image_with_trivial_frame(
                pycolmap.Image(name=name, camera_id=index, image_id=index),
                pycolmap.Rigid3d(pose.world_to_camera[:3]),
            )
        place.mkdir(parents=True, exist_ok=True)
        model.write_binary(place)
