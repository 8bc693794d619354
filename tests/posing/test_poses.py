"""Poses of rendered photographs, against the cameras they were rendered with."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from corner import corner_cameras, write_corner
from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.errors import InputError
from headstyle.base.files import read_json, write_json
from headstyle.importers.colmap_models import read_model
from headstyle.importers.given_poses import read_given_poses
from headstyle.posing.photographs import PhotographInfo
from headstyle.posing.pose_errors import pose_errors, similarity
from headstyle.posing.poses import Posed, at_most, check_registered, drop_reasons
from headstyle.posing.registration.reconstruction import Mapping
from headstyle.posing.registration.work_images import guess_lenses, working_size
from headstyle.posing.undistortion import lens_cameras, transforms
from own_process import in_own_process, run_stage
from pose_inputs import CONFIG, write_masks


def pose_stage(folder, name="poses", given="", threads=1, succeeds=True, max_views=None, **changes):
    """Run estimate_poses; returns the content of poses.json and the log."""
    output = folder / name
    log = run_stage(
        "estimate_poses",
        {"masks": folder / "masks" / "masks.json"},
        {"sparse": output / "sparse", "poses": output / "poses.json"},
        {
            "poses": {**CONFIG, **changes},
            "given_poses": str(given),
            "max_views": max_views,
            "seed": 5,
        },
        folder,
        threads=threads,
        succeeds=succeeds,
    )
    return (read_json(output / "poses.json") if succeeds else None), log


def model_cameras(folder):
    return lens_cameras(read_model(folder))


def errors_of(folder, cameras):
    return pose_errors(in_own_process(model_cameras, str(folder / "sparse")), cameras)


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    """A posed capture: its folder, the true cameras, and poses.json."""
    folder = tmp_path_factory.mktemp("corner")
    cameras = corner_cameras()
    write_corner(folder / "photographs", cameras)
    write_masks(folder, folder / "photographs", cameras)
    poses, _ = pose_stage(folder)
    return folder, cameras, poses


def test_every_view_is_posed_where_it_was_taken_from(corner):
    folder, cameras, poses = corner
    assert poses["registered"] == list(cameras.names)
    assert poses["dropped"] == {}
    errors = errors_of(folder / "poses", cameras)
    assert errors["rotation_error_deg"]["median"] < 0.1
    assert errors["rotation_error_deg"]["max"] < 0.3
    assert errors["center_error_fraction"]["max"] < 0.005
    assert errors["focal_error_fraction"]["max"] < 0.01


def test_portrait_and_landscape_frames_have_a_camera_each_with_the_focal_length_of_exif(corner):
    _, _, poses = corner
    sizes = sorted((camera["width"], camera["height"]) for camera in poses["cameras"])
    assert sizes == [(240, 320), (320, 240)]
    assert all(camera["focal_length_from_exif"] for camera in poses["cameras"])


def test_two_runs_write_the_same_bytes_whatever_the_threads(corner):
    folder, _, _ = corner
    pose_stage(folder, "again", threads=2)
    files = sorted(path.relative_to(folder / "poses") for path in (folder / "poses").rglob("*.*"))
    assert Path("sparse/0/images.bin") in files
    assert Path("poses.json") in files
    for file in files:
        again = (folder / "again" / file).read_bytes()
        assert (folder / "poses" / file).read_bytes() == again, file
    # Nothing temporary stays; checksums begin with a dot.
    left = {path.name for path in (folder / "again").iterdir() if path.suffix != ".sha256"}
    assert left == {"poses.json", "sparse"}


def test_smaller_working_images_give_a_model_of_the_full_photographs(corner):
    folder, cameras, _ = corner
    poses, _ = pose_stage(folder, "smaller", max_image_size_px=256)
    sizes = {(camera["width"], camera["height"]) for camera in poses["cameras"]}
    assert sizes == {(240, 320), (320, 240)}
    assert errors_of(folder / "smaller", cameras)["center_error_fraction"]["max"] < 0.01
    assert in_own_process(largest_reprojection_px, str(folder / "smaller" / "sparse")) < 8


def largest_reprojection_px(folder):
    """Between a model's stored feature positions and its own projections."""
    import pycolmap

    model = pycolmap.Reconstruction(Path(folder) / "0")
    return max(
        float(np.linalg.norm(image.project_point(model.points3D[point.point3D_id].xyz) - point.xy))
        for image in model.images.values()
        for point in image.points2D
        if point.has_point3D()
    )


def test_a_camera_per_view_and_the_global_mapper_are_settings(corner):
    folder, cameras, _ = corner
    poses, _ = pose_stage(folder, "per_view", camera_sharing="per_view", mapper="global")
    assert len(poses["cameras"]) == len(cameras)
    assert errors_of(folder / "per_view", cameras)["center_error_fraction"]["max"] < 0.02


