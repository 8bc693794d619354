import numpy as np
import pytest
from corner import look_at
from headstyle.base.adjacency import (
    direction_adjacency,
    grid_adjacency,
    meeting_point,
    read_adjacency,
    read_neighbors,
    read_rig,
    view_adjacency,
    write_adjacency,
)
from headstyle.base.cameras import Cameras, write_cameras
from headstyle.base.errors import InputError
from headstyle.report.adjacency_plot import head_frame, plot_adjacency
from hypothesis import given, settings
from hypothesis import strategies as st
from own_process import run_stage
from PIL import Image

TARGET = np.array([0.5, -0.2, 1.0])


def ring(azimuths_deg, radius=2.0, height=0.4):
    """Cameras on a circle that look at TARGET."""
    angles = np.radians(azimuths_deg)
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    centers = TARGET + np.column_stack([ring, np.full(len(angles), height)])
    return cameras_at(centers, [TARGET] * len(centers))


def cameras_at(centers, targets):
    count = len(centers)
    poses = [look_at(np.array(c), np.array(t)) for c, t in zip(centers, targets, strict=True)]
    matrix = np.array([[100.0, 0, 32], [0, 100.0, 48], [0, 0, 1]])
    return Cameras(
        tuple(f"v{i:02d}" for i in range(count)),
        np.tile([64, 96], (count, 1)),
        np.tile(matrix, (count, 1, 1)),
        np.array(poses),
    )


def grid(rows, columns):
    return {f"r{r}c{c}": (float(r), float(c)) for r in range(rows) for c in range(columns)}


def neighbors_of(view, places):
    names = tuple(places)
    row = grid_adjacency(names, places)[names.index(view)]
    return {name for name, adjacent in zip(names, row, strict=True) if adjacent}


def test_the_neighbors_in_a_grid_are_the_eight_cells_around():
    places = grid(4, 7)
    around = {f"r{r}c{c}" for r in (0, 1, 2) for c in (2, 3, 4)} - {"r1c3"}
    assert neighbors_of("r1c3", places) == around
    assert neighbors_of("r0c0", places) == {"r0c1", "r1c0", "r1c1"}
    assert neighbors_of("r3c6", places) == {"r3c5", "r2c6", "r2c5"}


def test_a_missing_camera_is_simply_missing():
    places = grid(3, 3)
    del places["r1c1"]
    assert neighbors_of("r0c0", places) == {"r0c1", "r1c0"}
    assert neighbors_of("r1c0", places) == {"r0c0", "r0c1", "r2c0", "r2c1"}


def test_the_study_rig_joins_its_line_of_nine_to_the_grid_of_seven_columns():
    line = {f"b{i}": (4.0, 0.75 * i) for i in range(9)}
    places = {**grid(4, 7), **line}
    assert neighbors_of("b4", places) == {"b3", "b5", "r3c2", "r3c3", "r3c4"}
    assert neighbors_of("b1", places) == {"b0", "b2", "r3c0", "r3c1"}
    names = tuple(places)
    counts = grid_adjacency(names, places).sum(axis=1)
    assert counts.min() >= 3
    assert counts.max() <= 8


def test_a_view_without_a_place_in_the_rig_is_named():
    with pytest.raises(InputError, match="view new is not in the rig file"):
        grid_adjacency(("r0c0", "r0c1", "new"), grid(1, 2))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=3, max_size=12, unique=True),
    st.integers(1, 8),
    st.floats(5, 180),
)
def test_adjacency_is_symmetric_and_no_view_is_its_own_neighbor(offsets, neighbors, max_angle_deg):
    centers = TARGET + np.array([3.0, 0, 0]) + np.array(offsets)
    adjacency = direction_adjacency(
        cameras_at(centers, [TARGET] * len(centers)), neighbors, max_angle_deg
    )
    assert np.array_equal(adjacency, adjacency.T)
    assert not adjacency.diagonal().any()


def test_on_a_ring_the_two_nearest_are_the_next_ones():
    adjacency = direction_adjacency(ring(np.arange(0, 360, 30)), 2, 180)
    expected = np.roll(np.eye(12), 1, axis=1) + np.roll(np.eye(12), -1, axis=1)
    assert np.array_equal(adjacency, expected.astype(bool))


