"""What is exported is read back by our own readers, and is what it was."""

import io
import json
import shutil
import zipfile

import av
import numpy as np
import pandas as pd
import pytest
import torch
from ball import make_ball, write_ball
from headstyle.base.cameras import read_cameras
from headstyle.base.errors import InputError
from headstyle.base.images import composite, read_rgba
from headstyle.exporters.formats import FORMATS, export
from headstyle.exporters.scene import find_scene
from headstyle.exporters.turntable import export_turntable, orbit
from headstyle.importers.cameras import find_cameras
from headstyle.importers.colmap_models import read_points
from headstyle.importers.depths import read_depth
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splat_files import read_splats
from headstyle.rendering.splats import splats_from_points, write_ply
from headstyle.training.baseline import write_renders
from PIL import Image
from plyfile import PlyData
from scipy.spatial import KDTree
from study import ROOT


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A subject's views, and a baseline and an avatar of it."""
    subject = tmp_path_factory.mktemp("results") / "A"
    cameras = read_cameras(write_ball(subject / "views"))
    _, _, points, colors = make_ball()
    splats = splats_from_points(points, colors, 1, 0)
    with torch.no_grad():
        splats["opacities"][:] = 3
    for folder in (subject / "baseline", subject / "avatars" / "P1_high"):
        write_ply(folder / "splats.ply", splats)
        write_renders(splats, cameras, folder / "renders", folder / "depth")
    return subject / "baseline"


def assert_cameras(folder, scene, prefix) -> None:
    """The cameras that any format of ours finds in a folder are those of the scene's views."""
    cameras = read_cameras(scene.parent / "views" / "cameras.json")
    kind, place = find_cameras(folder)
    names = kind.names(place)
    assert sorted(names) == [f"{prefix}{view}.png" for view in sorted(cameras.names)]
    found = kind.read(place, dict.fromkeys(names, (1, 1)))
    for i, view in enumerate(cameras.names):
        pose = found[f"{prefix}{view}.png"]
        matrix = cameras.intrinsics[i]
        expected = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
        np.testing.assert_allclose(pose.lens.params, expected, rtol=1e-9)
        assert (pose.lens.width, pose.lens.height) == tuple(cameras.sizes[i])
        np.testing.assert_allclose(pose.world_to_camera, cameras.world_to_camera[i], atol=1e-9)


def assert_points(positions, colors, scene) -> None:
    with np.load(scene.parent / "views" / "points.npz") as points:
        np.testing.assert_allclose(positions, points["positions"], atol=1e-6)
        np.testing.assert_array_equal(colors, points["colors"])


def test_a_nerfstudio_folder_has_cameras_images_masks_and_points(scene, tmp_path):
    out = export(scene, "nerfstudio", tmp_path / "out")
    assert_cameras(out, scene, "images/")
    content = json.loads((out / "transforms.json").read_text())
    for frame in content["frames"]:
        image = read_rgba(out / frame["file_path"])
        mask = read_rgba(out / frame["mask_path"])
        np.testing.assert_array_equal(mask[..., 0], image[..., 3])
    vertices = PlyData.read(out / content["ply_file_path"])["vertex"]
    positions = np.stack([vertices[axis] for axis in "xyz"], axis=1)
    colors = np.stack([vertices[color] for color in ("red", "green", "blue")], axis=1)
    assert_points(positions, colors, scene)


@pytest.mark.parametrize(("name", "suffix"), [("colmap", "bin"), ("colmap-text", "txt")])
def test_a_colmap_model_has_cameras_images_and_points(scene, tmp_path, name, suffix):
    out = export(scene, name, tmp_path / "out")
    assert (out / "sparse" / "0" / f"points3D.{suffix}").is_file()
    assert_cameras(out / "sparse" / "0", scene, "")
    assert_points(*read_points(out / "sparse" / "0"), scene)
    for view in read_cameras(scene.parent / "views" / "cameras.json").names:
        shown = read_rgba(out / "images" / f"{view}.png")
        np.testing.assert_array_equal(shown, read_rgba(scene.parent / "views" / f"{view}.png"))


def test_an_avatars_images_are_its_renders(scene):
    avatar = scene.parent / "avatars" / "P1_high"
    out = export(avatar, "nerfstudio")
    assert out == avatar / "exports" / "nerfstudio"
    for path in (out / "images").iterdir():
        assert path.read_bytes() == (avatar / "renders" / path.name).read_bytes()


def test_depth_as_exr_is_the_same_and_as_png_the_same_within_half_a_step(scene, tmp_path):
    exr = export(scene, "depth-exr", tmp_path / "exr")
    png = export(scene, "depth-png", tmp_path / "png")
    scale = json.loads((png / "depth_scale.json").read_text())["depth_scale"]
    for path in (scene / "depth").glob("*.npz"):
        expected = read_depth(path)
        assert expected.max() > 0
        np.testing.assert_array_equal(read_depth(exr / f"{path.stem}.exr"), expected)
        found = read_depth(png / f"{path.stem}.png", scale)
        np.testing.assert_allclose(found, expected, atol=0.51 * scale)
        np.testing.assert_array_equal(found > 0, expected > 0)
    assert scale < 1e-3


@pytest.mark.parametrize("name", ["ply", "splat", "spz"])
def test_splats_are_written_beside_the_scene_and_converted_from_file_to_file(scene, tmp_path, name):
    out = export(scene, name)
    assert out == scene / "exports" / f"splats.{name}"
    assert len(read_splats(out)["means"]) == len(read_splats(scene / "splats.ply")["means"])
    converted = export(out, "ply", tmp_path / "again.ply")
    assert read_splats(converted)["means"].shape == read_splats(out)["means"].shape