def test_given_poses_are_kept_and_get_points(corner):
    folder, cameras, _ = corner
    true = Cameras(cameras.names, cameras.sizes, cameras.intrinsics, cameras.world_to_camera)
    write_json(folder / "transforms.json", transforms(true))
    poses, _ = pose_stage(folder, "given", given=folder / "transforms.json")
    assert poses["source"] == "given"
    assert poses["points"] > 100
    kept = in_own_process(model_cameras, str(folder / "given" / "sparse"))
    assert np.allclose(kept.world_to_camera, cameras.world_to_camera, atol=1e-9)
    assert np.allclose(kept.intrinsics, cameras.intrinsics)


@pytest.mark.slow
def test_a_given_colmap_model_is_read_back_as_it_is(corner):
    folder, _, _ = corner
    pose_stage(folder, "copied", given=folder / "poses" / "sparse")
    first = in_own_process(model_cameras, str(folder / "poses" / "sparse"))
    second = in_own_process(model_cameras, str(folder / "copied" / "sparse"))
    assert first.names == second.names
    assert np.allclose(first.world_to_camera, second.world_to_camera, atol=1e-9)


@pytest.fixture(scope="module")
def split(tmp_path_factory, corner):
    """The posed capture with three photographs of another corner in it."""
    source, cameras, _ = corner
    folder = tmp_path_factory.mktemp("split")
    shutil.copytree(source / "photographs", folder / "photographs")
    others = cameras.select(cameras.names[:3])
    names = tuple(f"other_{name}" for name in others.names)
    others = Cameras(names, others.sizes, others.intrinsics, others.world_to_camera)
    write_corner(folder / "photographs", others, seed=2)
    every = Cameras(
        (*cameras.names, *names),
        np.concatenate([cameras.sizes, others.sizes]),
        np.concatenate([cameras.intrinsics, others.intrinsics]),
        np.concatenate([cameras.world_to_camera, others.world_to_camera]),
    )
    write_masks(folder, folder / "photographs", every)
    return folder


def test_a_capture_in_two_parts_stops_and_names_the_views_of_the_smaller(split):
    _, log = pose_stage(split, succeeds=False)
    sentence = log.splitlines()[-1]
    assert "8 of 11 views could be posed" in sentence
    for view in ("other_v0", "other_v1", "other_v2"):
        assert view in sentence
    assert "lower poses.min_registered" in sentence
    assert "Traceback" not in log
    assert not any((split / "poses").iterdir())


@pytest.mark.slow
def test_a_lower_bar_keeps_the_larger_part_and_says_what_was_dropped(split):
    poses, log = pose_stage(split, min_registered=0.5)
    assert sorted(poses["dropped"]) == ["other_v0", "other_v1", "other_v2"]
    assert len(poses["registered"]) == 8
    assert "other_v0 is left out" in log


def test_the_chosen_views_are_of_the_larger_capture_and_the_rest_is_named(split):
    poses, log = pose_stage(split, max_views=6)
    assert len(poses["registered"]) == 6
    assert not any(view.startswith("other") for view in poses["registered"])
    assert len(poses["unused"]) == 5
    assert poses["captures"] == [[f"v{i}" for i in range(8)], ["other_v0", "other_v1", "other_v2"]]
    assert "overlaps with no other: other_v0, other_v1, other_v2" in log


def test_views_that_drop_come_back_at_the_next_attempt(corner):
    folder, cameras, _ = corner
    small = {"max_image_size_px": 64}
    _, log = pose_stage(folder, "once", succeeds=False, **small)
    assert "of 8 views could be posed" in log
    poses, log = pose_stage(folder, "twice", attempts=["more_views", "larger_images"], **small)
    first, second = poses["attempts"]
    assert first["attempt"] == "as_configured"
    assert first["registered"] < 8
    assert second == second | {"attempt": "larger_images", "registered": 8, "views": 8}
    assert poses["registered"] == list(cameras.names)
    assert f"({8 - first['registered']:+d} against the best before)" in log
    assert errors_of(folder / "twice", cameras)["center_error_fraction"]["max"] < 0.05


def cut_to_five(folder):
    """Keep five views of a model; all overlap alike, but v0 and v1 with each other most."""
    views = tuple(f"v{i}" for i in range(8))
    overlaps = np.full((8, 8), 50) - 50 * np.eye(8, dtype=int)
    overlaps[0, 1] = overlaps[1, 0] = 500
    posed = Posed(mapping([views], dict.fromkeys(views, 50)), views, [], [])
    return at_most(posed, 5, views, overlaps, Path(folder))


