"""Cameras as their makers define them: a point falls where the maker's own formulas put it.

The files here are written by hand, and the formulas are the makers', not the readers'. Poses are
random, so that no two axes or signs can be exchanged unseen.
"""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.importers.cameras import find_cameras
from headstyle.importers.lenses import project
from own_process import in_own_process

WIDTH, HEIGHT = SIZE = (120, 80)
POINTS = np.random.default_rng(5).uniform(-0.4, 0.4, (40, 3)) + np.array([0, 0, 3.0])
"""In the frame of an OpenCV camera: before it, and inside its image."""


def a_rotation(seed: int) -> np.ndarray:
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return rotation * np.linalg.det(rotation)


CENTER = np.array([0.3, -1.2, 2.0])
RIGHT, DOWN, FORWARD = a_rotation(1).T
WORLD = CENTER + POINTS @ np.stack([RIGHT, DOWN, FORWARD])
X, Y = (POINTS[:, :2] / POINTS[:, 2:]).T
R2 = X**2 + Y**2


def matrix_text(matrix: np.ndarray) -> str:
    return " ".join(map(repr, np.asarray(matrix).ravel().tolist()))


# The chunk: turned, three times as large, and elsewhere.
CHUNK_TURN, CHUNK_SCALE, CHUNK_PLACE = a_rotation(2), 3.0, np.array([10.0, 20, 30])
METASHAPE = """<?xml version="1.0" encoding="UTF-8"?>
<document version="2.0.0"><chunk label="Chunk 1" enabled="true">
<sensors next_id="1"><sensor id="0" label="a camera" type="{kind}">
<resolution width="120" height="80"/>
<calibration type="frame" class="initial"><f>1</f></calibration>
<calibration type="frame" class="adjusted"><resolution width="120" height="80"/>
<f>100</f><cx>2.5</cx><cy>-1.5</cy><b1>1.25</b1>{terms}</calibration></sensor></sensors>
<components><component id="0"/></components>
<cameras><group id="0"><camera id="0" sensor_id="0" component_id="0" label="IMG_1">
<transform>{transform}</transform><orientation>1</orientation></camera></group>
<camera id="1" sensor_id="0" label="IMG_2"><orientation>1</orientation></camera></cameras>
<transform><rotation>{turn}</rotation><translation>{place}</translation><scale>3</scale></transform>
</chunk></document>
"""


def metashape(kind: str = "frame", terms: str = "<k1>-0.2</k1><k2>0.05</k2><p1>0.01</p1>") -> str:
    local = np.eye(4)
    axes = np.stack([RIGHT, DOWN, FORWARD], axis=1)
    local[:3, :3] = CHUNK_TURN.T @ axes
    local[:3, 3] = CHUNK_TURN.T @ (CENTER - CHUNK_PLACE) / CHUNK_SCALE
    return METASHAPE.format(
        kind=kind,
        terms=terms,
        transform=matrix_text(local),
        turn=matrix_text(CHUNK_TURN),
        place=matrix_text(CHUNK_PLACE),
    )


def write_metashape(folder: Path) -> np.ndarray:
    (folder / "cameras.xml").write_text(metashape())
    radial = 1 - 0.2 * R2 + 0.05 * R2**2
    x, y = X * radial + 0.01 * (R2 + 2 * X**2), Y * radial + 2 * 0.01 * X * Y
    return np.stack([60 + 2.5 + x * 100 + x * 1.25, 40 - 1.5 + y * 100], axis=1)


def write_metashape_fisheye(folder: Path) -> np.ndarray:
    (folder / "cameras.xml").write_text(metashape("fisheye", "<k1>-0.05</k1><k3>0.02</k3>"))
    radius = np.sqrt(R2)
    angle = np.arctan(radius)
    factor = angle / radius * (1 - 0.05 * angle**2 + 0.02 * angle**6)
    return np.stack([62.5 + X * factor * 101.25, 38.5 + Y * factor * 100], axis=1)


