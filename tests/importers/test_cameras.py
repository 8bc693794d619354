"""Formats of cameras: each gives back what it wrote, and says which image a fault is of."""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from foreign_folder import sphere_rig
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.importers.cameras import GivenPose, camera_formats, find_cameras
from headstyle.importers.cameras.base import poses_of_cameras
from headstyle.importers.cameras.colmap import ColmapModel
from headstyle.importers.cameras.nerfstudio import transforms_content, transforms_lens
from headstyle.importers.cameras.own import OwnCameras
from headstyle.importers.cameras.threedgs import SplattingCameras
from headstyle.importers.given_poses import read_given_poses, read_scene_cameras
from headstyle.importers.lenses import Lens, pinhole_of, project
from headstyle.importers.pinholes import undistortion_map
from own_process import in_own_process

SIZE = (120, 80)
LENSES = {
    "PINHOLE": Lens("PINHOLE", *SIZE, (100.0, 101.0, 60.0, 40.0)),
    "OPENCV": Lens("OPENCV", *SIZE, (100.0, 101.0, 62.0, 39.0, -0.2, 0.05, 0.01, -0.02)),
    "OPENCV_FISHEYE": Lens("OPENCV_FISHEYE", *SIZE, (60.0, 61.0, 60.0, 40.0, 0.1, 0.0, 0.02, 0.0)),
    "SIMPLE_RADIAL": Lens("SIMPLE_RADIAL", *SIZE, (100.0, 62.0, 39.0, 0.1)),
    "centered": Lens("PINHOLE", *SIZE, (100.0, 100.0, 60.0, 40.0)),
    "one focal": Lens("OPENCV", *SIZE, (100.0, 100.0, 62.0, 39.0, -0.2, 0.05, 0.01, -0.02)),
    "k3": Lens(
        *("FULL_OPENCV", *SIZE),
        (100.0, 100.0, 62.0, 39.0, -0.2, 0.05, 0.01, -0.02, 0.03, 0.0, 0.0, 0.0),
    ),
}
HELD = {
    "ColmapModel": ["PINHOLE", "OPENCV", "OPENCV_FISHEYE", "SIMPLE_RADIAL"],
    "GaussianAvatars": ["PINHOLE"],
    "InstantNgp": ["PINHOLE", "OPENCV", "OPENCV_FISHEYE"],
    "Llff": ["centered"],
    "Metashape": ["PINHOLE", "OPENCV", "OPENCV_FISHEYE", "k3"],
    "NerfSynthetic": ["centered"],
    "OwnCameras": ["PINHOLE"],
    "Polycam": ["PINHOLE"],
    "RealityCapture": ["centered", "one focal", "k3"],
    "SplattingCameras": ["PINHOLE"],
    "Transforms": ["PINHOLE", "OPENCV", "OPENCV_FISHEYE"],
}
"""The lenses that each format can hold."""
ROUND_TRIPS = [(kind, model) for kind, models in HELD.items() for model in models]
NAMES = ("left/IMG 1.png", "right/IMG 1.png", "Büste (2).jpg")
FLAT_NAMES = ("Büste (2).jpg", "IMG 1.png", "IMG 3.png")
FLAT = ("Llff", "Polycam")
"""Formats whose images all lie in one folder."""
WITHOUT_SIZE = ("NerfSynthetic", "RealityCapture")
"""Formats that do not tell the size of an image."""
FILES = {"InstantNgp": "transforms.json", "Metashape": "a.xml", "RealityCapture": "a.csv"}
FOLDERS = ("ColmapModel", "GaussianAvatars", "Llff", "NerfSynthetic", "Polycam")