def test_no_neighbor_lies_beyond_the_largest_angle():
    cameras = ring([0, 20, 40, 100], height=0)
    adjacency = direction_adjacency(cameras, 8, 50)
    assert adjacency.astype(int).tolist() == [
        [0, 1, 1, 0],
        [1, 0, 1, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
    ]


def test_directions_do_not_depend_on_how_far_the_cameras_stand():
    near = ring([0, 30, 60], radius=2, height=0)
    far = ring([0, 30, 60], radius=5, height=0)
    mixed = near.world_to_camera.copy()
    mixed[1] = far.world_to_camera[1]
    cameras = Cameras(near.names, near.sizes, near.intrinsics, mixed)
    adjacency = direction_adjacency(cameras, 1, 180)
    assert adjacency[0, 1]
    assert adjacency[1, 2]
    assert not adjacency[0, 2]


def test_optical_axes_meet_at_the_point_looked_at():
    assert np.allclose(meeting_point(ring([0, 50, 100])), TARGET)


def test_parallel_axes_are_an_input_error():
    centers = [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    targets = [(x, 5, 0) for x, _, _ in centers]
    with pytest.raises(InputError, match=r"parallel.*give the subject a rig file"):
        meeting_point(cameras_at(centers, targets))


def test_a_lonely_view_is_named_with_the_key_to_change():
    cameras = ring([0, 20, 40, 120])
    with pytest.raises(InputError, match=r"view v03 .*raise adjacency\.max_angle_deg \(30\)"):
        view_adjacency(cameras, None, 8, 30)
    places = {"v00": (0, 0), "v01": (0, 1), "v02": (0, 2), "v03": (0, 5)}
    with pytest.raises(InputError, match=r"view v03 .*correct its row and column"):
        view_adjacency(cameras, places, 8, 30)


def test_the_table_reads_back_as_it_was_written(tmp_path):
    cameras = ring([0, 20, 40])
    adjacency = direction_adjacency(cameras, 1, 180)
    write_adjacency(tmp_path / "adjacency.csv", cameras.names, adjacency)
    lines = (tmp_path / "adjacency.csv").read_text().splitlines()
    assert lines[0] == "view,v00,v01,v02"
    assert lines[1] == "v00,0,1,0"
    names, read = read_adjacency(tmp_path / "adjacency.csv")
    assert names == cameras.names
    assert np.array_equal(read, adjacency)


@pytest.mark.parametrize("cell", ["2", "1.0", "x", ""])
def test_a_table_of_anything_but_0_and_1_is_named(tmp_path, cell):
    (tmp_path / "a.csv").write_text(f"view,a,b\na,0,{cell}\nb,1,0\n")
    with pytest.raises(InputError, match=r"a\.csv"):
        read_adjacency(tmp_path / "a.csv")


def test_neighbors_follow_the_cameras_order(tmp_path):
    table = tmp_path / "adjacency.csv"
    table.write_text("view,c,a,b\nc,0,1,0\na,1,0,1\nb,0,1,0\n")
    assert read_neighbors(table, ["a", "b", "c"]) == [[1, 2], [0], [0]]
    assert read_neighbors(table, ["b", "c"]) == [[], []]


def test_a_view_that_the_adjacency_lacks_is_named(tmp_path):
    table = tmp_path / "adjacency.csv"
    table.write_text("view,a\na,0\n")
    with pytest.raises(InputError, match=r"has no view 'b'; .*rule camera_adjacency"):
        read_neighbors(table, ["a", "b"])


@pytest.mark.parametrize(
    "content",
    [
        "view,a,b\na,0\nb,1,0\n",
        "view,a,b\na,0,yes\nb,1,0\n",
        "view,a,b\na,1,1\nb,1,0\n",
        "view,a,b\na,0,1\nb,0,0\n",
        "view,a,b\nb,0,1\na,1,0\n",
    ],
)
def test_a_file_that_is_no_adjacency_table_is_an_error(tmp_path, content):
    table = tmp_path / "adjacency.csv"
    table.write_text(content)
    with pytest.raises(InputError, match="is not an adjacency table"):
        read_neighbors(table, ["a", "b"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("view\trow\nA\t1\n", "needs tab-separated columns"),
        ("", "needs tab-separated columns"),
        ("view\trow\tcolumn\nA\tone\t1\n", "line 2.*must be numbers"),
        ("view\trow\tcolumn\nA\t1\n", "line 2.*must be numbers"),
        ("view\trow\tcolumn\nA\t1\t1\nA\t1\t2\n", "line 3.*occurs twice"),
        ("view\trow\tcolumn\nA\t1\t1\nB\t1\t1\n", "line 3.*occurs twice"),
    ],
)
def test_a_wrong_rig_file_is_named_with_its_line(tmp_path, text, reason):
    (tmp_path / "rig.tsv").write_text(text)
    with pytest.raises(InputError, match=rf"rig\.tsv.*{reason}"):
        read_rig(tmp_path / "rig.tsv")


def test_the_frame_of_the_picture_has_the_cameras_in_front_and_up_above():
    cameras = ring([60, 90, 120])
    rotation, origin, radius = head_frame(cameras)
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.allclose(origin, TARGET)
    assert radius == pytest.approx(np.hypot(2.0, 0.4))
    mean = ((cameras.centers - origin) @ rotation.T).mean(axis=0)
    assert mean[0] > 0
    assert mean[1] == pytest.approx(0, abs=1e-9)
    # The cameras' common "up" leans back with them, so only its direction is the world's.
    assert rotation[2] @ [0, 0, 1] > 0.9


def test_the_stage_uses_the_rig_where_there_is_one(tmp_path):
    cameras = ring([0, 20, 40, 60])
    write_cameras(tmp_path / "cameras.json", cameras)
    rig = tmp_path / "rig.tsv"
    rig.write_text("view\trow\tcolumn\n" + "".join(f"v0{i}\t0\t{i}\n" for i in range(4)))
    output = {"adjacency": tmp_path / "adjacency.csv", "plot": tmp_path / "adjacency.png"}
    links = {}
    for place in (str(rig), []):
        run_stage(
            "camera_adjacency",
            {"cameras": tmp_path / "cameras.json", "rig": place},
            output,
            {"adjacency": {"neighbors": 8, "max_angle_deg": 60}},
            tmp_path,
        )
        links[bool(place)] = read_adjacency(output["adjacency"])[1].sum() // 2
    assert links == {True: 3, False: 6}
    with Image.open(output["plot"]) as picture:
        assert picture.format == "PNG"


def test_the_picture_is_the_same_twice(tmp_path):
    cameras = ring(np.arange(0, 360, 60))
    adjacency = direction_adjacency(cameras, 2, 180)
    for name in ("a.png", "b.png"):
        plot_adjacency(tmp_path / name, cameras, adjacency, "rig")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
