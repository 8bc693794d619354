import hashlib
import shutil

import numpy as np
import pytest
from corner import corner_cameras, write_corner
from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.errors import InputError
from headstyle.base.files import read_json, write_json
from headstyle.base.images import read_views, to_linear, to_srgb, write_image
from headstyle.importers.colmap_models import SparseModel
from headstyle.importers.lenses import Lens, project, undistorted_pinhole
from headstyle.importers.pinholes import undistortion_map
from headstyle.posing.undistortion import (
    foreground_points,
    make_view,
    transforms,
    view_size,
)
from own_process import in_own_process, run_stage
from PIL import Image, ImageOps
from pose_inputs import CONFIG, write_masks


@pytest.mark.parametrize(
    ("size", "size_px", "side", "expected"),
    [
        ((1024, 1536), 512, "short", (512, 768)),
        ((1024, 1536), 512, "long", (341, 512)),
        ((1536, 1024), 512, "short", (768, 512)),
        ((1536, 1024), 192, "long", (192, 128)),
        ((300, 200), 512, "long", (300, 200)),  # never enlarged
        ((300, 200), 250, "short", (300, 200)),
    ],
)
def test_the_size_is_measured_along_the_named_side(size, size_px, side, expected):
    assert view_size(*size, size_px, side) == expected


PINCUSHION = Lens("SIMPLE_RADIAL", 120, 80, (100.0, 62.0, 39.0, 0.15))
BARREL = Lens("OPENCV", 120, 80, (100.0, 101.0, 62.0, 39.0, -0.2, 0.05, 0.001, -0.002))
FISHEYE = Lens("OPENCV_FISHEYE", 120, 80, (60.0, 60.0, 60.0, 40.0, 0.02, 0.0, 0.0, 0.0))
PINHOLE = Lens("PINHOLE", 120, 80, (100.0, 101.0, 62.0, 39.0))
DISTORTED = [PINCUSHION, BARREL, FISHEYE]


def undistort(lens):
    matrix = undistorted_pinhole(lens)
    return matrix, undistortion_map(lens, matrix)


@pytest.mark.parametrize("lens", DISTORTED, ids=lambda lens: lens.model)
def test_every_pixel_of_an_undistorted_view_comes_from_inside_the_photograph(lens):
    matrix, pixel_map = in_own_process(undistort, lens)
    assert pixel_map.shape == (lens.height, lens.width, 2)
    assert pixel_map.min() >= -1e-3
    assert (pixel_map.max(axis=(0, 1)) <= np.array([lens.width, lens.height]) - 1 + 1e-3).all()
    # As much as fits: some pixel comes from the very border.
    last = np.array([lens.width, lens.height]) - 1
    assert min(pixel_map.min(), (last - pixel_map.max(axis=(0, 1))).min()) < 0.2
    principal_point = (60, 40) if lens is FISHEYE else (62, 39)
    assert tuple(matrix[:2, 2]) == principal_point


def test_a_pinhole_photograph_is_left_alone():
    matrix, pixel_map = in_own_process(undistort, PINHOLE)
    assert pixel_map is None
    assert np.array_equal(matrix, [[100, 0, 62], [0, 101, 39], [0, 0, 1]])


