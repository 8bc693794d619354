"""Made-up and damaged input of every kind is read, or told in one sentence; nothing else happens.

A few examples in `make test`; `HEADSTYLE_EXAMPLES` of each kind in `make soak`.
"""

import copy
import io
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from headstyle.base.adjacency import read_adjacency, read_rig
from headstyle.base.cameras import read_cameras
from headstyle.base.errors import InputError, given_by
from headstyle.base.files import read_arrays, read_json
from headstyle.base.images import read_rgba
from headstyle.base.tables.frames import read_table
from headstyle.base.tables.rows import read_rows
from headstyle.consistency.statistics import read_ratings, read_scores
from headstyle.importers.cameras import find_cameras
from headstyle.importers.depths import read_depth
from headstyle.importers.images import read_picture
from headstyle.importers.masks import read_mask_file
from headstyle.importers.settings import check_foreign
from headstyle.posing.masks import read_mask
from headstyle.rendering.splats import read_ply, splats_from_points, write_ply
from headstyle.workflow import configuration
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_process import in_own_process
from PIL import Image
from study import ROOT

SCHEMAS = ROOT / "config" / "schemas"
STUDY = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
configuration.fill_in_declared(STUDY)
SCHEMA = configuration.config_schema(SCHEMAS / "config.schema.yaml")
HERE = given_by("the test")

FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
EXAMPLES = int(os.environ.get("HEADSTYLE_EXAMPLES", "5000"))
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

Edits = list[tuple[str, float, bytes]]
edits = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "cut", "repeat", "flip"]),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, changes: Edits) -> bytes:
    """Content with bytes replaced, inserted, cut off, repeated or flipped at some places."""
    for kind, where, new in changes:
        at = int(where * len(content))
        if kind == "replace":
            content = content[:at] + new + content[at + len(new) :]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        elif kind == "cut":
            content = content[:at]
        elif kind == "repeat":
            content = content[:at] + content[at : at + 40] * new[0] + content[at:]
        elif content:
            at = min(at, len(content) - 1)
            content = content[:at] + bytes([content[at] ^ (1 << new[0] % 8)]) + content[at + 1 :]
    return content


def told(read: Callable[..., Any], *arguments: Any) -> None:
    """Call a reader; the only error may be an InputError of one short sentence per line."""
    message = "read"
    try:
        read(*arguments)
    except InputError as error:
        message = str(error)
    assert message.strip()
    assert "Traceback" not in message