def a_pose(seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    rotation = np.linalg.qr(draw.normal(size=(3, 3)))[0]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation * np.linalg.det(rotation), draw.normal(size=3)
    return pose


def some_poses(model: str, names: tuple[str, ...] = NAMES) -> dict[str, GivenPose]:
    return {name: GivenPose(LENSES[model], a_pose(i)) for i, name in enumerate(names)}


def written_and_read(kind_name: str, model: str, folder: str) -> tuple[list[str], dict]:
    """Names and poses that come back, found by looking at the path alone."""
    kind = next(kind for kind in camera_formats() if type(kind).__name__ == kind_name)
    names = FLAT_NAMES if kind_name in FLAT else NAMES
    if kind_name == "Llff":
        # The file names no images; those beside it do.
        for name in names:
            (Path(folder) / "model/images").mkdir(parents=True, exist_ok=True)
            (Path(folder) / "model/images" / name).touch()
    is_folder = kind_name in FOLDERS
    place = Path(folder) / ("model" if is_folder else FILES.get(kind_name, "cameras.json"))
    kind.write(place, some_poses(model, names))
    found, same_place = find_cameras(place)
    assert type(found) is type(kind)
    size = SIZE if kind_name in WITHOUT_SIZE else (1, 1)
    return found.names(same_place), found.read(same_place, dict.fromkeys(names, size))


def all_written_and_read(folder: Path) -> dict[tuple[str, str], tuple[list[str], dict] | str]:
    """What comes back of each format and lens, or what went wrong."""
    found: dict[tuple[str, str], tuple[list[str], dict] | str] = {}
    for kind, model in ROUND_TRIPS:
        place = folder / f"{kind} {model}"
        place.mkdir()
        try:
            found[kind, model] = written_and_read(kind, model, str(place))
        except Exception as error:
            found[kind, model] = repr(error)
    return found


@pytest.fixture(scope="module")
def round_trips(tmp_path_factory) -> dict:
    """All round trips, in one process: to start one takes longer than all of them."""
    return in_own_process(all_written_and_read, tmp_path_factory.mktemp("round_trips"))


@pytest.mark.parametrize(("kind", "model"), ROUND_TRIPS)
def test_a_format_gives_back_what_it_wrote(round_trips, kind, model):
    found = round_trips[kind, model]
    assert not isinstance(found, str), found
    names, poses = found
    expected = some_poses(model, FLAT_NAMES if kind in FLAT else NAMES)
    assert sorted(names) == sorted(expected)
    for name, pose in expected.items():
        assert poses[name].lens.model == pose.lens.model
        assert (poses[name].lens.width, poses[name].lens.height) == SIZE
        np.testing.assert_allclose(poses[name].lens.params, pose.lens.params, rtol=1e-12)
        np.testing.assert_allclose(poses[name].world_to_camera, pose.world_to_camera, atol=1e-12)


def every_model_of_colmap(folder: Path) -> dict[str, tuple[bool, float] | str]:
    """Per model, whether its lens comes back, and how far its undistorted pixels are off [px]."""
    from headstyle.importers.lenses import lens_of, load_pycolmap

    pycolmap = load_pycolmap()
    found: dict[str, tuple[bool, float] | str] = {}
    for model in sorted(set(pycolmap.CameraModelId.__members__) - {"INVALID"}):
        camera = pycolmap.Camera.create_from_model_name(1, model, 100.0, *SIZE)
        names = [name.strip() for name in camera.params_info.split(",")]
        bends = [not name.startswith(("f", "c")) for name in names]
        camera.params = [p + 0.02 * bent for p, bent in zip(camera.params, bends, strict=True)]
        pose, lens = np.eye(4), lens_of(camera)
        ColmapModel().write(folder / model, {"a b.png": GivenPose(lens, pose)})
        try:
            back = ColmapModel().read(folder / model, {"a b.png": SIZE})["a b.png"].lens
        except InputError as error:
            found[model] = str(error)
            continue
        matrix = pinhole_of(lens, SIZE).matrix
        pixel_map = undistortion_map(lens, matrix)
        point = np.array([[0.1, -0.15, 1.0]])
        column, row = (point @ matrix.T)[0, :2] - 0.5
        shown = np.array([column, row])
        if pixel_map is not None:
            at = np.float32([[column]]), np.float32([[row]])
            shown = cv2.remap(pixel_map, *at, cv2.INTER_LINEAR)[0, 0]
        found[model] = (back == lens, float(np.abs(shown + 0.5 - project(lens, point)[0]).max()))
    return found


def test_every_model_of_colmap_comes_back_and_is_undistorted(tmp_path):
    found = in_own_process(every_model_of_colmap, tmp_path)
    assert "'a b.png' is a panorama (EQUIRECTANGULAR)" in found.pop("EQUIRECTANGULAR")
    assert len(found) >= 13
    for model, (same, off) in found.items():
        assert same, model
        # The map is linear between pixels only.
        assert off < 0.05, model


def test_every_format_has_its_round_trip():
    assert sorted(type(kind).__name__ for kind in camera_formats()) == sorted(HELD)


@pytest.mark.parametrize("kind", sorted(set(HELD) - {"ColmapModel"}))
def test_a_lens_that_a_format_cannot_hold_is_named(tmp_path, kind):
    found = next(k for k in camera_formats() if type(k).__name__ == kind)
    with pytest.raises(InputError, match=r"(IMG 1|Büste).*SIMPLE_RADIAL|SIMPLE_RADIAL.*IMG 1"):
        found.write(tmp_path / "cameras.json", some_poses("SIMPLE_RADIAL"))


def write_json(path: Path, content, encoding: str = "utf-8") -> Path:
    path.write_text(json.dumps(content), encoding=encoding)
    return path


def frames(**shared) -> dict:
    """transforms.json of two views with shared intrinsics."""
    content = transforms_content(some_poses("PINHOLE", ("a.png", "b.png")))
    kept = ("file_path", "transform_matrix")
    content["frames"] = [{key: frame[key] for key in kept} for frame in content["frames"]]
    return {"fl_x": 100, "w": 120, "h": 80} | shared | {"frames": content["frames"]}


SIZES = {"a": SIZE, "b": SIZE}


@pytest.mark.parametrize("kind", [OwnCameras, SplattingCameras])
def test_every_fault_of_a_camera_is_told_with_its_name(tmp_path, kind):
    path = tmp_path / "cameras.json"
    kind().write(path, poses_of_cameras(sphere_rig()))
    whole = path.read_text()

    def entry(content):
        return (content["views"] if isinstance(content, dict) else content)[2]

    of_no_use = {"id", "name", "img_name"}
    for key in sorted(set(entry(json.loads(whole))) - of_no_use):
        for value in (None, "x", -1, [1], 1e999):
            content = json.loads(whole)
            entry(content)[key] = value
            path.write_text(json.dumps(content))
            found, place = find_cameras(path)
            with pytest.raises(InputError, match="'v2'"):
                found.read(place, dict.fromkeys(found.names(place), (1, 1)))
    content = json.loads(whole)
    del entry(content)["name" if kind is OwnCameras else "img_name"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"its (view|entry) 3 has no "):
        find_cameras(path)[0].names(path)


def test_a_byte_order_mark_is_no_fault_and_a_fault_of_the_users_file_is_not_ours(tmp_path):
    for encoding in ("utf-8-sig", "utf-16"):
        path = write_json(tmp_path / "transforms.json", frames(), encoding)
        assert list(read_given_poses(path, SIZES)) == ["a", "b"]
    for text in ("{", "[" * 100_000, "\udce4"):
        path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
        with pytest.raises(InputError, match=r"transforms\.json .*export it again") as error:
            read_given_poses(path, SIZES)
        assert "delete" not in str(error.value)


def test_null_in_a_transforms_file_means_that_nothing_is_told(tmp_path):
    content = frames()
    path = write_json(tmp_path / "transforms.json", content)
    expected = read_scene_cameras(path, SIZES)
    nothing = dict.fromkeys(("camera_model", "k1", "p1", "w", "cy", "ply_file_path"))
    content |= nothing | {"aabb_scale": None}
    for frame in content["frames"]:
        frame |= {"fl_x": None, "mask_path": None, "camera_model": None}
    found = read_scene_cameras(write_json(path, content), SIZES)
    np.testing.assert_array_equal(found.cameras.intrinsics[:, 0], expected.cameras.intrinsics[:, 0])
    assert find_cameras(path)[0].maker == "nerfstudio"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, "frame 'a.png' has a lens of the kind EQUIRECT"),
        ({"camera_model": "FISHEYE624"}, "frame 'a.png' has a lens of the kind FISHEYE624"),
        ({"camera_model": "VR180_L"}, "VR180_L, which is not supported"),
        ({"is_equirectangular": True}, "the kind is_equirectangular"),
        ({"ftheta_p0": 1.0}, "the kind ftheta_p0"),
        ({"is_fisheye": True, "p1": 0.1}, "fisheye lens with p1"),
        ({"k1": -2.0, "k4": 0.1}, "bends back inside the image"),
        ({"fl_x": None, "camera_angle_x": 0}, "'a.png'"),
        ({"w": 1e999}, "frame 'a.png': w is inf"),
        ({"fl_x": -3}, "frame 'a.png': fl_x is -3, not above 0"),
        ({"cx": "nan"}, "frame 'a.png': cx is 'nan'"),
        ({"k1": "much"}, "frame 'a.png': k1 is 'much', not a number"),
        ({"frames": [{"file_path": "a.png", "transform_matrix": [[1]]}]}, "frame 'a.png'"),
        ({"frames": [{"file_path": 3}]}, "frame 0 has no file_path"),
        ({"frames": [None]}, "frame 0 has no file_path"),
    ],
)
def test_what_a_frame_lacks_is_said_with_its_name(tmp_path, changes, said):
    path = write_json(tmp_path / "transforms.json", frames() | changes)
    with pytest.raises(InputError) as error:
        read_scene_cameras(path, SIZES)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("angle", [0, -1, 3.2, "wide"])