def test_no_more_views_stay_than_asked_for_however_many_were_brought_in(corner, tmp_path):
    folder, cameras, _ = corner
    shutil.copytree(folder / "poses" / "sparse", tmp_path / "sparse")
    posed = in_own_process(cut_to_five, str(tmp_path / "sparse" / "0"))
    kept = posed.mapping.registered
    assert len(kept) == 5
    assert not {"v0", "v1"} <= set(kept)
    assert kept == posed.views
    left = in_own_process(read_model, str(tmp_path / "sparse"))
    assert left.views == kept
    assert len(left.positions) == posed.mapping.points
    # A point is seen by two views or more.
    assert np.bincount(left.observations[:, 0]).min() >= 2
    assert errors_of(tmp_path, cameras)["center_error_fraction"]["max"] < 0.005


def test_photographs_that_nothing_connects_are_an_input_error(tmp_path):
    cameras = corner_cameras(landscape=0).select(["v0", "v1", "v2"])
    for i, name in enumerate(cameras.names):
        write_corner(tmp_path / "photographs", cameras.select([name]), seed=20 + i)
    write_masks(tmp_path, tmp_path / "photographs", cameras)
    _, log = pose_stage(tmp_path, succeeds=False)
    assert "no two of the 3 views can be matched" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((1440, 960), 1600, (1440, 960)),
        ((960, 1440), 1024, (682, 1023)),
        ((4032, 3024), 1600, (1600, 1200)),
        ((5184, 3456), 1600, (1599, 1066)),
        ((1000, 1000), 512, (512, 512)),
    ],
)
def test_the_working_size_keeps_the_aspect_ratio(size, max_side, expected):
    assert working_size(*size, max_side) == expected


def info(width, height, focal_px):
    return PhotographInfo(width, height, 1, focal_px)


def lens_groups(sharing):
    infos = {
        "a": info(1200, 1800, 1500.0),
        "b": info(1200, 1800, 1500.0),
        "zoomed": info(1200, 1800, 2000.0),
        "lying": info(1800, 1200, 1500.0),
        "unknown": info(1200, 1800, None),
    }
    return guess_lenses(infos, sharing, "SIMPLE_RADIAL", 900)


def test_photographs_of_one_size_and_focal_length_share_a_lens():
    lenses, index = in_own_process(lens_groups, "per_capture")
    assert index == {"a": 0, "b": 0, "zoomed": 1, "lying": 2, "unknown": 3}
    assert [lens.params for lens in lenses] == [
        (750.0, 300.0, 450.0, 0.0),
        (1000.0, 300.0, 450.0, 0.0),
        (750.0, 450.0, 300.0, 0.0),
        (1080.0, 300.0, 450.0, 0.0),
    ]
    assert [lens.has_prior_focal for lens in lenses] == [True, True, True, False]
    lenses, index = in_own_process(lens_groups, "per_view")
    assert list(index.values()) == [0, 1, 2, 3, 4]


def mapping(models, matches, points=10):
    return Mapping(models[0], models, matches, points, 3.0, 0.5, ())


def test_a_dropped_view_gets_its_reason():
    matches = {"a": 50, "b": 50, "c": 20, "d": 3, "e": 90}
    dropped = drop_reasons(["a", "b", "c", "d", "e", "f"], mapping((("a", "b"), ("c",)), matches))
    assert dropped == {
        "c": "in a smaller model of 1 views",
        "d": "too few matches with any other view (3)",
        "e": "could not be placed, with at most 90 matches to another view",
        "f": "not among the given poses",
    }


def test_exactly_the_least_fraction_is_enough():
    nine = mapping((tuple("abcdefghi"),), {})
    assert not check_registered(nine, {"j": "why"}, 10, CONFIG)
    with pytest.raises(InputError, match=r"9 of 10 views .*j: why.*poses\.min_registered"):
        check_registered(nine, {"j": "why"}, 10, CONFIG | {"min_registered": 0.91})


@pytest.mark.parametrize(
    ("posed", "total", "goes_on"),
    [(33, 40, True), (24, 40, True), (23, 40, False), (12, 20, True), (11, 14, False)],
)
def test_the_run_goes_on_with_enough_views_for_a_head(posed, total, goes_on):
    found = mapping((tuple(str(i) for i in range(posed)),), {})
    config = CONFIG | {"go_on": 0.6}
    if goes_on:
        assert check_registered(found, {"lost": "why"}, total, config)
    else:
        with pytest.raises(InputError, match=r"poses\.go_on \(0\.6, 12 views or more\)"):
            check_registered(found, {"lost": "why"}, total, config)
    with pytest.raises(InputError, match=f"{posed} of {total} views"):
        check_registered(found, {"lost": "why"}, total, CONFIG)


def test_several_captures_in_one_folder_are_told_by_name():
    found = mapping((("a", "b", "c"), ("x", "y", "z")), {})
    islands = [("a", "b", "c"), ("x", "y", "z")]
    with pytest.raises(InputError, match=r"\(a, b, c; x, y, z\).*a folder of its own"):
        check_registered(found, {"x": "why"}, 6, CONFIG, islands)


