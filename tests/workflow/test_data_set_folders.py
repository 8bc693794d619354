"""Data sets of others, from their folders to tables and report: one head, four makers' formats."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from headstyle.base.adjacency import meeting_point
from headstyle.base.cameras import OPENGL_FROM_OPENCV, Cameras, read_cameras
from headstyle.base.files import read_json, write_json
from headstyle.base.tables.ply import write_ply_tables
from headstyle.capture.head import synthesize_head
from headstyle.capture.photograph import photograph, scene_of
from headstyle.capture.rig import CaptureSettings, study_rig
from PIL import Image
from study import Study

pytestmark = pytest.mark.slow

CAPTURE = CaptureSettings(
    long_side_px=384,
    grid_rows=2,
    grid_columns=4,
    line_views=0,
    focal_length_mm=22,
    sensor_long_side_mm=22.3,
    samples_per_side=1,
    jpeg_quality=95,
)
TINY = {
    "subjects_table": "config/mine.tsv",
    "study": {"subjects": None, "prompts": ["recolor"], "strengths": ["low"]},
    "poses": {"max_image_size_px": 384},
    "images": {"size_px": 80},
    "baseline": {"iterations": 40, "max_splats": 800, "refine": {"start": 10, "stop": 20}},
    "stylization": {"iterations": 2, "edit_every": 2},
    "metrics": {"names": ["rmse"]},
}
POINTS = 500
BRING_MASKS = ("synthetic", "nerfstudio")
"""Whose images or frames bring the masks."""
Images = list[tuple[str, np.ndarray, np.ndarray]]
"""Name, RGB `(H, W, 3)` and mask `(H, W)` of each view, in the order of the cameras."""


def photograph_head() -> tuple[Cameras, Images]:
    """A procedural head, seen by the rig."""
    cameras = study_rig(CAPTURE).cameras
    mesh = synthesize_head(seed=5, coarseness=3.0)
    scene = scene_of(mesh)
    images = []
    for i, name in enumerate(cameras.names):
        taken = photograph(mesh, scene, cameras, i, CAPTURE.samples_per_side)
        images.append((name, taken.rgb, np.uint8(255) * taken.mask))
    return cameras, images


def write_images(folder: Path, images: Images) -> None:
    """images/NAME.png and masks/NAME.png."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for name, rgb, mask in images:
        Image.fromarray(rgb).save(folder / "images" / f"{name}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")


def frames_of(cameras: Cameras, names: Iterable[str]) -> list[dict[str, Any]]:
    poses = np.linalg.inv(cameras.world_to_camera) @ OPENGL_FROM_OPENCV
    return [
        {"file_path": name, "transform_matrix": pose.tolist()}
        for name, pose in zip(names, poses, strict=True)
    ]


def write_nerf_synthetic(folder: Path, cameras: Cameras, images: Images) -> None:
    """RGBA images in train and test; depth and normals lie among the latter."""
    split_of = ["test" if i % 4 == 0 else "train" for i in range(len(images))]
    names = [f"./{split}/r_{i}" for i, split in enumerate(split_of)]
    for (_, rgb, mask), name in zip(images, names, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.dstack([rgb, mask])).save(folder / f"{name}.png")
    Image.fromarray(images[0][1]).save(folder / "test/r_0_normal_0001.png")
    width, focal = cameras.sizes[0, 0], cameras.intrinsics[0, 0, 0]
    shared = {"camera_angle_x": 2 * math.atan(width / 2 / focal)}
    for split in ("train", "test"):
        chosen = [f for f in frames_of(cameras, names) if f"/{split}/" in f["file_path"]]
        write_json(folder / f"transforms_{split}.json", shared | {"frames": chosen})


def write_instant_ngp(folder: Path, cameras: Cameras, images: Images) -> None:
    """Intrinsics per frame, distortion terms, and no suffixes."""
    write_images(folder, images)
    frames = frames_of(cameras, [f"./images/{name}" for name, _, _ in images])
    for frame, matrix, (width, height) in zip(
        frames, cameras.intrinsics, cameras.sizes.tolist(), strict=True
    ):
        frame |= {"fl_x": matrix[0, 0], "fl_y": matrix[1, 1], "w": width, "h": height}
        frame |= {"cx": matrix[0, 2], "cy": matrix[1, 2], "k1": 0, "k2": 0, "p1": 0, "p2": 0}
    write_json(folder / "transforms.json", {"aabb_scale": 4, "scale": 0.3, "frames": frames})