def test_an_impossible_angle_of_view_is_named(angle):
    with pytest.raises(ValueError, match="camera_angle_x is"):
        transforms_lens({"camera_angle_x": angle}, SIZE)


def nerfstudio_pixels(entry: dict, points: np.ndarray) -> np.ndarray:
    """Where nerfstudio's own formulas show points with z = 1 `(N, 2)`."""
    x, y = points.T
    r = x * x + y * y
    k1, k2, k3, k4, p1, p2 = (entry.get(k, 0) for k in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if entry.get("camera_model") == "OPENCV_FISHEYE" or entry.get("is_fisheye"):
        theta = np.arctan(np.sqrt(r))
        t = theta**2
        scale = theta * (1 + t * (k1 + t * (k2 + t * (k3 + t * k4)))) / np.sqrt(r)
        u, v = x * scale, y * scale
    else:
        d = 1 + r * (k1 + r * (k2 + r * (k3 + r * k4)))
        u = d * x + 2 * p1 * x * y + p2 * (r + 2 * x * x)
        v = d * y + 2 * p2 * x * y + p1 * (r + 2 * y * y)
    return np.stack([entry["fl_x"] * u + entry["w"] / 2, entry["fl_x"] * v + entry["h"] / 2], 1)


def lens_pixels(entry: dict, points: np.ndarray) -> np.ndarray:
    return project(transforms_lens(entry, (1, 1)), np.c_[points, np.ones(len(points))])


def all_lens_pixels(entries: list[dict], points: np.ndarray) -> list[np.ndarray]:
    return [lens_pixels(entry, points) for entry in entries]


LARGE = {"w": 4000, "h": 6000, "fl_x": 5920}
DISTORTIONS = [
    {"k1": 0.1, "k2": -0.05, "p1": 0.01, "p2": -0.02},
    {"k1": 0.1, "k2": -0.05, "k3": 0.02},
    {"k1": 0.05, "k2": -0.12, "k3": 0.10, "k4": -0.03},
    {"k1": -0.3, "k2": 0.12, "k3": -0.02, "k4": 0.005, "p1": 0.001},
    {"k4": 0.2},
    {"is_fisheye": True, "k1": 0.05, "k2": -0.01, "k3": 0.01, "k4": 0.02},
    {"camera_model": "OPENCV_FISHEYE", "k1": 0.05, "k4": 0.02},
]
DIRECTIONS = np.stack(
    [part.ravel() for part in np.meshgrid(np.linspace(-0.33, 0.33, 9), np.linspace(-0.5, 0.5, 12))],
    axis=1,
)


@pytest.fixture(scope="module")
def pixels() -> list[np.ndarray]:
    """Where our lenses of all distortions show the points, from one process."""
    return in_own_process(all_lens_pixels, [LARGE | terms for terms in DISTORTIONS], DIRECTIONS)


@pytest.mark.parametrize("index", range(len(DISTORTIONS)))
def test_a_lens_is_what_nerfstudio_says_it_is(pixels, index):
    expected = nerfstudio_pixels(LARGE | DISTORTIONS[index], DIRECTIONS)
    inside = ((expected > 0) & (expected < (4000, 6000))).all(axis=1)
    assert inside.sum() > 50
    assert np.abs(pixels[index] - expected)[inside].max() < 0.05


def test_cameras_of_synthetic_scenes_are_read_from_their_splits(tmp_path):
    matrices = [f["transform_matrix"] for f in frames()["frames"]]
    for split, matrix in zip(("train", "test"), matrices, strict=True):
        content = {"camera_angle_x": np.pi / 2}
        content["frames"] = [{"file_path": f"./{split}/r_0", "transform_matrix": matrix}]
        write_json(tmp_path / f"transforms_{split}.json", content)
    images = {"train_r_0": "scene/train/r_0.png", "test_r_0": "scene/test/r_0.png"}
    sizes = dict.fromkeys(images, (800, 800))
    found = read_scene_cameras(tmp_path, sizes, images=images).cameras
    np.testing.assert_allclose(found.intrinsics[:, 0, 0], 400)
    expected = [a_pose(0), a_pose(1)]
    np.testing.assert_allclose(found.world_to_camera, expected, atol=1e-12)


def splatting(tmp_path: Path, names: list[str]) -> Path:
    kind = next(k for k in camera_formats() if type(k).__name__ == "SplattingCameras")
    kind.write(tmp_path / "cameras.json", some_poses("PINHOLE", tuple(names)))
    return tmp_path / "cameras.json"


def test_numbered_renders_take_as_many_cameras_in_their_order_and_it_is_told(tmp_path, caplog):
    path = splatting(tmp_path, ["IMG_7", "IMG_3", "IMG_5"])
    images = {f"0000{i}": f"renders/0000{i}.png" for i in (2, 0, 1)}
    found = read_scene_cameras(path, dict.fromkeys(images, SIZE), images=images).cameras
    expected = [a_pose(i) for i in (2, 0, 1)]
    np.testing.assert_allclose(found.world_to_camera, expected, atol=1e-12)
    assert "matched by order, 00000.png to IMG_7" in caplog.text
    del images["00001"]
    with pytest.raises(InputError, match="has 3 cameras but there are 2 numbered images"):
        read_scene_cameras(path, dict.fromkeys(images, SIZE), images=images)
    other = {"x": SIZE, "y": SIZE, "z": SIZE}
    with pytest.raises(InputError, match="no camera for 3 of 3 images, first 'x'"):
        read_scene_cameras(path, other)


def test_poses_of_few_photographs_are_counted_with_names_that_look_alike(tmp_path):
    path = splatting(tmp_path, ["v0", "v1", *(f"frame_{i:05d}.png" for i in range(2, 9))])
    sizes = dict.fromkeys([f"v{i}" for i in range(2)] + [f"FRAME{i}" for i in range(2, 9)], SIZE)
    with pytest.raises(InputError) as error:
        read_given_poses(path, sizes)
    assert "has poses for 2 of the 9 views, and 7 for other images" in str(error.value)
    assert "'FRAME2' and 'frame_00002.png'" in str(error.value)
    assert len(read_given_poses(path, sizes, least_share=0.2)) == 2


def test_a_view_is_its_path_and_not_its_stem(tmp_path):
    path = splatting(tmp_path, ["left/1.png", "right/1.png"])
    images = {"right_1": "renders/right/1.png", "left_1": "renders/left/1.png"}
    found = read_scene_cameras(path, dict.fromkeys(images, SIZE), images=images).cameras
    np.testing.assert_allclose(found.world_to_camera, [a_pose(1), a_pose(0)], atol=1e-12)
    with pytest.raises(InputError, match=r"left/1\.png and right/1\.png could both be of"):
        read_scene_cameras(path, {"1": SIZE}, images={"1": "renders/1.png"})


def test_a_path_that_holds_no_cameras_is_told_with_what_would(tmp_path):
    with pytest.raises(InputError, match=r"nowhere does not exist; name cameras .*COLMAP"):
        find_cameras(tmp_path / "nowhere")
    (tmp_path / "cameras.obj").touch()
    with pytest.raises(InputError, match=r"cameras\.obj is in no format .*nerfstudio"):
        find_cameras(tmp_path / "cameras.obj")
    with pytest.raises(InputError, match=r"holds no COLMAP model .*nerfstudio"):
        find_cameras(tmp_path)


def colmap_text(folder: Path, with_points: bool = True) -> Path:
    folder.mkdir(parents=True)
    lens = LENSES["PINHOLE"]
    params = " ".join(map(str, lens.params))
    (folder / "cameras.txt").write_text(f"# Cameras\n1 PINHOLE 120 80 {params}\n")
    lines = [f"{i} 1 0 0 0 0 0 {i} 1 {name}\n\n" for i, name in enumerate(NAMES, start=1)]
    (folder / "images.txt").write_text("# Images\n" + "".join(lines), encoding="utf-8")
    if with_points:
        (folder / "points3D.txt").write_text("")
    return folder


def names_and_depths(folder: Path) -> dict[str, float]:
    kind, place = find_cameras(folder)
    poses = kind.read(place, dict.fromkeys(kind.names(place), (1, 1)))
    return {name: float(pose.world_to_camera[2, 3]) for name, pose in poses.items()}


def all_names_and_depths(folders: list[Path]) -> list[dict[str, float]]:
    return [names_and_depths(folder) for folder in folders]


def test_text_models_keep_names_with_spaces_and_need_no_points(tmp_path):
    folders = []
    for place in (".", "sparse/0", "sparse", "0", "dense/sparse", "colmap/sparse/0"):
        for with_points in (True, False):
            folders.append(tmp_path / f"root {len(folders)}")
            colmap_text(folders[-1] / place, with_points)
    expected = {name: float(i) for i, name in enumerate(NAMES, start=1)}
    assert in_own_process(all_names_and_depths, folders) == [expected] * len(folders)


def test_of_numbered_models_the_largest_is_taken_and_told(tmp_path, caplog):
    for place in ("alike/sparse/0", "alike/sparse/1", "a/sparse/0", "a/sparse/1", "a/sparse/10"):
        colmap_text(tmp_path / place)
    with (tmp_path / "a/sparse/10/images.txt").open("a") as file:
        file.write("9 1 0 0 0 0 0 9 1 more.png\n\n")
    assert find_cameras(tmp_path / "alike")[1] == tmp_path / "alike/sparse/0"
    assert find_cameras(tmp_path / "a")[1] == tmp_path / "a/sparse/10"
    assert "a/sparse holds 3 models; the largest is taken, 10" in caplog.text
    assert find_cameras(tmp_path / "a/sparse/1")[1] == tmp_path / "a/sparse/1"


def test_text_models_need_no_lines_of_features(tmp_path):
    folder = colmap_text(tmp_path / "model")
    whole = (folder / "images.txt").read_text(encoding="utf-8")
    variants = {
        "without": whole.replace("\n\n", "\n"),
        "no last line": whole.rstrip("\n"),
        "spaces": whole.replace("\n\n", "  \n   \n"),
        "windows": whole.replace("\n", "\r\n"),
        "features": whole.replace("\n\n", "\n1.5 2.5 -1 3 4 -1\n"),
    }
    folders = []
    for name, text in variants.items():
        folders.append(colmap_text(tmp_path / name))
        (folders[-1] / "images.txt").write_bytes(text.encode())
    expected = {name: float(i) for i, name in enumerate(NAMES, start=1)}
    assert in_own_process(all_names_and_depths, folders) == [expected] * len(folders)


def binary_model(folder: Path) -> None:
    """Write a model with a point, as COLMAP does."""
    from headstyle.importers.lenses import load_pycolmap

    pycolmap = load_pycolmap()
    model = pycolmap.Reconstruction()
    for i in (1, 2):
        camera = pycolmap.Camera.create_from_model_name(i, "PINHOLE", 100.0, *SIZE)
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=f"v{i}.png", camera_id=i, image_id=i)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(np.array([3.0, 4.0]))] * 2)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(np.eye(4)[:3]))
    track = pycolmap.Track()
    track.add_element(1, 0)
    track.add_element(2, 1)
    model.add_point3D(np.array([0, 0, 3.0]), track, np.array([1, 2, 3], np.uint8))
    folder.mkdir()
    model.write_binary(folder)


