"""The folder of a whole data set stands for its images and for its cameras."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from foreign_folder import sphere_rig, write_scene
from headstyle.base.errors import InputError
from headstyle.base.files import read_json, write_json
from headstyle.importers.cameras import camera_formats, find_cameras, images_of_cameras
from headstyle.importers.images import SUFFIXES
from headstyle.importers.listing import list_files
from headstyle.importers.scenes import SceneFiles, read_scene
from study import ROOT


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def write_frames(path: Path, frames: list[dict], **shared) -> None:
    matrix = {"transform_matrix": np.eye(4).tolist()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(shared | {"frames": [matrix | frame for frame in frames]}))


def views(folder: Path) -> list[str]:
    return list(list_files(folder, SUFFIXES, "").files)


def test_nerfs_synthetic_scenes_have_depth_and_normals_among_their_images(tmp_path):
    make(tmp_path, "train/r_0.png", "train/r_1.png", "test/r_0.png", "val/r_0.png")
    make(tmp_path, "test/r_0_depth_0001.png", "test/r_0_normal_0001.png")
    for split in ("train", "test"):
        names = [f"./{split}/r_{i}" for i in range(2)]
        frames = [{"file_path": name, "rotation": 0.1} for name in names]
        write_frames(tmp_path / f"transforms_{split}.json", frames, camera_angle_x=0.7)
    assert type(find_cameras(tmp_path)[0]).__name__ == "NerfSynthetic"
    assert views(tmp_path) == ["test_r_0", "train_r_0", "train_r_1"]


def test_of_gaussian_avatars_only_one_point_in_time_is_a_scene(tmp_path, caplog):
    for split, step, camera in (("train", 3, 0), ("train", 7, 0), ("val", 3, 1), ("test", 9, 0)):
        name = f"{step:05d}_{camera:02d}.png"
        make(tmp_path, f"recording/images/{name}", f"recording/fg_masks/{name}")
        path = tmp_path / f"recording/transforms_{split}.json"
        frames = read_json(path)["frames"] if path.exists() else []
        frames.append(
            {"file_path": f"images/{name}", "timestep_index": step, "camera_index": camera}
        )
        write_frames(path, frames, fl_x=100.0, w=120, h=80)
    assert views(tmp_path / "recording") == ["00003_00", "00003_01"]
    assert "has 3 timesteps, of which the first, 3, is taken" in caplog.text
    kind, place = find_cameras(tmp_path / "recording")
    assert type(kind).__name__ == "GaussianAvatars"
    # The cameras of all are there, for who gives the images of another one.
    assert kind.names(place)[-1] == "images/00009_00.png"


def test_a_timestep_that_is_no_number_is_told_with_its_frame(tmp_path):
    make(tmp_path, "images/00000_00.png")
    frame = {"file_path": "images/00000_00.png", "timestep_index": "first"}
    write_frames(tmp_path / "transforms_train.json", [frame], fl_x=100.0)
    with pytest.raises(
        InputError, match=r"frame 'images/00000_00\.png' has the timestep_index 'fi"
    ):
        views(tmp_path)


def test_a_union_of_recordings_names_images_beside_it(tmp_path):
    make(tmp_path, "one/images/00000_00.png", "one/images/00000_01.png")
    frames = [
        {"file_path": f"../one/images/00000_0{i}.png", "timestep_index": 0, "camera_index": i}
        for i in range(2)
    ]
    write_frames(tmp_path / "union/transforms_train.json", frames, fl_x=100.0)
    assert views(tmp_path / "union") == ["00000_00", "00000_01"]


def test_polycams_corrected_keyframes_go_with_its_corrected_cameras(tmp_path):
    for name in ("corrected_images", "images"):
        make(tmp_path, f"keyframes/{name}/10.jpg", f"keyframes/{name}/20.jpg")
    make(tmp_path, "keyframes/depth/10.png", "keyframes/confidence/10.png", "thumbnail.txt")
    entry = {f"t_{row}{column}": 0.0 for row in range(3) for column in range(4)}
    for name in ("10", "20"):
        write_json(tmp_path / f"keyframes/corrected_cameras/{name}.json", entry)
    found = list_files(tmp_path, SUFFIXES, "").files
    assert {path.parent.name for path in found.values()} == {"corrected_images"}
    assert list(found) == ["10", "20"]


def test_llffs_smaller_copies_are_no_views(tmp_path):
    for name in ("images", "images_4", "images_8"):
        make(tmp_path, f"{name}/IMG_1.JPG", f"{name}/IMG_2.JPG")
    np.save(tmp_path / "poses_bounds.npy", np.zeros((2, 17)))
    assert [path.parent.name for path in images_of_cameras(tmp_path)] == ["images", "images"]
    assert views(tmp_path) == ["IMG_1", "IMG_2"]


def test_a_folder_of_images_without_cameras_is_listed_as_before(tmp_path):
    make(tmp_path, "a/1.png", "a/2.png", "b/1.png")
    assert images_of_cameras(tmp_path) == []
    assert views(tmp_path) == ["a_1", "a_2", "b_1"]


def test_a_scene_comes_in_from_its_data_sets_folder_alone(tmp_path):
    files = write_scene(tmp_path / "plain")
    folder = tmp_path / "scene"
    shutil.copytree(files.renders, folder / "train")
    content = read_json(files.cameras)
    width, focal = (content["frames"][0][key] for key in ("w", "fl_x"))
    frames = [
        {
            "file_path": f"./train/{Path(frame['file_path']).stem}",
            "transform_matrix": frame["transform_matrix"],
        }
        for frame in content["frames"]
    ]
    shared = {"camera_angle_x": 2 * np.arctan(width / 2 / focal)}
    write_json(folder / "transforms_train.json", shared | {"frames": frames})
    scene = read_scene(SceneFiles(folder, folder, files.depths))
    assert scene.cameras.names == sphere_rig().names
    np.testing.assert_allclose(scene.cameras.intrinsics, sphere_rig().intrinsics)
    assert scene.explained > 0.5


def test_the_documentation_has_a_row_for_each_format():
    text = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    table = text[text.index("| Format |") :].split("\n\n")[0].splitlines()[2:]
    assert len(table) == len(camera_formats())