def write_reality_capture(folder: Path) -> np.ndarray:
    # Columns of the camera's axes in the world are right, up, backward: Rz(-h) Rx(p) Ry(r).
    axes = np.stack([RIGHT, -DOWN, -FORWARD], axis=1)
    pitch = np.arcsin(axes[2, 1])
    heading = np.arctan2(axes[0, 1], axes[1, 1])
    roll = np.arctan2(-axes[2, 0], axes[2, 2])
    angles = np.degrees([heading, pitch, roll])
    # Against the mathematical sense about z, as on a compass.
    assert np.allclose(axes[:2, 1], np.cos(pitch) * np.array([np.sin(heading), np.cos(heading)]))
    numbers = [*CENTER, *angles, 30.0, 0.02, -0.01, -0.1, 0.03, 0.01, 0, 0.004, -0.002]
    (folder / "rc.csv").write_text(
        "#cameras 1\n#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2\nIMG_1,"
        + ",".join(map(repr, map(float, numbers)))
        + "\n"
    )
    radial = 1 - 0.1 * R2 + 0.03 * R2**2 + 0.01 * R2**3
    x = X * radial - 0.002 * (R2 + 2 * X**2) + 2 * 0.004 * X * Y
    y = Y * radial + 0.004 * (R2 + 2 * Y**2) - 2 * 0.002 * X * Y
    # All is counted in the longer side, 120 px, and f on 36 mm of film.
    return np.stack([60 + 0.02 * 120 + x * 100, 40 - 0.01 * 120 + y * 100], axis=1)


def write_polycam(folder: Path) -> np.ndarray:
    matrix = np.column_stack([RIGHT, -DOWN, -FORWARD, CENTER])
    entry = {"fx": 100.0, "fy": 99.0, "cx": 61.0, "cy": 39.0, "width": 120, "height": 80}
    entry |= {f"t_{row}{column}": matrix[row, column] for row in range(3) for column in range(4)}
    for name in ("corrected_cameras", "cameras"):
        (folder / "keyframes" / name).mkdir(parents=True)
        content = entry if name == "corrected_cameras" else entry | {"fx": 1.0}
        (folder / "keyframes" / name / "IMG_1.json").write_text(json.dumps(content))
    return np.stack([61 + 100 * X, 39 + 99 * Y], axis=1)


def write_llff(folder: Path) -> np.ndarray:
    matrix = np.column_stack([DOWN, RIGHT, -FORWARD, CENTER, (HEIGHT, WIDTH, 100.0)])
    np.save(folder / "poses_bounds.npy", [[*matrix.ravel(), 1.0, 9.0]])
    (folder / "images").mkdir()
    (folder / "images/IMG_1.JPG").touch()
    return np.stack([60 + 100 * X, 40 + 100 * Y], axis=1)


def write_instant_ngp(folder: Path) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([RIGHT, -DOWN, -FORWARD, CENTER])
    frame = {"file_path": "./images/IMG_1", "transform_matrix": matrix.tolist(), "w": 120, "h": 80}
    # k3 and k4 stand there, but instant-ngp's perspective lenses have none.
    shared = {"x_fov": 60.0, "k1": 0.1, "k2": 0.02, "p1": 0.01, "p2": 0.0, "k3": 0.5, "k4": 0.5}
    content = {"aabb_scale": 4, "scale": 0.5, "offset": [1, 2, 3], **shared, "frames": [frame]}
    (folder / "transforms.json").write_text(json.dumps(content))
    radial, focal = 1 + 0.1 * R2 + 0.02 * R2**2, 60 / np.tan(np.radians(30))
    x, y = X * radial + 2 * 0.01 * X * Y, Y * radial + 0.01 * (R2 + 2 * Y**2)
    return np.stack([60 + focal * x, 40 + focal * y], axis=1)


WRITERS: dict[str, Callable[[Path], np.ndarray]] = {
    "Metashape": write_metashape,
    "Metashape, fisheye": write_metashape_fisheye,
    "RealityCapture": write_reality_capture,
    "Polycam": write_polycam,
    "Llff": write_llff,
    "InstantNgp": write_instant_ngp,
}