def test_sog_has_the_scenes_positions_and_rotations(scene, tmp_path):
    """Decoded by the format's definition: positions are signed logarithms in two images."""
    pytest.importorskip("gaussforge")
    with zipfile.ZipFile(export(scene, "sog", tmp_path / "a.sog")) as archive:
        meta = json.loads(archive.read("meta.json"))

        def pixels(key: str) -> list[np.ndarray]:
            files = [Image.open(io.BytesIO(archive.read(f))) for f in meta[key]["files"]]
            count = meta["count"]
            return [np.array(f.convert("RGBA")).reshape(-1, 4)[:count].astype(int) for f in files]

        low, high = pixels("means")
        [quats] = pixels("quats")
    assert meta["version"] == 2
    least, most = (np.array(meta["means"][key]) for key in ("mins", "maxs"))
    logarithms = least + (low + 256 * high)[:, :3] / 65535 * (most - least)
    means = np.sign(logarithms) * np.expm1(np.abs(logarithms))
    splats = {name: v.detach().numpy() for name, v in read_splats(scene / "splats.ply").items()}
    distance, nearest = KDTree(means).query(splats["means"])
    assert sorted(nearest) == list(range(len(means)))
    assert distance.max() < 1e-3
    # The largest of w, x, y, z is not stored; alpha says which it is.
    rest = (quats[nearest, :3] / 255 - 0.5) * np.sqrt(2)
    true = splats["quats"] / np.linalg.norm(splats["quats"], axis=1, keepdims=True)
    places = quats[nearest, 3] - 252
    for place, found, quat in zip(places, rest, true, strict=True):
        others = np.delete(quat, place) * np.sign(quat[place])
        np.testing.assert_allclose(found, others, atol=0.004)


def test_tables_are_the_same_as_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    # A view called 007 stays text.
    text = "subject,view,rmse,note\nA,007,0.25,\nA,b,,why not\n"
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "views.csv").write_text(text)
    out = export(tmp_path, "parquet", tmp_path / "out")
    found = pd.read_parquet(out / "views.parquet")
    assert found["view"].tolist() == ["007", "b"]
    assert found["rmse"].isna().tolist() == [False, True]
    again = export(tmp_path, "csv", tmp_path / "out")
    assert (again / "views.csv").read_text() == text


def test_a_turntable_is_h264_of_what_the_scene_shows_before_white(scene, tmp_path):
    out = tmp_path / "turntable.mp4"
    export_turntable(find_scene(scene), out, frames=4)
    with av.open(str(out)) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
    assert len(frames) == 4
    cameras = orbit(read_cameras(scene.parent / "views" / "cameras.json"), 4)
    expected = render_views(read_splats(scene / "splats.ply"), cameras)
    for frame, (_, image, _, _) in zip(frames, expected, strict=True):
        shown = 255 * composite(image, (1, 1, 1))
        assert shown.std() > 20
        # Colors have half the resolution of brightness.
        assert np.abs(frame.mean(axis=2) - shown.mean(axis=2)).mean() < 6


def test_the_cameras_of_a_turntable_look_at_the_middle_from_all_around(scene):
    cameras = read_cameras(scene.parent / "views" / "cameras.json")
    circle = orbit(cameras, 12)
    distances = np.linalg.norm(circle.centers - circle.centers.mean(axis=0), axis=1)
    np.testing.assert_allclose(distances, distances[0], rtol=1e-6)
    rotation = circle.world_to_camera[:, :3, :3]
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    # The ball's cameras look at the origin, with y down.
    np.testing.assert_allclose(np.cross(circle.axes, -circle.centers), 0, atol=1e-6)
    assert (rotation[:, 1, 1] > 0.9).all()
    nearest = np.linalg.norm(cameras.centers - circle.centers[0], axis=1).min()
    assert nearest < 0.3 * distances[0]


def test_what_cannot_be_exported_is_told_in_one_sentence(scene, tmp_path):
    with pytest.raises(InputError, match=r"no format of headstyle export; use ply, splat"):
        export(scene, "obj")
    with pytest.raises(InputError, match=r"is no scene of a study"):
        export(tmp_path, "colmap")
    shutil.copytree(scene.parent / "views", tmp_path / "B" / "views")
    (tmp_path / "B" / "baseline").mkdir()
    with pytest.raises(InputError, match=r"has no splats \(splats\.ply\); run `snakemake"):
        export(tmp_path / "B", "spz")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match=r"full is not empty; name a new folder"):
        export(scene, "colmap", tmp_path / "full")
    with pytest.raises(InputError, match=r"must be a file that ends in \.spz"):
        export(scene, "spz", tmp_path / "full")
    with pytest.raises(InputError, match=r"holds what is exported"):
        export(scene, "colmap", scene.parent)
    assert (tmp_path / "full" / "letter.txt").read_text() == "mine"


def test_each_format_of_a_scene_has_a_rule():
    rules = (ROOT / "rules" / "exports.smk").read_text()
    [folders] = [line for line in rules.splitlines() if "format=" in line and "|" in line]
    named = folders.split('"')[1].split("|")
    # Tables have a rule of their own, and splats lie beside the scene's PLY.
    others = {"csv", "parquet", "ply", "splat", "spz", "sog", "turntable"}
    assert set(named) == set(FORMATS) - others
    assert 'kind="splat|spz|sog"' in rules
