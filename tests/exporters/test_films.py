"""Films along a rig's cameras: the path, the frames, the videos and the row of the table."""

import runpy
from types import SimpleNamespace

import av
import numpy as np
import pandas as pd
import pytest
import torch
from analytic import cameras_around
from ball import make_ball
from headstyle.base.cameras import Cameras, read_cameras, write_cameras
from headstyle.base.images import read_rgba
from headstyle.consistency.scoring import SETTINGS
from headstyle.exporters.camera_path import rig_path, turn_per_frame_deg
from headstyle.rendering.splats import splats_from_points, write_ply
from job_files import Files
from study import ROOT

FRAMES = 9


@pytest.fixture(scope="module")
def rig():
    """Two rows of five cameras before the origin, in an order that jumps."""
    rows = [cameras_around([-40, -20, 0, 20, 40], [(31, 48)] * 5) for _ in range(2)]
    poses = np.concatenate([row.world_to_camera for row in rows])
    poses[5:, 1, 3] += 0.8
    order = np.random.default_rng(1).permutation(10)
    return Cameras(
        tuple(f"v{i}" for i in range(10)),
        np.tile(rows[0].sizes[:1], (10, 1)),
        np.tile(rows[0].intrinsics[:1], (10, 1, 1)),
        poses[order],
    )


def test_the_path_passes_every_camera_in_equal_steps_and_closes(rig):
    path = rig_path(rig, 400)
    away = np.linalg.norm(rig.centers[:, None] - path.centers[None], axis=2)
    steps = np.linalg.norm(np.diff(path.centers, axis=0, append=path.centers[:1]), axis=1)
    assert away.min(axis=1).max() < steps.max()
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.02)
    # The shortest way goes along one row and back along the other.
    across, up = 2 * 4 * np.sin(np.radians(10)), 0.8
    assert steps.sum() < 1.1 * (8 * across + 2 * up)


def test_the_path_looks_where_the_cameras_look(rig):
    path = rig_path(rig, 60)
    rotation = path.world_to_camera[:, :3, :3]
    products = rotation @ rotation.transpose(0, 2, 1)
    np.testing.assert_allclose(products, np.tile(np.eye(3), (60, 1, 1)), atol=1e-12)
    nearest = np.linalg.norm(path.centers[:, None] - rig.centers[None], axis=2).argmin(axis=1)
    assert ((path.axes * rig.axes[nearest]).sum(axis=1) > np.cos(np.radians(12))).all()
    assert path.sizes.tolist() == [[30, 48]] * 60
    assert 0 < turn_per_frame_deg(path) < 10


def test_one_camera_makes_a_path_that_stands_still(rig):
    path = rig_path(rig.select(["v3"]), 5)
    np.testing.assert_allclose(path.world_to_camera, np.tile(path.world_to_camera[0], (5, 1, 1)))
    np.testing.assert_allclose(path.world_to_camera[0], rig.world_to_camera[3], atol=1e-12)


def run(name, folder, inputs, outputs, **params):
    job = SimpleNamespace(
        input=Files(**{key: str(path) for key, path in inputs.items()}),
        output=Files(**{key: str(path) for key, path in outputs.items()}),
        params=SimpleNamespace(**params),
        log=[str(folder / "log.txt")],
        rule=name,
        threads=1,
        resources={},
    )
    script = str(ROOT / "workflow_scripts" / f"{name}.py")
    runpy.run_path(script, {"snakemake": job}, run_name="__main__")


def decoded(path) -> list[np.ndarray]:
    with av.open(str(path)) as video:
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]


def test_a_scene_is_filmed_alone_and_beside_its_baseline(tmp_path):
    cameras, _, points, colors = make_ball()
    write_cameras(tmp_path / "cameras.json", cameras)
    splats = splats_from_points(points, colors, 0, 0)
    with torch.no_grad():
        splats["opacities"][:] = 3
    names = ("frames", "residuals")
    for scene in ("baseline", "avatar"):
        folder = tmp_path / scene
        write_ply(folder / "splats.ply", splats)
        outputs = {name: folder / name for name in names}
        outputs |= {"video": folder / "turntable.mp4", "flicker": folder / "flicker.csv"}
        inputs = {"splats": folder / "splats.ply", "cameras": tmp_path / "cameras.json"}
        settings = {**SETTINGS, "names": ["rmse"]}
        labels = ["A", "P1", "low"]
        run("film_scene", tmp_path, inputs, outputs, labels=labels, frames=FRAMES, metrics=settings)
    inputs = {name: tmp_path / "avatar" / name for name in names}
    inputs |= {f"baseline_{name}": tmp_path / "baseline" / name for name in names}
    video = tmp_path / "beside.mp4"
    run("film_beside_baseline", tmp_path, inputs, {"video": video}, label="P1 low")

    path = read_cameras(tmp_path / "avatar" / "frames" / "cameras.json")
    width, height = path.sizes[0]
    alone, beside = decoded(tmp_path / "avatar" / "turntable.mp4"), decoded(video)
    assert len(path) == len(alone) == len(beside) == FRAMES
    assert alone[0].shape == (2 * height, width, 3)
    assert beside[0].shape == (24 + 2 * height, 2 * width, 3)
    for name, pixels in zip(path.names, alone, strict=True):
        image = read_rgba(tmp_path / "avatar" / "frames" / f"{name}.png")
        shown = 255 * (image[..., :3] * image[..., 3:] + 1 - image[..., 3:])
        assert np.abs(pixels[:height].mean(axis=2) - shown.mean(axis=2)).mean() < 6
    [row] = pd.read_csv(tmp_path / "avatar" / "flicker.csv").to_dict("records")
    assert (row["subject"], row["prompt"], row["strength"], row["frames"]) == ("A", "P1", "low", 9)
    scores = {f"{r}_{m}" for r in ("short", "long") for m in ("rmse", "lpips_mini")}
    assert scores == {key.removesuffix("_corrected") for key in row if "_" in key} - {"turn_deg"}