def farthest_off(folder: Path) -> dict[str, tuple[str, float]]:
    """Each file's format, and how far our pixels are from the maker's [px]."""
    found = {}
    for label, write in WRITERS.items():
        place = folder / label
        place.mkdir()
        expected = write(place)
        kind, file = find_cameras(place)
        [name] = kind.names(file)
        pose = kind.read(file, {name: SIZE})[name]
        seen = WORLD @ pose.world_to_camera[:3, :3].T + pose.world_to_camera[:3, 3]
        found[label] = type(kind).__name__, float(np.abs(project(pose.lens, seen) - expected).max())
    return found


def test_a_point_falls_where_the_makers_formulas_put_it(tmp_path):
    found = in_own_process(farthest_off, tmp_path)
    assert {label: kind for label, (kind, _) in found.items()} == {
        label: label.split(",")[0] for label in WRITERS
    }
    assert {label: off for label, (_, off) in found.items() if not off < 1e-6} == {}


def refusal(path: Path) -> str:
    """What is said of the camera IMG_1 of a file that cannot be read."""
    with pytest.raises(InputError) as error:
        read_image_1(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def read_image_1(path: Path) -> None:
    kind, place = find_cameras(path)
    kind.read(place, {"IMG_1": SIZE})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("frame", "<b2>3</b2>"), "the camera 'IMG_1' has a skew b2 that moves pixels by 1.2 px"),
        (("frame", "<p3>0.1</p3>"), "the camera 'IMG_1' has the terms p3 or p4"),
        (("frame", "<k1>much</k1>"), "the camera 'IMG_1' is incomplete (k1 is 'much'"),
        (("spherical", ""), "the camera 'IMG_1' has a lens of the kind spherical"),
        (("fisheye", "<p1>0.1</p1>"), "the camera 'IMG_1' has a fisheye lens with p1 or p2"),
    ],
)
def test_a_lens_of_metashape_that_is_not_supported_is_told_with_its_camera(tmp_path, change, said):
    (tmp_path / "a.xml").write_text(metashape(*change))
    assert said in refusal(tmp_path / "a.xml")


def test_faults_of_metashapes_file_are_told(tmp_path):
    path, whole = tmp_path / "a.xml", metashape()
    path.write_text(whole[:-30])
    assert "cannot be read as Metashape's XML" in refusal(path)
    chunk = whole[whole.index("<chunk") : whole.index("</document>")]
    path.write_text(whole.replace("</document>", chunk + "</document>"))
    assert "holds 2 chunks with aligned cameras; export those of one chunk" in refusal(path)
    path.write_text(whole.replace("<transform>", "<transform>1 ", 1))
    assert "the camera 'IMG_1' is incomplete (a transform of it has not 16 numbers)" in refusal(
        path
    )
    path.write_text(whole.replace('sensor_id="0"', 'sensor_id="7"'))
    assert "sensor '7' is missing" in refusal(path)


def test_chunks_that_are_switched_off_do_not_count_and_a_label_stands_once(tmp_path):
    path, whole = tmp_path / "a.xml", metashape()
    chunk = whole[whole.index("<chunk") : whole.index("</document>")]
    off = chunk.replace('enabled="true"', 'enabled="false"')
    path.write_text(whole.replace("</document>", off + "</document>"))
    read_image_1(path)
    camera = whole[whole.index('<camera id="0"') : whole.index("</group>")]
    path.write_text(whole.replace("</group>", camera + "</group>"))
    assert "a.xml has 2 cameras called 'IMG_1'; give the photographs different names" in refusal(
        path
    )


def test_xml_that_defines_entities_is_refused_before_they_grow(tmp_path):
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
    bomb = f'<!DOCTYPE document [<!ENTITY l0 "ha">{laughs}]>\n<document'
    path = tmp_path / "a.xml"
    for encoding in ("utf-8", "utf-16"):
        text = metashape().replace("<document", bomb, 1).replace("IMG_1", "&l9;")
        path.write_text(text.replace("UTF-8", encoding.upper()), encoding=encoding)
        said = refusal(path)
        assert "has a document type" in said or "no format of cameras" in said
    path.write_text(
        metashape().replace(
            "<document", '<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/hostname">]><document', 1
        )
    )
    assert "has a document type" in refusal(path)