def rig_model(folder: Path) -> dict[str, list]:
    """Write a model of a rig of two cameras in two frames, and return its images' poses."""
    from headstyle.importers.lenses import load_pycolmap

    pycolmap = load_pycolmap()
    model = pycolmap.Reconstruction()
    rig = pycolmap.Rig(rig_id=1)
    second = a_pose(7)
    for i in (1, 2):
        camera = pycolmap.Camera.create_from_model_name(i, "PINHOLE", 100.0, *SIZE)
        model.add_camera(camera)
        if i == 1:
            rig.add_ref_sensor(camera.sensor_id)
        else:
            rig.add_sensor(camera.sensor_id, pycolmap.Rigid3d(second[:3]))
    model.add_rig(rig)
    poses = {}
    for frame_id in (1, 2):
        pose = a_pose(frame_id)
        frame = pycolmap.Frame(frame_id=frame_id, rig_id=1)
        frame.rig_from_world = pycolmap.Rigid3d(pose[:3])
        images = []
        for i, step in ((1, np.eye(4)), (2, second)):
            name = f"camera{i}/{frame_id}.png"
            images.append(pycolmap.Image(name=name, camera_id=i, image_id=10 * frame_id + i))
            images[-1].frame_id = frame_id
            frame.add_data_id(images[-1].data_id)
            poses[name] = (step @ pose).tolist()
        model.add_frame(frame)
        for image in images:
            model.add_image(image)
            model.register_frame(frame_id)
    for kind, write in (("binary", model.write_binary), ("text", model.write_text)):
        (folder / kind).mkdir()
        write(folder / kind)
    return poses


