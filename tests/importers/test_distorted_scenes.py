"""Renders of lenses with distortion come in as those of pinholes: colors, masks and depth."""

import gzip
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analytic import sphere, texture
from foreign_folder import SIZE, sphere_rig
from headstyle.base.files import write_json
from headstyle.base.images import write_image
from headstyle.importers.cameras.nerfstudio import transforms_content
from headstyle.importers.lenses import colmap_camera
from headstyle.importers.scenes import SceneFiles, read_scene
from own_process import in_own_process

LENSES = {
    "OPENCV": {"k1": -0.12, "k2": 0.03, "p1": 0.004, "p2": -0.003},
    "k4": {"k1": 0.08, "k2": -0.05, "k3": 0.02, "k4": -0.01},
    "OPENCV_FISHEYE": {"camera_model": "OPENCV_FISHEYE", "k1": 0.05, "k2": 0.01},
}


def write_distorted(folder: Path, changes: dict, kind: str) -> None:
    """Renders of the sphere through a lens, made from each pixel's own ray."""
    from headstyle.importers.cameras import GivenPose
    from headstyle.importers.cameras.nerfstudio import transforms_lens

    rig, (width, height) = sphere_rig(), SIZE
    focal = rig.intrinsics[0, 0, 0]
    entry = {"w": width, "h": height, "fl_x": focal, "fl_y": focal} | changes
    lens = transforms_lens(entry, SIZE)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    rays = np.asarray(colmap_camera(1, lens).cam_from_img(pixels)).reshape(height, width, -1)
    rays = np.dstack([rays[..., :2], np.ones((height, width))])
    (folder / "masks").mkdir(parents=True)
    (folder / "depth").mkdir()
    poses = {}
    for i, view in enumerate(rig.names):
        pose, center = rig.world_to_camera[i], rig.centers[i]
        depth = sphere(center, rays @ pose[:3, :3])
        seen = depth > 0
        colors = texture(center + depth[..., None] * (rays @ pose[:3, :3]))
        write_image(folder / "renders" / f"{view}.png", np.where(seen[..., None], colors, 0))
        write_image(folder / "masks" / f"{view}.png", np.dstack([seen.astype(float)] * 3))
        along = depth * np.linalg.norm(rays, axis=2) if kind == "ray" else depth
        np.save(buffer := io.BytesIO(), along[..., None].astype(np.float32))
        path = folder / "depth" / f"{view}.npy.gz"
        path.write_bytes(gzip.compress(buffer.getvalue()))
        poses[f"{view}.png"] = pose
    frames = [
        {**frame, **entry, "file_path": frame["file_path"]}
        for frame in transforms_content(
            {
                name: GivenPose(replace(lens, model="PINHOLE", params=lens.params[:4]), pose)
                for name, pose in poses.items()
            }
        )["frames"]
    ]
    write_json(folder / "transforms.json", {"frames": frames})


def differences(folder: Path, changes: dict, kind: str) -> dict[str, float]:
    """How far the scene that comes in is from the formula, through its own pinholes."""
    write_distorted(folder, changes, kind)
    scene = read_scene(
        SceneFiles(
            folder / "renders",
            folder / "transforms.json",
            folder / "depth",
            masks=folder / "masks",
            depth_kind=kind,
        )
    )
    from analytic import photograph

    images, depths = photograph(scene.cameras)
    found: dict[str, list] = {"color": [], "depth": [], "alpha": []}
    for image, depth, render, own in zip(images, depths, scene.renders, scene.depths, strict=True):
        # Edges fall into other pixels after resampling.
        inside = (depth > 0) & (depth < 1.9) & (own > 0) & (render[..., 3] == 1)
        assert inside.sum() > 1000
        found["color"].append(np.abs(image[..., :3] - render[..., :3])[inside].mean())
        found["depth"].append(np.median(np.abs(own / np.where(depth > 0, depth, 1) - 1)[inside]))
        found["alpha"].append(((depth > 0) != (render[..., 3] > 0.5)).mean())
    return {name: float(max(values)) for name, values in found.items()} | {
        "explained": scene.explained
    }


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("kind", ["z", "ray"])
def test_a_scene_of_a_lens_with_distortion_is_that_of_a_pinhole(tmp_path, lens, kind):
    off = in_own_process(differences, tmp_path, LENSES[lens], kind)
    assert off["color"] < 0.01
    assert off["depth"] < 0.002
    assert off["alpha"] < 0.02
    assert off["explained"] > 0.4