def write_nerfstudio(folder: Path, cameras: Cameras, images: Images) -> None:
    """Intrinsics of all frames, a mask of each, points, and a smaller copy of each image."""
    write_images(folder, images)
    (folder / "images_2").mkdir()
    for name, rgb, _ in images:
        Image.fromarray(rgb[::2, ::2]).save(folder / "images_2" / f"{name}.png")
    matrix, (width, height) = cameras.intrinsics[0], cameras.sizes[0].tolist()
    shared = {"camera_model": "OPENCV", "w": width, "h": height, "k1": 0.0}
    shared |= {"fl_x": matrix[0, 0], "fl_y": matrix[1, 1], "cx": matrix[0, 2], "cy": matrix[1, 2]}
    frames = frames_of(cameras, [f"images/{name}.png" for name, _, _ in images])
    for frame, (name, _, _) in zip(frames, images, strict=True):
        frame["mask_path"] = f"masks/{name}.png"
    points = np.zeros(POINTS, [(axis, "<f4") for axis in "xyz"])
    center = meeting_point(cameras)
    reach = 0.05 * np.linalg.norm(cameras.centers[0] - center)
    around = np.random.default_rng(0).uniform(-reach, reach, (POINTS, 3))
    points["x"], points["y"], points["z"] = (center + around).T
    write_ply_tables(folder / "sparse_pc.ply", {"vertex": points})
    write_json(
        folder / "transforms.json", shared | {"ply_file_path": "sparse_pc.ply", "frames": frames}
    )


def write_colmap_text(folder: Path, cameras: Cameras, images: Images) -> None:
    """sparse/0 with one camera and no points."""
    write_images(folder, images)
    model = folder / "sparse/0"
    model.mkdir(parents=True)
    matrix, (width, height) = cameras.intrinsics[0], cameras.sizes[0].tolist()
    params = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
    (model / "cameras.txt").write_text(f"1 PINHOLE {width} {height} {numbers(params)}\n")
    lines = []
    for i, (name, _, _) in enumerate(images):
        pose = cameras.world_to_camera[i]
        place = numbers([*quaternion(pose[:3, :3]), *pose[:3, 3]])
        lines.append(f"{i + 1} {place} 1 {name}.png\n\n")
    (model / "images.txt").write_text("".join(lines))
    (model / "points3D.txt").write_text("")


def numbers(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """w, x, y, z: the eigenvector that a rotation's quaternion is (Bar-Itzhack 2000)."""
    r = rotation
    symmetric = np.array(
        [
            [np.trace(r), r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [0, r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [0, 0, r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [0, 0, 0, r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    return np.linalg.eigh(symmetric, UPLO="U")[1][:, -1]


WRITERS = {
    "synthetic": write_nerf_synthetic,
    "ngp": write_instant_ngp,
    "nerfstudio": write_nerfstudio,
    "colmap": write_colmap_text,
}


def study_of(folder: Path, subjects: Iterable[str], cameras: Cameras, images: Images) -> Study:
    """A tiny study of one head in some makers' formats."""
    study = Study.with_demo_settings(folder, TINY)
    table = ["subject\tsource\tseed\tphotographs\tmasks\tposes\trig\tpronoun\n"]
    for subject in subjects:
        WRITERS[subject](folder / "data" / subject, cameras, images)
        masks = "" if subject in BRING_MASKS else f"data/{subject}/masks"
        row = (subject, "photographs", "", f"data/{subject}", masks, f"data/{subject}", "", "her")
        table.append("\t".join(row) + "\n")
    (folder / "config/mine.tsv").write_text("".join(table))
    return study


def test_data_sets_go_from_their_folders_to_the_tables(tmp_path):
    cameras, images = photograph_head()
    study = study_of(tmp_path, WRITERS, cameras, images)
    study.snakemake("results/tables/avatars.csv")
    for subject in WRITERS:
        folder = tmp_path / "results" / subject
        poses = read_json(folder / "poses/poses.json")
        assert poses["source"] == "given", subject
        assert len(poses["registered"]) == len(images), subject
        found = read_cameras(folder / "views/cameras.json")
        np.testing.assert_allclose(sorted_rows(found), sorted_rows(cameras), atol=1e-6)
        steps = read_json(folder / "masks/masks.json")["steps"]
        assert steps == (["alpha"] if subject == "synthetic" else ["given"]), subject
    with np.load(tmp_path / "results/nerfstudio/views/points.npz") as points:
        assert len(points["positions"]) > POINTS
    with (tmp_path / "results/tables/avatars.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scenes = {(row["subject"], row["prompt"]) for row in rows if 0 < float(row["rmse"]) < 1}
    assert {(s, p) for s in WRITERS for p in ("none", "recolor")} <= scenes


@pytest.mark.soak
@pytest.mark.parametrize("subject", WRITERS)
def test_a_data_set_goes_from_its_folder_to_the_report(tmp_path, subject):
    study = study_of(tmp_path, [subject], *photograph_head())
    study.snakemake()
    study.snakemake("--report", "report.html")
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    for figure in ("overview.html", "adjacency.png", "explorer.html"):
        assert figure in report
    assert subject in report


def sorted_rows(cameras: Cameras) -> np.ndarray:
    """The poses, whatever the views are called."""
    poses = cameras.world_to_camera.reshape(len(cameras), 16)
    return poses[np.lexsort(poses.round(3).T)]
