"""Masks, metric depth and points that come with a data set's cameras."""

from pathlib import Path

import numpy as np
import pytest
from analytic import photograph
from foreign_folder import SIZE, sphere_rig, write_scene
from headstyle.base.errors import InputError
from headstyle.base.files import read_json, write_json
from headstyle.base.tables.ply import write_ply_tables
from headstyle.importers.cameras import find_cameras
from headstyle.importers.cameras.base import poses_of_cameras
from headstyle.importers.cameras.polycam import Polycam
from headstyle.importers.companions import (
    masks_of_data_set,
    points_of_data_set,
)
from headstyle.importers.images import SUFFIXES
from headstyle.importers.listing import list_files
from headstyle.importers.pinholes import resized_depth
from headstyle.importers.points import start_points
from headstyle.importers.scenes import SceneFiles, read_scene
from headstyle.importers.settings import ForeignScene, check_foreign, foreign_files
from headstyle.posing import undistortion
from headstyle.posing.undistortion import points_to_start_from
from PIL import Image

RIG = sphere_rig()
TRUE_DEPTHS = photograph(RIG)[1]


def on_sphere(count: int) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def write_millimeters(path: Path, depth: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(depth * 1000).astype(np.uint16)).save(path)


@pytest.fixture
def data_set(tmp_path):
    """A folder of nerfstudio: images without alpha, masks, depth in millimeters, and points."""
    files = write_scene(tmp_path / "made", alpha=False)
    folder = tmp_path / "set"
    folder.mkdir()
    Path(files.renders).rename(folder / "images")
    content = read_json(files.cameras)
    for frame, depth in zip(content["frames"], TRUE_DEPTHS, strict=True):
        view = Path(frame["file_path"]).stem
        frame |= {
            "file_path": f"images/{view}.png",
            "mask_path": f"./segmentation/{view}.png",
            "depth_file_path": f"raw\\{view}.png",
        }
        write_millimeters(folder / "raw" / f"{view}.png", depth)
        mask = Image.fromarray(np.where(depth > 0, 255, 0).astype(np.uint8))
        (folder / "segmentation").mkdir(exist_ok=True)
        mask.save(folder / "segmentation" / f"{view}.png")
    kinds = [*((axis, "f4") for axis in "xyz"), *((c, "u1") for c in ("red", "green", "blue"))]
    table = np.zeros(200, kinds)
    table["x"], table["y"], table["z"] = on_sphere(200).T
    table["green"] = 200
    write_ply_tables(folder / "sparse_pc.ply", {"vertex": table})
    write_json(folder / "transforms.json", content | {"ply_file_path": "sparse_pc.ply"})
    return folder


def change(folder: Path, frame: int, **values) -> None:
    """Change a frame; None takes a key out."""
    content = read_json(folder / "transforms.json")
    entry = content["frames"][frame] | values
    content["frames"][frame] = {key: value for key, value in entry.items() if value is not None}
    write_json(folder / "transforms.json", content)


def test_a_nerfstudio_folder_alone_is_a_whole_scene(data_set):
    scene = read_scene(SceneFiles(data_set, data_set))
    assert scene.cameras.names == RIG.names
    np.testing.assert_allclose(scene.depths, TRUE_DEPTHS, atol=0.00051)
    for render, depth in zip(scene.renders, TRUE_DEPTHS, strict=True):
        np.testing.assert_array_equal(render[..., 3] > 0.5, depth > 0)
    assert scene.explained > 0.5
    positions, colors = start_points(data_set, scene.cameras, scene.renders, 1000, 0)
    np.testing.assert_allclose(np.linalg.norm(positions, axis=1), 1, atol=1e-6)
    assert {tuple(color) for color in colors.tolist()} == {(0, 200, 0)}


def test_masks_and_depth_are_no_views_wherever_they_lie(data_set):
    assert list(list_files(data_set, SUFFIXES, "").files) == list(RIG.names)


def test_depth_and_points_are_in_the_unit_before_the_applied_scale(data_set):
    content = read_json(data_set / "transforms.json")
    for frame in content["frames"]:
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, 3] *= 2
        frame["transform_matrix"] = matrix.tolist()
    write_json(data_set / "transforms.json", content | {"applied_scale": 2.0})
    scene = read_scene(SceneFiles(data_set, data_set))
    np.testing.assert_allclose(scene.depths, 2 * np.array(TRUE_DEPTHS), atol=0.0011)
    assert scene.explained > 0.5
    np.testing.assert_allclose(
        np.linalg.norm(points_of_data_set(data_set)[0], axis=1), 2, atol=1e-5
    )


def test_the_configurations_unit_of_depth_counts_more_than_the_formats(data_set):
    for view, depth in zip(RIG.names, TRUE_DEPTHS, strict=True):
        write_millimeters(data_set / "raw" / f"{view}.png", 2 * depth)
    scene = read_scene(SceneFiles(data_set, data_set, depth_scale=0.0005))
    np.testing.assert_allclose(scene.depths, TRUE_DEPTHS, atol=0.00026)


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        ("raw/v1.png", {}, r"frame 'images/v1\.png' has the depth map .*v1\.png, which does not"),
        ("segmentation/v2.png", {}, r"frame 'images/v2\.png' has the mask .*v2\.png, which does"),
        ("", {"depth_file_path": None}, r"names no depth map for the frame 'images/v3\.png'"),
        ("", {"mask_path": None}, r"names no mask for the frame 'images/v3\.png', but for others"),
        ("", {"mask_path": 3}, r"3 is no path"),
    ],
)
def test_what_is_missing_is_told_with_its_frame(data_set, file, values, said):
    if file:
        (data_set / file).unlink()
    change(data_set, 3, **values)
    with pytest.raises(InputError, match=said):
        read_scene(SceneFiles(data_set / "images", data_set))