def poses_of(folder: Path) -> dict[str, list]:
    kind, place = find_cameras(folder)
    poses = kind.read(place, dict.fromkeys(kind.names(place), (1, 1)))
    return {name: pose.world_to_camera.tolist() for name, pose in poses.items()}


def test_images_of_a_rig_have_the_poses_of_their_cameras_in_it(tmp_path):
    expected = in_own_process(rig_model, tmp_path)
    for kind in ("binary", "text"):
        found = in_own_process(poses_of, tmp_path / kind)
        assert sorted(found) == sorted(expected)
        for name, pose in expected.items():
            np.testing.assert_allclose(found[name], pose, atol=1e-9)
        # The rig says where the second camera is; without it, both would be in one place.
        assert not np.allclose(found["camera1/1.png"], found["camera2/1.png"])


def said_of(folder: Path) -> str:
    try:
        return str(sorted(names_and_depths(folder)))
    except InputError as error:
        return str(error)


def test_binary_models_need_no_points_and_truncated_files_are_told_at_once(tmp_path):
    folder = tmp_path / "model"
    in_own_process(binary_model, folder)
    assert said_in_process(folder) == "['v1.png', 'v2.png']"
    for part in ("points3D", "images", "cameras", "frames", "rigs"):
        path = folder / f"{part}.bin"
        whole = path.read_bytes()
        for damaged in (b"", whole[:5], whole[:-3], struct.pack("<Q", 2**40) + whole[8:]):
            path.write_bytes(damaged)
            said = said_in_process(folder)
            assert part in said or "cannot be read as a COLMAP model" in said, said
            assert "export" in said
        path.write_bytes(whole)
    (folder / "points3D.bin").unlink()
    assert said_in_process(folder) == "['v1.png', 'v2.png']"
    (folder / "images.bin").unlink()
    assert "has cameras.bin but no images.bin" in said_in_process(folder)


def said_in_process(folder: Path) -> str:
    return in_own_process(said_of, folder)


def test_a_folder_of_nerfstudio_means_its_transforms(tmp_path):
    colmap_text(tmp_path / "colmap/sparse/0")
    path = write_json(tmp_path / "transforms.json", frames())
    kind, place = find_cameras(tmp_path)
    assert (type(kind).__name__, place) == ("Transforms", path.parent)
    assert kind.names(place) == ["a.png", "b.png"]


def test_pinholes_of_cameras_are_their_own_matrices():
    cameras = Cameras(("a",), np.array([SIZE]), np.diag([2.0, 3, 1])[None], np.eye(4)[None])
    lens = poses_of_cameras(cameras)["a"].lens
    assert (lens.model, lens.params) == ("PINHOLE", (2.0, 3.0, 0.0, 0.0))
