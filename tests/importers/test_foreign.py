"""Scenes of other methods: what can be read, and what is said of input that does not fit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from analytic import cameras_around, photograph
from foreign_folder import SIZE, sphere_rig, write_scene
from headstyle.base.cameras import OPENGL_FROM_OPENCV, write_cameras
from headstyle.base.errors import InputError
from headstyle.base.files import read_json, write_json
from headstyle.consistency.scoring import score
from headstyle.importers.agreement import (
    FLIPPED,
    FLIPPED_INVERTED,
    INVERTED,
    best_scale,
    check_depths,
    check_matches,
    ray_lengths,
    read_poses_as,
)
from headstyle.importers.depths import read_depth
from headstyle.importers.given_poses import read_scene_cameras
from headstyle.importers.points import hull_points
from headstyle.importers.scenes import SceneFiles, read_pairs, read_scene
from headstyle.importers.settings import check_foreign, foreign_files
from PIL import Image


@pytest.fixture
def files(tmp_path) -> SceneFiles:
    return write_scene(tmp_path)


def assert_refused(files: SceneFiles, *said: str) -> None:
    """Reading fails with one sentence that says all of this."""
    with pytest.raises(InputError) as error:
        read_scene(files, "foreign.mine")
    message = str(error.value)
    assert "\n" not in message
    assert all(words in message for words in said), message


def test_a_scene_comes_back_as_it_was_rendered(files):
    scene, rig = read_scene(files), sphere_rig()
    images, depths = photograph(rig)
    assert scene.cameras.names == rig.names
    np.testing.assert_allclose(scene.cameras.world_to_camera, rig.world_to_camera, atol=1e-12)
    np.testing.assert_allclose(scene.cameras.intrinsics, rig.intrinsics)
    np.testing.assert_allclose(scene.renders, images, atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(scene.depths, depths)
    assert scene.unedited is None
    assert scene.explained > 0.5


def test_a_scene_scores_as_its_arrays_do(files):
    scene = read_scene(files)
    table = score(scene.renders, scene.depths, scene.cameras, scene.pairs, device="cpu")
    direct = score(scene.renders, photograph(sphere_rig())[1], sphere_rig(), device="cpu")
    assert len(table) == 20
    np.testing.assert_allclose(table["rmse"], direct["rmse"], rtol=1e-3)


def test_without_alpha_the_foreground_is_what_a_mask_or_else_the_depth_says(tmp_path):
    files = write_scene(tmp_path, alpha=False)
    truth = [depth > 0 for depth in photograph(sphere_rig())[1]]
    scene = read_scene(files)
    assert all((r[..., 3] == t).all() for r, t in zip(scene.renders, truth, strict=True))
    (tmp_path / "masks").mkdir()
    half = np.zeros(SIZE[::-1], np.uint8)
    half[:, :36] = 255
    for name in scene.cameras.names:
        Image.fromarray(half).save(tmp_path / "masks" / f"{name}.png")
    masked = read_scene(replace(files, masks=tmp_path / "masks"))
    assert all((r[..., 3] == half / 255).all() for r in masked.renders)


DEPTH = np.array([[0, 1.5, 2.25], [np.nan, np.inf, -1]], dtype=np.float32)
CLEAN = np.array([[0, 1.5, 2.25], [0, 0, 0]], dtype=np.float32)


def write_exr(path: Path, channels: dict[str, np.ndarray]) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))


def test_depth_is_read_from_every_kind_of_file(tmp_path):
    np.save(tmp_path / "a.npy", DEPTH[..., None])
    np.save(tmp_path / "double.npy", DEPTH.astype(np.float64))
    np.savez(tmp_path / "b.npz", depth=DEPTH, other=DEPTH + 1)
    np.savez(tmp_path / "c.npz", whatever=DEPTH)
    write_exr(tmp_path / "d.exr", {"Z": DEPTH})
    write_exr(tmp_path / "blender.exr", {"ViewLayer.Depth.Z": np.where(DEPTH > 0, DEPTH, 1e10)})
    write_exr(tmp_path / "gray.exr", {"RGB": np.dstack([DEPTH] * 3).astype(np.float16)})
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_depth(path), CLEAN, err_msg=path.name)
    Image.fromarray((CLEAN * 1000).astype(np.uint16)).save(tmp_path / "e.png")
    np.testing.assert_allclose(read_depth(tmp_path / "e.png", 0.001), CLEAN, rtol=1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / "a.npy", 2.0), 2 * CLEAN)


def test_a_16_bit_png_needs_its_scale(files, tmp_path):
    (tmp_path / "png").mkdir()
    for path in sorted(Path(files.depths).iterdir()):
        steps = np.rint(np.load(path) * 1000).astype(np.uint16)
        Image.fromarray(steps).save(tmp_path / "png" / f"{path.stem}.png")
    files = replace(files, depths=tmp_path / "png")
    assert_refused(files, "v0.png counts depth in steps", "foreign.mine.depth_scale", "0.001")
    assert read_scene(replace(files, depth_scale=0.001)).explained > 0.5


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("a.npy", lambda p: p.write_bytes(b"nonsense"), "cannot be read as depth"),
        ("a.npy", lambda p: np.save(p, np.ones((2, 3, 4))), "has shape (2, 3, 4)"),
        ("a.npy", lambda p: np.save(p, np.array([[{}]]), allow_pickle=True), "cannot be read"),
        ("a.npy", lambda p: np.save(p, np.array([["far"]])), "not numbers"),
        ("a.npz", lambda p: p.write_bytes(b""), "cannot be read as depth"),
        ("a.npz", lambda p: np.savez(p, x=CLEAN, y=CLEAN), "name its depth 'depth'"),
        ("a.exr", lambda p: p.write_bytes(b"nonsense"), "cannot be read as depth"),
        ("a.exr", lambda p: write_exr(p, {"X": CLEAN, "Y": CLEAN}), "holds x, y"),
        ("a.png", lambda p: Image.fromarray(CLEAN.astype(np.uint8)).save(p), "too few for depth"),
        ("a.png", lambda p: p.write_bytes(b"nonsense"), "cannot be read as depth"),
    ],
)
def test_depth_that_cannot_be_read_is_named(tmp_path, name, write, said):
    write(tmp_path / name)
    with pytest.raises(InputError) as error:
        read_depth(tmp_path / name, 1.0)
    assert name in str(error.value)
    assert said in str(error.value)


def test_missing_files_are_named(files, tmp_path):
    assert_refused(
        replace(files, renders=tmp_path / "nowhere"), "foreign.mine.renders", "not a folder"
    )
    assert_refused(
        replace(files, renders=files.depths), "foreign.mine.renders", "holds no file .png"
    )
    assert_refused(replace(files, cameras=tmp_path / "none.json"), "none.json does not exist")
    assert_refused(replace(files, cameras=files.depths), "holds no COLMAP model")
    assert_refused(
        replace(files, depths=None), "foreign.mine.depths is null", "foreign.mine.unedited"
    )
    (Path(files.depths) / "v3.npy").unlink()
    assert_refused(files, "foreign.mine.depths", "lacks 1 of 5 views, first 'v3'")
    (tmp_path / "few").mkdir()
    assert_refused(replace(files, depths=None, unedited=tmp_path / "few"), "foreign.mine.unedited")


def test_a_render_without_a_camera_is_named(files):
    content = read_json(files.cameras)
    content["frames"] = content["frames"][:-1]
    write_json(files.cameras, content)
    assert_refused(files, "transforms.json has no camera for 1 of 5 images, first 'v4'")


def test_cameras_without_a_render_are_left_out_and_told(files, caplog):
    (Path(files.renders) / "v4.png").unlink()
    assert read_scene(files).cameras.names == ("v0", "v1", "v2", "v3")
    assert "1 of 5 cameras have no render and are left out: v4" in caplog.text


def test_sizes_that_do_not_fit_are_named(files, tmp_path):
    depth = Path(files.depths) / "v1.npy"
    whole = np.load(depth)
    np.save(depth, whole[:-1])
    assert_refused(files, "v1.npy is 72x95 px but the render is 72x96 px")
    np.save(depth, whole)
    render = Path(files.renders) / "v2.png"
    Image.open(render).crop((0, 0, 72, 60)).save(render)
    assert_refused(files, "the image of 'v2' is 72x60 px but its camera", "is 72x96 px")


def test_renders_at_half_the_size_of_their_cameras_get_cameras_of_half_the_size(files, tmp_path):
    half = write_scene(tmp_path / "half", sphere_rig((36, 48)))
    scene = read_scene(replace(half, cameras=files.cameras))
    np.testing.assert_allclose(scene.cameras.intrinsics, sphere_rig((36, 48)).intrinsics)


def test_broken_images_are_named(files):
    path = Path(files.renders) / "v1.png"
    path.write_bytes(path.read_bytes()[:100])
    assert_refused(files, "v1.png cannot be read as an image")
    path.unlink()
    Image.fromarray(np.zeros(SIZE[::-1], np.float32)).save(path.with_suffix(".tif"))
    assert_refused(files, "v1.tif holds floating-point numbers, not an image", "8-bit RGB")
    path.with_suffix(".tif").unlink()
    Image.fromarray(np.zeros((*SIZE[::-1], 3), np.uint8)).save(path)
    Image.fromarray(np.zeros((*SIZE[::-1], 3), np.uint8)).save(path.with_suffix(".jpg"))
    assert_refused(files, "v1.png and v1.jpg have the same stem")


def test_cameras_of_the_other_axes_are_told_by_what_explains_the_depth(files, tmp_path):
    content = read_json(files.cameras)
    for frame in content["frames"]:
        matrix = np.array(frame["transform_matrix"]) @ OPENGL_FROM_OPENCV
        frame["transform_matrix"] = matrix.tolist()
    write_json(files.cameras, content)
    assert_refused(files, "OpenGL against OpenCV", "set foreign.mine.camera_axes to opencv")
    assert read_scene(replace(files, camera_axes="opencv")).explained > 0.5


def test_cameras_that_go_the_other_way_are_told(files):
    content = read_json(files.cameras)
    for frame in content["frames"]:
        frame["transform_matrix"] = np.linalg.inv(frame["transform_matrix"]).tolist()
    write_json(files.cameras, content)
    assert_refused(files, "camera-to-world where world-to-camera is expected", "invert them")


def test_distances_along_the_ray_are_told_from_z_and_back(files):
    rig = sphere_rig()
    assert_refused(
        replace(files, depth_kind="ray"), "hold z along", "set foreign.mine.depth_kind to z"
    )
    for name, matrix in zip(rig.names, rig.intrinsics, strict=True):
        path = Path(files.depths) / f"{name}.npy"
        np.save(path, np.load(path) * ray_lengths(*SIZE[::-1], matrix))
    assert_refused(files, "hold the distance along", "set foreign.mine.depth_kind to ray")
    scene = read_scene(replace(files, depth_kind="ray"))
    np.testing.assert_allclose(scene.depths, photograph(rig)[1], rtol=1e-6)


def test_depth_in_other_units_is_told_with_the_factor(files):
    rig, (_, depths) = sphere_rig(), photograph(sphere_rig())
    pairs = read_scene(files).pairs
    assert best_scale([depth * 40 for depth in depths], rig, pairs)[0] == pytest.approx(
        1 / 40, rel=0.02
    )
    assert_refused(
        replace(files, depth_scale=1000), "in other units", "set foreign.mine.depth_scale to"
    )


@pytest.mark.parametrize("reading", [FLIPPED, INVERTED, FLIPPED_INVERTED])
def test_matched_features_tell_the_convention_where_there_is_no_depth(reading):
    rig = sphere_rig((240, 320))

    def speckles(points):
        cells = np.floor(points * 12).astype(int) @ (73, 179, 283)
        return np.random.default_rng(0).random((997, 3))[cells % 997]

    images, _ = photograph(rig, colors=speckles)
    pairs = [(a, b) for a, b in zip(rig.names, rig.names[1:], strict=False)]
    assert check_matches(images, rig, pairs) > 0.5
    wrong = read_poses_as(rig, reading)
    assert np.isnan(check_matches([i * 0 for i in images], wrong, pairs))
    with pytest.raises(InputError, match="matched features"):
        check_matches(images, wrong, pairs)


def test_right_cameras_pass_and_depth_of_nothing_in_particular_is_only_told(caplog):
    rig = sphere_rig()
    pairs = [("v0", "v1"), ("v1", "v2"), ("v3", "v2")]
    assert check_depths(photograph(rig)[1], rig, pairs) > 0.5
    draw = np.random.default_rng(0)
    noise = [draw.uniform(1, 100, SIZE[::-1]).astype(np.float32) for _ in rig.names]
    assert check_depths(noise, rig, pairs) < 0.05
    assert "of the depth maps' points agree between views" in caplog.text


@pytest.mark.parametrize(
    ("reading", "said"), [(FLIPPED, "OpenGL against OpenCV"), (INVERTED, "camera-to-world")]
)
def test_the_library_tells_cameras_of_another_convention(reading, said):
    rig = sphere_rig()
    images, depths = photograph(rig)
    pairs = [(a, b) for a, b in zip(rig.names, rig.names[1:], strict=False)]
    with pytest.raises(InputError, match=said):
        score(images, depths, read_poses_as(rig, reading), pairs, device="cpu")


def test_our_own_cameras_and_pairs_can_be_given(files, tmp_path):
    write_cameras(tmp_path / "cameras.json", sphere_rig())
    (tmp_path / "pairs.csv").write_text("target,source\nv0,v1\nv1,v0\nv0,v1\n")
    scene = read_scene(
        replace(files, cameras=tmp_path / "cameras.json", pairs=tmp_path / "pairs.csv")
    )
    assert scene.pairs == [("v0", "v1"), ("v1", "v0")]
    (tmp_path / "pairs.csv").write_text("target,source\nv0,v9\n")
    with pytest.raises(InputError, match=r"pairs\.csv names the view 'v9'"):
        read_pairs(tmp_path / "pairs.csv", scene.cameras.names)
    (tmp_path / "pairs.csv").write_text("a,b\nv0,v9\n")
    with pytest.raises(InputError, match="columns target and source"):
        read_pairs(tmp_path / "pairs.csv", scene.cameras.names)


def test_parallel_cameras_need_pairs(tmp_path):
    rig = sphere_rig()
    poses = rig.world_to_camera.copy()
    poses[:, :3, :3] = np.eye(3)
    poses[:, 0, 3] = np.linspace(-0.3, 0.3, 5)
    assert_refused(write_scene(tmp_path, replace(rig, world_to_camera=poses)), "foreign.mine.pairs")


def test_the_visual_hull_of_a_sphere_is_hardly_larger_than_the_sphere():
    rig = cameras_around(list(np.linspace(-80, 80, 9)), [SIZE] * 9)
    images, _ = photograph(rig)
    positions, colors = hull_points(rig, images, 500, seed=1)
    assert len(positions) == 500
    distances = np.linalg.norm(positions, axis=1)
    # Behind the sphere, out of the frame of half of the views, the hull has a rest.
    assert np.quantile(distances, 0.75) < 1.1
    assert colors.std() > 10
    again, _ = hull_points(rig, images, 500, seed=1)
    np.testing.assert_array_equal(again, positions)
    with pytest.raises(InputError, match="no volume in common"):
        hull_points(rig, [i * 0 for i in images], 500, seed=1)


def test_entries_of_the_configuration_are_checked_before_any_job(files, tmp_path):
    entry = {key: str(getattr(files, key)) for key in ("renders", "cameras", "depths")}
    check_foreign({"mine": entry}, ["A"])
    assert len(foreign_files(entry)) == 11
    with pytest.raises(InputError, match=r"foreign\.mine\.masks: nowhere does not exist"):
        check_foreign({"mine": entry | {"masks": "nowhere"}}, [])
    with pytest.raises(InputError, match=r"foreign\.mine has neither depths nor unedited"):
        check_foreign({"mine": entry | {"depths": None}}, [])
    with pytest.raises(InputError, match="rename the subject"):
        check_foreign({"mine": entry}, ["foreign"])
    assert SceneFiles.from_config(entry | {"depth_scale": "0.5"}).depth_scale == 0.5


def test_a_file_that_is_no_transforms_is_named(files):
    for content in ({"frames": 3}, [], {"frames": [{"file_path": "v0.png"}]}):
        Path(files.cameras).write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"transforms\.json is not a complete"):
            read_scene_cameras(files.cameras, {"v0": SIZE, "v1": SIZE})