def test_metashapes_cameras_on_the_globe_come_near_the_origin(tmp_path, caplog):
    far = metashape().replace(matrix_text(CHUNK_PLACE), "3.9e6 8e5 5e6")
    local = far[far.index('<camera id="0"') : far.index("</camera>") + len("</camera>")]
    numbers = local[local.index("<transform>") + 11 : local.index("</transform>")].split()
    numbers[3] = repr(float(numbers[3]) + 1)
    second = local.replace("IMG_1", "IMG_3")
    start, end = second.index("<transform>") + 11, second.index("</transform>")
    second = second[:start] + " ".join(numbers) + second[end:]
    (tmp_path / "a.xml").write_text(far.replace("<cameras>", "<cameras>" + second))
    kind, place = find_cameras(tmp_path)
    poses = kind.read(place, {"IMG_1": SIZE, "IMG_3": SIZE})
    centers = [np.linalg.inv(pose.world_to_camera)[:3, 3] for pose in poses.values()]
    assert np.linalg.norm(centers[0] - centers[1]) == pytest.approx(CHUNK_SCALE)
    assert np.abs(centers).max() < 10
    assert "coordinates of the earth" in caplog.text


def test_arrays_with_objects_and_of_other_shapes_are_no_poses(tmp_path):
    path = tmp_path / "poses_bounds.npy"
    for write in (
        lambda: path.write_bytes(pickle.dumps({"poses": 1})),
        lambda: np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True),
        lambda: np.save(path, np.zeros((4, 15))),
        lambda: path.write_bytes(b"\x93NUMPY\x01\x00"),
    ):
        write()
        assert "poses_bounds.npy is not LLFF's" in refusal(tmp_path)
    np.save(path, np.zeros((10, 17)))
    shorter = path.read_bytes()[:-80]
    path.write_bytes(shorter)
    assert "poses_bounds.npy is not LLFF's" in refusal(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/IMG_1.png").touch()
    np.save(path, np.zeros((2, 17)))
    assert "has 2 poses, but" in refusal(tmp_path)
    np.save(path, np.zeros((1, 17)))
    kind, place = find_cameras(tmp_path)
    with pytest.raises(InputError, match=r"pose of 'IMG_1\.png' is of no camera"):
        kind.read(place, {"IMG_1.png": SIZE})


def test_rows_and_keyframes_that_lack_something_are_named(tmp_path):
    write_reality_capture(tmp_path)
    path = tmp_path / "rc.csv"
    whole = path.read_text()
    path.write_text(whole.replace(",30.0,", ",wide,"))
    assert "rc.csv: the camera of 'IMG_1' is incomplete (f is 'wide', not a number)" in refusal(
        path
    )
    path.write_text(whole.rstrip() + ",7\n")
    assert "has 17 values for 16 columns in its camera 1 ('IMG_1')" in refusal(path)
    path.unlink()
    write_polycam(tmp_path)
    keyframe = tmp_path / "keyframes/corrected_cameras/IMG_1.json"
    content = json.loads(keyframe.read_text())
    del content["t_12"]
    keyframe.write_text(json.dumps(content))
    assert "is not the camera of the keyframe 'IMG_1' (t_12 is missing)" in refusal(tmp_path)


@pytest.mark.parametrize(("separator", "point"), [(";", "."), (";", ","), ("\t", ",")])
def test_rows_are_read_with_the_separators_of_spreadsheets(tmp_path, separator, point):
    write_reality_capture(tmp_path)
    path = tmp_path / "rc.csv"
    expected = pose_of_image_1(path)
    text = path.read_text().replace(",", separator).replace(".", point)
    path.write_text(text.replace("#cameras 1\n", ""))
    np.testing.assert_array_equal(pose_of_image_1(path), expected)
    path.write_text(text + text.splitlines()[-1])
    assert "has 2 cameras called 'IMG_1'" in refusal(path)


def pose_of_image_1(path: Path) -> np.ndarray:
    kind, place = find_cameras(path)
    return kind.read(place, {"IMG_1": SIZE})["IMG_1"].world_to_camera


def test_a_file_that_is_far_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("headstyle.importers.cameras.base.MOST_BYTES", 100)
    (tmp_path / "a.xml").write_text(metashape())
    assert "MiB, more than the" in refusal(tmp_path / "a.xml")
    write_reality_capture(tmp_path)
    assert "MiB, more than the" in refusal(tmp_path / "rc.csv")