def spot_view(lens, direction, size):
    """A photograph with one bright spot where the lens sees `direction`, made into a view."""
    spot = project(lens, np.array([direction]))[0] - 0.5
    x, y = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    light = np.exp(-0.5 * ((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 2.0**2)
    photograph = np.repeat(np.uint8(255 * light)[..., None], 3, axis=2)
    mask = np.full((lens.height, lens.width), 255, dtype=np.uint8)
    matrix, pixel_map = undistort(lens)
    return matrix, make_view(photograph, mask, pixel_map, size)


@pytest.mark.parametrize("lens", [*DISTORTED, PINHOLE], ids=lambda lens: lens.model)
@pytest.mark.parametrize("size", [(120, 80), (60, 40)])
def test_a_point_appears_where_the_scaled_pinhole_projects_it(lens, size):
    direction = np.array([-0.32, 0.2, 1.0])
    matrix, view = in_own_process(spot_view, lens, direction, size)
    camera = Cameras(("v",), np.array([[120, 80]]), matrix[None], np.eye(4)[None])
    expected = (camera.scaled(np.array([size])).intrinsics[0] @ direction)[:2]
    light = view[..., 0].astype(np.float64)
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    found = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
    assert np.linalg.norm(found - expected) < 0.06 * size[0] / 60


def test_what_the_mask_hides_never_bleeds_into_a_smaller_view():
    photograph = np.zeros((40, 40, 3), dtype=np.uint8)
    photograph[:, 21:] = (0, 255, 0)
    photograph[:, :21] = (200, 100, 50)
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[:, :21] = 255
    view = make_view(photograph, mask, None, (10, 10))
    assert view.shape == (10, 10, 4)
    assert view[0, 5, 3] == pytest.approx(0.25)
    assert np.allclose(view[:, :6, :3] * 255, (200, 100, 50), atol=0.01)


def test_points_count_where_most_of_their_views_see_foreground():
    matrix = np.array([[10.0, 0, 5], [0, 10.0, 5], [0, 0, 1]])
    cameras = Cameras(
        ("a", "b", "c"),
        np.full((3, 2), 10),
        np.tile(matrix, (3, 1, 1)),
        np.tile(np.eye(4), (3, 1, 1)),
    )
    left, right, outside = (-0.2, 0.0, 1.0), (0.2, 0.0, 1.0), (2.0, 0.0, 1.0)
    observations = [(point, view) for point in range(3) for view in range(3)]
    model = SparseModel(
        cameras.names,
        (PINHOLE,) * 3,
        cameras.world_to_camera,
        np.array([left, right, outside]),
        np.zeros((3, 3), dtype=np.uint8),
        np.array(observations),
    )
    only_left = np.zeros((10, 10), dtype=np.float32)
    only_left[:, :5] = 1
    everything = np.ones((10, 10), dtype=np.float32)
    inside = foreground_points(model, cameras, [only_left, only_left, everything])
    assert inside.tolist() == [True, False, False]


def test_transforms_hold_opengl_camera_to_world_matrices():
    cameras = corner_cameras()
    content = transforms(cameras)
    assert content["camera_model"] == "PINHOLE"
    for i, frame in enumerate(content["frames"]):
        matrix = np.array(frame["transform_matrix"])
        assert np.allclose(matrix[:3, 3], cameras.centers[i])
        assert np.allclose(-matrix[:3, 2], cameras.axes[i])  # OpenGL looks along -z
        assert np.allclose(matrix[:3, 1], -cameras.world_to_camera[i, 1, :3])  # y is up
        assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
        assert frame["file_path"] == f"{cameras.names[i]}.png"
        assert (frame["w"], frame["h"]) == tuple(cameras.sizes[i])
        assert frame["fl_y"] == cameras.intrinsics[i, 1, 1]


def test_a_view_of_another_size_than_its_camera_is_named(tmp_path):
    cameras = corner_cameras().select(["v0", "v7"])
    for name, (width, height) in zip(cameras.names, cameras.sizes, strict=True):
        write_image(tmp_path / f"{name}.png", np.zeros((height, width, 4), dtype=np.float32))
    assert [view.shape for view in read_views(tmp_path, cameras)] == [(320, 240, 4), (240, 320, 4)]
    write_image(tmp_path / "v7.png", np.zeros((4, 4, 4), dtype=np.float32))
    with pytest.raises(InputError, match=r"v7\.png is 4x4 px but its camera says 320x240"):
        read_views(tmp_path, cameras)


@pytest.fixture(scope="module")
def posed(tmp_path_factory):
    """A capture whose true poses are given, with the left half of every view masked out."""
    folder = tmp_path_factory.mktemp("posed")
    cameras = corner_cameras().select(["v0", "v1", "v2", "v4", "v5", "v7"])
    write_corner(folder / "photographs", cameras)
    write_masks(folder, folder / "photographs", cameras)
    for name, (width, height) in zip(cameras.names, cameras.sizes.tolist(), strict=True):
        mask = np.full((height, width), 255, dtype=np.uint8)
        mask[:, : width // 4] = 0
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    write_json(folder / "transforms.json", transforms(cameras))
    run_stage(
        "estimate_poses",
        {"masks": folder / "masks" / "masks.json"},
        {"sparse": folder / "poses" / "sparse", "poses": folder / "poses" / "poses.json"},
        {
            "poses": CONFIG,
            "given_poses": str(folder / "transforms.json"),
            "max_views": None,
            "seed": 0,
        },
        folder,
    )
    return folder, cameras


def downscale(folder, name, size_px=160, equalize_exposure="none"):
    log = run_stage(
        "downscale_views",
        {"masks": folder / "masks" / "masks.json", "poses": folder / "poses" / "poses.json"},
        {"cameras": folder / name / "cameras.json"},
        {
            "images": {
                "size_px": size_px,
                "side": "long",
                "equalize_exposure": equalize_exposure,
            },
            "given_poses": "",
        },
        folder,
    )
    return folder / name, log


def test_the_stage_writes_views_cameras_and_points(posed):
    folder, true = posed
    views, _ = downscale(folder, "views")
    cameras = read_cameras(views / "cameras.json")
    assert cameras.names == true.names
    assert cameras.sizes.tolist() == [[120, 160]] * 5 + [[160, 120]]
    assert np.allclose(cameras.intrinsics[:, :2], true.intrinsics[:, :2] / 2)
    assert np.allclose(cameras.world_to_camera, true.world_to_camera, atol=1e-9)
    images = read_views(views, cameras)
    assert images[0][:, 35:, 3].min() == 1
    assert images[0][:, :29, 3].max() == 0
    frames = read_json(views / "transforms.json")["frames"]
    assert [frame["file_path"] for frame in frames] == [f"{name}.png" for name in true.names]
    with np.load(views / "points.npz", allow_pickle=False) as points:
        positions, colors = points["positions"], points["colors"]
    assert positions.dtype == np.float64
    assert colors.dtype == np.uint8
    assert len(positions) == len(colors) > 50
    # The points lie on the faces of the corner.
    assert np.median(np.abs(positions).min(axis=1)) < 0.01


def test_tinted_photographs_get_the_tint_of_the_others_by_the_points_they_share(posed, tmp_path):
    folder, true = posed
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    masks = read_json(folder / "masks" / "masks.json")
    tinted = tmp_path / "tinted.png"
    entry = masks["views"][true.names[2]]
    with Image.open(entry["photograph"]) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB")) / 255
    light = to_linear(upright) * np.array([0.9, 0.7, 0.5])
    Image.fromarray(np.rint(to_srgb(light) * 255).astype(np.uint8)).save(tinted)
    write_json(tmp_path / "masks" / "masks.json", masks)
    plain, _ = downscale(tmp_path, "plain")
    entry["photograph"] = str(tinted)
    write_json(tmp_path / "masks" / "masks.json", masks)
    found, _ = downscale(tmp_path, "found", equalize_exposure="points")
    cameras = read_cameras(plain / "cameras.json")
    shown, wanted = (to_linear(read_views(f, cameras)[2][..., :3]) for f in (found, plain))
    # The geometric mean of all six gains stays 1, so that the tint of all moves a little.
    ratio = np.median(shown / np.maximum(wanted, 0.01), axis=(0, 1))
    np.testing.assert_allclose(ratio, np.array([0.9, 0.7, 0.5]) ** (1 / 6), rtol=0.03)


def test_two_runs_of_the_stage_write_the_same_bytes(posed):
    folder, _ = posed
    digests = []
    for name in ("first", "second"):
        views, _ = downscale(folder, name)
        files = sorted(views.iterdir())
        digests.append({f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files})
    # Beside the views: cameras, transforms, points and the checksums.
    assert len(digests[0]) == 6 + 4
    assert digests[0] == digests[1]


def test_views_are_never_enlarged_and_the_log_says_so(posed):
    folder, true = posed
    views, log = downscale(folder, "large", size_px=1000)
    assert np.array_equal(read_cameras(views / "cameras.json").sizes, true.sizes)
    assert "6 views keep their photograph's size" in log
