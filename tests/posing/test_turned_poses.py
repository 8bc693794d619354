"""Poses of stored pixels: turned with the pixels, they show a point where the photograph does."""

import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.importers.cameras import GivenPose
from headstyle.importers.cameras.reality_capture import RealityCapture
from headstyle.importers.given_poses import read_given_poses
from headstyle.importers.images import turn_upright
from headstyle.importers.lenses import Lens, project
from headstyle.posing.photographs import PhotographInfo
from headstyle.posing.turned_poses import upright_poses
from own_process import in_own_process

WIDTH, HEIGHT = 120, 80
LENSES = {
    "SIMPLE_RADIAL": (100.0, 62.0, 39.0, 0.1),
    "PINHOLE": (100.0, 110.0, 62.0, 39.0),
    "OPENCV": (100.0, 110.0, 62.0, 39.0, -0.2, 0.05, 0.01, -0.02),
    "OPENCV_FISHEYE": (100.0, 110.0, 62.0, 39.0, 0.1, 0.0, 0.01, 0.0),
    "THIN_PRISM_FISHEYE": (100, 110.0, 62.0, 39.0, 0.1, 0, 0.01, -0.02, 0, 0, 0.03, -0.01),
}
POINTS = np.array([[0.3, -0.2, 0.1], [-0.4, 0.1, 0.3], [0.1, 0.25, -0.2], [0.0, 0.0, 0.0]])


def a_pose(model: str) -> GivenPose:
    pose = np.eye(4)
    pose[:3, :3] = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    pose[:3, :3] *= np.linalg.det(pose[:3, :3])
    pose[2, 3] = 2.0
    return GivenPose(Lens(model, WIDTH, HEIGHT, tuple(map(float, LENSES[model]))), pose)


def pixels_of(pose: GivenPose) -> np.ndarray:
    return project(pose.lens, POINTS @ pose.world_to_camera[:3, :3].T + pose.world_to_camera[:3, 3])


def stored_and_upright(model: str, orientation: int) -> tuple:
    """Pixels of points in the stored image and in the upright one."""
    info = PhotographInfo(HEIGHT, WIDTH, orientation, None)
    if orientation < 5:
        # A photograph on its side tells that all poses follow the stored pixels.
        info = PhotographInfo(WIDTH, HEIGHT, orientation, None)
    infos = {"a": info, "telling": PhotographInfo(HEIGHT, WIDTH, 6, None)}
    given = {"a": a_pose(model), "telling": a_pose(model)}
    found = upright_poses(given, infos)["a"]
    return pixels_of(given["a"]), pixels_of(found), (found.lens.width, found.lens.height)


@pytest.mark.parametrize("model", LENSES)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_camera_sees_points_where_the_turned_photograph_shows_them(model, orientation):
    stored, upright, size = in_own_process(stored_and_upright, model, orientation)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    places = turn_upright(np.dstack([x, y]), orientation)
    assert size == (places.shape[1], places.shape[0])
    # Where the turned photograph shows the stored pixel: the places are linear in the pixel.
    for before, after in zip(stored, upright, strict=True):
        column, row = after - 0.5
        origin = places[0, 0]
        shown = origin + column * (places[0, 1] - origin) + row * (places[1, 0] - origin)
        np.testing.assert_allclose(shown, before, atol=1e-9)


def of_reality_capture(path) -> np.ndarray:
    """Pixels of points in an upright photograph, and its size, by a file that gives no sizes."""
    lens = Lens("PINHOLE", WIDTH, HEIGHT, (100.0, 100.0, 62.0, 39.0))
    poses = {name: GivenPose(lens, a_pose("PINHOLE").world_to_camera) for name in ("a", "b")}
    RealityCapture().write(path, poses)
    infos = dict.fromkeys(poses, PhotographInfo(HEIGHT, WIDTH, 6, None))
    given = read_given_poses(path, {view: info.stored_size for view, info in infos.items()})
    found = upright_poses(given, infos)["a"]
    return pixels_of(poses["a"]), pixels_of(found), (found.lens.width, found.lens.height)


def test_a_file_without_sizes_is_of_the_stored_pixels(tmp_path):
    stored, upright, size = in_own_process(of_reality_capture, tmp_path / "cameras.csv")
    assert size == (HEIGHT, WIDTH)
    # Orientation 6: what is stored at the left stands at the top, and the bottom at the left.
    np.testing.assert_allclose(upright[:, 1], stored[:, 0], atol=1e-6)
    np.testing.assert_allclose(upright[:, 0], HEIGHT - stored[:, 1], atol=1e-6)


def test_poses_of_upright_photographs_stay():
    lens = Lens("PINHOLE", HEIGHT, WIDTH, (100.0, 110.0, 39.0, 62.0))
    pose = GivenPose(lens, np.eye(4))
    infos = {"a": PhotographInfo(HEIGHT, WIDTH, 6, None)}
    assert upright_poses({"a": pose}, infos) == {"a": pose}


def test_mirrored_photographs_and_other_shapes_are_named():
    pose = GivenPose(Lens("PINHOLE", WIDTH, HEIGHT, (100.0, 110.0, 62.0, 39.0)), np.eye(4))
    with pytest.raises(InputError, match=r"pose of a is .* EXIF mirrors"):
        upright_poses({"a": pose}, {"a": PhotographInfo(HEIGHT, WIDTH, 7, None)})
    with pytest.raises(InputError, match="pose of a is for a 120x80 px image but its photograph"):
        upright_poses({"a": pose}, {"a": PhotographInfo(100, 100, 1, None)})
