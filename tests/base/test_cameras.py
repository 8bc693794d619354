"""Camera geometry that can be checked in one's head."""

import numpy as np
import pytest
from headstyle.base.cameras import Cameras, read_cameras, write_cameras
from headstyle.base.errors import InputError


@pytest.fixture
def cameras():
    """A camera at (1, 2, 3) looking along +z, and one at the origin looking along +x."""
    world_to_camera = np.tile(np.eye(4), (2, 1, 1))
    world_to_camera[0, :3, 3] = -1, -2, -3
    world_to_camera[1, :3, :3] = [[0, 0, -1], [0, 1, 0], [1, 0, 0]]
    intrinsics = np.tile(np.array([[100.0, 0, 32], [0, 100, 48], [0, 0, 1]]), (2, 1, 1))
    return Cameras(("a", "b"), np.array([[64, 96], [64, 96]]), intrinsics, world_to_camera)


def test_the_center_is_where_the_camera_stands(cameras):
    np.testing.assert_allclose(cameras.centers, [[1, 2, 3], [0, 0, 0]])


def test_the_axis_points_where_the_camera_looks(cameras):
    np.testing.assert_allclose(cameras.axes, [[0, 0, 1], [1, 0, 0]])


def test_a_point_stays_at_the_same_fraction_of_a_scaled_image(cameras):
    scaled = cameras.scaled(np.array([[32, 24], [128, 192]]))
    point = np.array([0.3, -0.2, 1.0])
    for i in range(2):
        before, after = cameras.intrinsics[i] @ point, scaled.intrinsics[i] @ point
        np.testing.assert_allclose(before[:2] / cameras.sizes[i], after[:2] / scaled.sizes[i])


def test_cameras_read_back_as_they_were_written(cameras, tmp_path):
    write_cameras(tmp_path / "cameras.json", cameras)
    again = read_cameras(tmp_path / "cameras.json")
    assert again.names == cameras.names
    np.testing.assert_array_equal(again.sizes, cameras.sizes)
    np.testing.assert_array_equal(again.intrinsics, cameras.intrinsics)
    np.testing.assert_array_equal(again.world_to_camera, cameras.world_to_camera)


def test_an_entry_without_a_pose_is_refused(tmp_path):
    (tmp_path / "cameras.json").write_text('{"views": [{"name": "a", "width": 1, "height": 1}]}')
    with pytest.raises(InputError, match=r"cameras\.json is not a cameras\.json"):
        read_cameras(tmp_path / "cameras.json")