def read_content(read: Callable[[Path], Any], name: str, content: bytes) -> None:
    """Write a file and read it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        told(read, path)


def splat_file() -> bytes:
    """A PLY of ten splats."""
    generator = np.random.default_rng(0)
    points = generator.normal(size=(10, 3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "splats.ply")
        write_ply(path, splats_from_points(points, generator.uniform(size=(10, 3)), 1, 10, 0))
        return path.read_bytes()


def image_file(kind: str, mode: str) -> bytes:
    """A small image with some structure."""
    pixels = np.zeros((12, 16, 4), np.uint8)
    pixels[3:9, 4:12] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def array_file(compressed: bool) -> bytes:
    """Positions and depth in one .npz."""
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, positions=np.eye(3), median=np.ones((4, 4), np.float32))
    return buffer.getvalue()


def npy_file() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones((4, 4), np.float32))
    return buffer.getvalue()


POSE = np.eye(4).tolist()
TRANSFORMS = {
    "camera_model": "OPENCV",
    "w": 640,
    "h": 480,
    "fl_x": 500.0,
    "k1": 0.01,
    "frames": [{"file_path": f"images/{i}.png", "transform_matrix": POSE} for i in range(2)],
}
OWN = {
    "views": [
        {"name": "a", "width": 4, "height": 4, "K": np.eye(3).tolist(), "world_to_camera": POSE}
    ]
}
SPLATTING = [
    {
        **{"id": 0, "img_name": "a", "width": 4, "height": 4, "fx": 3.0, "fy": 3.0},
        **{"position": [0, 0, 0], "rotation": np.eye(3).tolist()},
    }
]
TABLE = b"subject\tsource\tseed\nA\tprocedural\t1\nB\tprocedural\t2\n"
SCORES = b"subject,prompt,strength,view,rmse,quality\nA,P1,low,a,0.1,3\nA,P1,high,a,0.2,4\n"
MATRIX = b"view,a,b\na,0,1\nb,1,0\n"
RIG = b"view\trow\tcolumn\na\t0\t0\nb\t0\t1\n"


def checked_table(path: Path) -> None:
    configuration.read_checked_rows(path, "subject", SCHEMAS / "subjects.schema.yaml")


def cameras(path: Path) -> None:
    kind, place = find_cameras(path)
    kind.read(place, dict.fromkeys(kind.names(place), (640, 480)))


READERS: dict[str, tuple[Callable[[Path], Any], str, bytes]] = {
    "table": (checked_table, "subjects.tsv", TABLE),
    "rows": (lambda p: read_rows(p, HERE), "a.csv", SCORES),
    "frame": (lambda p: read_table(p, HERE), "a.csv", SCORES),
    "scores": (read_scores, "views.csv", SCORES),
    "ratings": (read_ratings, "ratings.csv", SCORES),
    "checked ratings": (configuration.check_ratings, "ratings.csv", SCORES),
    "adjacency": (read_adjacency, "adjacency.csv", MATRIX),
    "rig": (read_rig, "rig.tsv", RIG),
    "splats": (read_ply, "splats.ply", splat_file()),
    "transforms": (cameras, "transforms.json", json.dumps(TRANSFORMS).encode()),
    "own cameras": (cameras, "cameras.json", json.dumps(OWN).encode()),
    "own cameras of a stage": (read_cameras, "cameras.json", json.dumps(OWN).encode()),
    "3DGS cameras": (cameras, "cameras.json", json.dumps(SPLATTING).encode()),
    "json": (read_json, "a.json", json.dumps(OWN).encode()),
    "mask": (read_mask_file, "mask.png", image_file("PNG", "L")),
    "palette mask": (read_mask_file, "mask.png", image_file("PNG", "P")),
    "mask of a stage": (read_mask, "mask.png", image_file("PNG", "L")),
    "view of a stage": (read_rgba, "view.png", image_file("PNG", "RGBA")),
    "photograph": (read_picture, "a.jpg", image_file("JPEG", "RGB")),
    "TIFF": (read_picture, "a.tif", image_file("TIFF", "RGB")),
    "WebP": (read_picture, "a.webp", image_file("WEBP", "RGB")),
    "points": (
        lambda p: read_arrays(p, ["positions"], "points", "again"),
        "points.npz",
        array_file(False),
    ),
    "depth": (lambda p: read_arrays(p, ["median"], "depth", "again"), "d.npz", array_file(True)),
    "given depth": (read_depth, "d.npy", npy_file()),
    "given depths": (read_depth, "d.npz", array_file(True)),
    "settings": (
        lambda p: configuration.check_config_files([p]),
        "config.yaml",
        (ROOT / "config" / "demo.yaml").read_bytes(),
    ),
}


def damaged_files_are_told(kind: str, changes: Edits) -> None:
    read, name, content = READERS[kind]
    read_content(read, name, edited(content, changes))


@pytest.mark.parametrize("kind", READERS)
def test_damaged_files_are_read_or_told(kind):
    FEW(given(edits)(lambda changes: damaged_files_are_told(kind, changes)))()


@pytest.mark.soak
@pytest.mark.parametrize("kind", READERS)
def test_many_damaged_files_are_read_or_told(kind):
    MANY(given(edits)(lambda changes: damaged_files_are_told(kind, changes)))()


odd_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**40), 10**40),
        st.floats(allow_nan=True),
        st.text(max_size=8),
        st.sampled_from(["", "\n", "{x}", "../..", "1e999", "null", "=1", "cuda:0", math.inf]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


def places(values: dict, path: tuple = ()) -> list[tuple]:
    """The path of every key of the settings, sections too."""
    found = []
    for key, value in values.items():
        found.append((*path, key))
        if isinstance(value, dict):
            found += places(value, (*path, key))
    return found


def odd_settings_are_told(place: tuple, value: object) -> None:
    config = copy.deepcopy(STUDY)
    level = config
    for key in place[:-1]:
        level = level[key]
    level[place[-1]] = value
    problems = configuration.problems_of(config, SCHEMA)
    if problems:
        assert all(line.startswith(place[0]) for line in problems)
        return
    configuration.fill_in_declared(config)
    told(configuration.check_results_dir, config["results_dir"])
    told(configuration.check_names, *([str(n) for n in config["study"][k] or []] for k in NAMES))
    told(check_foreign, config["foreign"], [])


NAMES = ("subjects", "prompts", "strengths")
SETTINGS = st.sampled_from(places(STUDY))


@settings(FEW, max_examples=60)
@given(SETTINGS, odd_values)
def test_odd_settings_are_taken_or_told(place, value):
    odd_settings_are_told(place, value)


@pytest.mark.soak
@settings(MANY)
@given(SETTINGS, odd_values)
def test_many_odd_settings_are_taken_or_told(place, value):
    odd_settings_are_told(place, value)


odd_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.floats(),
        st.integers(-(10**30), 10**30),
        st.text(max_size=5),
        st.sampled_from([[], {}, "1e999", 0, -1, [[1, 2], [3]], [["a"] * 4] * 4]),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
CAMERAS = {"transforms.json": TRANSFORMS, "own": OWN, "3DGS": SPLATTING}


def odd_cameras_are_told(kind: str, key: str, value: object) -> None:
    content = copy.deepcopy(CAMERAS[kind])
    entry = content
    if kind != "transforms.json" or key in content["frames"][0]:
        entry = {"transforms.json": lambda: content["frames"], "own": lambda: content["views"]}.get(
            kind, lambda: content
        )()[0]
    entry[key] = value
    name = "transforms.json" if kind == "transforms.json" else "cameras.json"
    read_content(cameras, name, json.dumps(content).encode())


KEYS = st.sampled_from(
    [
        *(("transforms.json", key) for key in (*TRANSFORMS, "file_path", "transform_matrix")),
        *(("transforms.json", key) for key in ("camera_angle_x", "fl_y", "cx", "k4", "is_fisheye")),
        *(("own", key) for key in OWN["views"][0]),
        *(("3DGS", key) for key in SPLATTING[0]),
    ]
)


@settings(FEW, max_examples=80)
@given(KEYS, odd_json)
def test_odd_cameras_are_taken_or_told(place, value):
    odd_cameras_are_told(*place, value)


@pytest.mark.soak
@settings(MANY)
@given(KEYS, odd_json)
def test_many_odd_cameras_are_taken_or_told(place, value):
    odd_cameras_are_told(*place, value)


COLMAP = {
    "cameras.txt": b"# cameras\n1 PINHOLE 640 480 500 500 320 240\n",
    "images.txt": b"1 1 0 0 0 0 0 3 1 a b.jpg\n10 20 1\n2 1 0 0 0 1 0 3 1 b.jpg\n10 20 1\n",
    "points3D.txt": b"# points\n1 0 0 0 255 0 0 0.5 1 0 2 0\n",
}


def fuzz_colmap(seed: int, count: int) -> int:
    """Read damaged text models; pycolmap runs here, in a process of its own."""
    generator = np.random.default_rng(seed)
    kinds = ("replace", "insert", "cut", "repeat", "flip")
    for _ in range(count):
        damaged = str(generator.choice(list(COLMAP)))
        changes = [
            (str(generator.choice(kinds)), float(generator.uniform()), generator.bytes(6))
            for _ in range(generator.integers(1, 4))
        ]
        with tempfile.TemporaryDirectory() as folder:
            for name, content in COLMAP.items():
                text = edited(content, changes) if name == damaged else content
                Path(folder, name).write_bytes(text)
            try:
                told(cameras, Path(folder))
            except Exception as error:
                raise AssertionError(f"{damaged}, {changes}: {error!r}") from error
    return count


def test_damaged_colmap_text_is_read_or_told():
    assert in_own_process(fuzz_colmap, 0, 100) == 100


@pytest.mark.soak
def test_much_damaged_colmap_text_is_read_or_told():
    for seed in range(1, 41):
        assert in_own_process(fuzz_colmap, seed, 500) == 500