def test_the_alignment_undoes_a_similarity():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(8, 3))
    rotation = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    moved = 2.5 * points @ rotation.T + [1.0, -2.0, 3.0]
    scale, found, translation = similarity(points, moved)
    assert scale == pytest.approx(2.5)
    assert np.allclose(found, rotation)
    assert np.allclose(translation, [1, -2, 3])


def test_pose_errors_are_those_put_in():
    cameras = corner_cameras()
    turn = np.eye(4)
    angle = np.radians(0.5)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    poses = cameras.world_to_camera.copy()
    assert pose_errors(cameras, cameras)["rotation_error_deg"]["max"] < 1e-6
    poses[0] = turn @ poses[0]  # about its own optical axis: the center stays
    turned = Cameras(cameras.names, cameras.sizes, cameras.intrinsics, poses)
    errors = pose_errors(turned, cameras)
    assert errors["rotation_error_deg"]["max"] == pytest.approx(0.5)
    assert errors["rotation_error_deg"]["median"] < 1e-6
    assert errors["center_error_fraction"]["max"] < 1e-9
    assert errors["rig_radius"] == pytest.approx(1.9)


def test_given_poses_with_other_names_are_refused(tmp_path):
    write_json(tmp_path / "transforms.json", transforms(corner_cameras()))
    with pytest.raises(InputError, match=r"transforms\.json has poses for 0 of the 2 views"):
        read_given_poses(tmp_path / "transforms.json", {"x": (4, 4), "y": (4, 4)})


@pytest.mark.parametrize("text", ["{}", "[]", '{"frames": [{"file_path": "v0.png"}]}', "{"])
def test_an_incomplete_transforms_file_is_named(tmp_path, text):
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(InputError, match=r"transforms\.json"):
        read_given_poses(tmp_path / "transforms.json", {"v0": (4, 4), "v1": (4, 4)})


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no COLMAP model"):
        read_given_poses(tmp_path, {"v0": (4, 4)})


def test_a_transforms_file_may_share_intrinsics_and_give_an_angle(tmp_path):
    cameras = corner_cameras()
    frames = [
        {
            "file_path": f"./images/{frame['file_path']}",
            "transform_matrix": frame["transform_matrix"],
        }
        for frame in transforms(cameras)["frames"]
    ]
    content = {"camera_angle_x": np.pi / 2, "w": 200, "h": 100, "k1": 0.1, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    sizes = dict.fromkeys(cameras.names, (200, 100))
    given = read_given_poses(tmp_path / "transforms.json", sizes)
    lens = given["v3"].lens
    assert (lens.model, lens.width, lens.height) == ("OPENCV", 200, 100)
    assert lens.params == pytest.approx((100, 100, 100, 50, 0.1, 0, 0, 0))
    assert np.allclose(given["v3"].world_to_camera, cameras.world_to_camera[3])


@pytest.mark.slow
def test_poses_of_a_procedural_head_match_its_true_cameras(tmp_path):
    capture = {
        "long_side_px": 768,
        "grid_rows": 2,
        "grid_columns": 4,
        "line_views": 0,
        "focal_length_mm": 22,
        "sensor_long_side_mm": 22.3,
        "samples_per_side": 2,
        "jpeg_quality": 95,
    }
    rig = tmp_path / "capture" / "rig.tsv"
    run_stage("synthesize_capture", {}, {"rig": rig}, {"capture": capture, "seed": 1}, tmp_path)
    key = {"hue_deg": [58, 155], "saturation_percent": [15, 100], "value_percent": [40, 100]}
    masks = {"steps": ["chroma_key"], "chroma_key": key, "min_coverage": 0.005}
    run_stage(
        "mask_views",
        {"photographs": rig, "made": []},
        {"masks": tmp_path / "masks" / "masks.json"},
        {
            "photographs": rig.parent,
            "orientation": "any",
            "go_on": None,
            "min_views": 12,
            "given_masks": "",
            "given_poses": "",
            "masks": masks,
        },
        tmp_path,
    )
    poses, _ = pose_stage(tmp_path, threads=2, max_image_size_px=1600, max_features=8192)
    assert poses["dropped"] == {}
    truth = tmp_path / "poses" / "truth.json"
    run_stage(
        "compare_poses",
        {"poses": tmp_path / "poses" / "poses.json", "rig": rig},
        {"truth": truth},
        {},
        tmp_path,
    )
    errors = read_json(truth)
    assert errors["views"] == len(read_cameras(rig.parent / "truth" / "cameras.json")) == 8
    assert errors["rotation_error_deg"]["median"] <= 0.3
    assert errors["center_error_fraction"]["median"] <= 0.005