def test_missing_points_are_told_and_broken_ones_too(data_set):
    (data_set / "sparse_pc.ply").write_bytes(b"ply\n")
    with pytest.raises(InputError, match=r"sparse_pc\.ply cannot be read as a PLY"):
        points_of_data_set(data_set)
    (data_set / "sparse_pc.ply").unlink()
    with pytest.raises(InputError, match=r"sparse_pc\.ply does not exist; add it, or"):
        points_of_data_set(data_set)


def test_an_image_without_a_frame_has_no_mask(data_set):
    images = {view: data_set / "images" / f"{view}.png" for view in (*RIG.names, "more")}
    assert list(masks_of_data_set(data_set, images)) == list(RIG.names)


def test_a_foreign_scene_needs_no_depths_where_its_cameras_bring_them(data_set):
    entry = {"renders": str(data_set), "cameras": str(data_set)}
    check_foreign({"mine": entry}, ["A"])
    assert not ForeignScene("mine", entry, "results").is_fitted
    named = {Path(path).relative_to(data_set).as_posix() for path in foreign_files(entry)}
    assert {"raw/v0.png", "segmentation/v0.png", "sparse_pc.ply", "transforms.json"} <= named
    change(data_set, 0, file_path=3)
    with pytest.raises(InputError, match="frame 0 has no file_path"):
        check_foreign({"mine": entry}, ["A"])


def test_masks_of_gaussian_avatars_come_with_their_frames(data_set):
    content = read_json(data_set / "transforms.json")
    for index, frame in enumerate(content["frames"]):
        frame["fg_mask_path"] = frame.pop("mask_path")
        frame |= {"timestep_index": 0, "camera_index": index}
    (data_set / "transforms.json").unlink()
    write_json(data_set / "transforms_train.json", content)
    assert type(find_cameras(data_set)[0]).__name__ == "GaussianAvatars"
    images = {view: data_set / "images" / f"{view}.png" for view in RIG.names}
    found = masks_of_data_set(data_set, images)
    assert found["v4"] == data_set / "segmentation/v4.png"


def test_polycams_depth_is_brought_to_the_size_of_its_images(tmp_path):
    files = write_scene(tmp_path / "made")
    Polycam().write(tmp_path / "raw", poses_of_cameras(RIG))
    Path(files.renders).rename(tmp_path / "raw/keyframes/corrected_images")
    half = photograph(RIG.scaled(RIG.sizes // 2))[1]
    for view, depth in zip(RIG.names, half, strict=True):
        write_millimeters(tmp_path / f"raw/keyframes/depth/{view}.png", depth)
    scene = read_scene(SceneFiles(tmp_path / "raw", tmp_path / "raw"))
    assert scene.depths[0].shape == SIZE[::-1]
    for found, true in zip(scene.depths, TRUE_DEPTHS, strict=True):
        both = (true > 0) & (found > 0)
        assert both.sum() > 0.95 * (true > 0).sum()
        assert np.median(np.abs(found - true)[both]) < 0.005
    assert scene.explained > 0.4


def test_a_resized_plane_stays_a_plane_and_an_edge_an_edge():
    rows, columns = np.mgrid[:12, :16].astype(np.float32)
    plane = 100 + 0.01 * columns + 0.02 * rows
    larger = resized_depth(plane, (48, 36))
    y, x = (np.mgrid[:36, :48] + 0.5) / 3 - 0.5
    inner = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(larger[inner], (100 + 0.01 * x + 0.02 * y)[inner], atol=1e-3)
    edge = np.where(columns < 8, np.float32(1), np.float32(3))
    assert set(np.unique(resized_depth(edge, (48, 36)))) == {1, 3}
    assert resized_depth(plane, (40, 40)) is plane


def test_a_subjects_training_starts_from_the_given_points_in_the_foreground_too(
    data_set, monkeypatch
):
    class Few:
        positions = np.zeros((1, 3))
        colors = np.full((1, 3), 7, np.uint8)
        observations = np.array([[0, view] for view in range(len(RIG))])

    alphas = [(depth > 0).astype(np.float32) for depth in TRUE_DEPTHS]
    positions, colors = points_of_data_set(data_set)
    given = 0.5 * positions, colors
    outside = positions + 50, colors
    found = points_to_start_from(Few, RIG, alphas, given)[1].tolist()
    assert found == [[7, 7, 7], *[[0, 200, 0]] * 200]
    assert points_to_start_from(Few, RIG, alphas, outside)[1].tolist() == [[7, 7, 7]]
    assert points_to_start_from(Few, RIG, alphas, None)[1].tolist() == [[7, 7, 7]]
    monkeypatch.setattr(undistortion, "MOST_GIVEN", 30)
    drawn = points_to_start_from(Few, RIG, alphas, given)[0][1:]
    assert len({tuple(point) for point in drawn.tolist()}) == 30
