"""The procedural subject: its rig, its heads, its photographs and their truth."""

import colorsys
import warnings
from itertools import pairwise

import numpy as np
import pytest
from headstyle.base.cameras import read_cameras
from headstyle.capture.anatomy import bare_head
from headstyle.capture.clothes import NECK_CENTER
from headstyle.capture.head import Part, sculpt_head, synthesize_head
from headstyle.capture.identity import (
    CLOTHES_COLORS,
    EYE_COLORS,
    HAIR_COLORS,
    SKIN_TONES,
    draw_identity,
)
from headstyle.capture.photograph import photograph, scene_of, write_jpeg
from headstyle.capture.primitives.kernels import look_up
from headstyle.capture.primitives.noise import Noise
from headstyle.capture.primitives.shapes import mesh_of, sphere, vertex_normals
from headstyle.capture.rig import RADIUS_M, TARGET_M, CaptureSettings, study_rig
from PIL import ExifTags, Image
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.color import rgb2hsv
from synthesize_capture import write_capture

STUDY = CaptureSettings(
    long_side_px=1536,
    grid_rows=4,
    grid_columns=7,
    line_views=9,
    focal_length_mm=22,
    sensor_long_side_mm=22.3,
    samples_per_side=2,
    jpeg_quality=95,
)
DEMO = CaptureSettings(300, 3, 5, 1, 22, 22.3, 2, 95)
COARSENESS = 3.0


@pytest.fixture(scope="module")
def head():
    return synthesize_head(1, COARSENESS)


@pytest.fixture(scope="module")
def scene(head):
    return scene_of(head)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    settings = CaptureSettings(120, 2, 2, 1, 22, 22.3, 1, 95)
    write_capture(folder, 2, settings, COARSENESS)
    return folder, settings


def directions(rig):
    rays = rig.cameras.centers - TARGET_M
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def is_keyed(rgb):
    """Where the study's chroma key makes pixels transparent."""
    hue, saturation, value = np.moveaxis(rgb2hsv(rgb), -1, 0)
    return (hue * 360 >= 58) & (hue * 360 <= 155) & (saturation >= 0.15) & (value >= 0.4)


def test_the_study_has_37_views_in_4_rows_of_7_and_a_line_of_9():
    rig = study_rig(STUDY)
    assert len(rig.cameras) == 37
    assert [rig.rows.count(row) for row in range(5)] == [7, 7, 7, 7, 9]
    assert rig.columns[-9:] == pytest.approx(np.linspace(0, 6, 9))


def test_all_cameras_look_at_the_head_from_the_front():
    rig = study_rig(STUDY)
    to_target = TARGET_M - rig.cameras.centers
    distance = np.linalg.norm(to_target, axis=1)
    assert distance == pytest.approx(np.full(37, RADIUS_M), rel=0.04)
    along = np.einsum("ij,ij->i", to_target, rig.cameras.axes) / distance
    assert np.degrees(np.arccos(along)).max() < 2
    assert (rig.cameras.centers[:, 2] > 0.1).all()


def test_cameras_are_upright_rotations():
    rotations = study_rig(STUDY).cameras.world_to_camera[:, :3, :3]
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(rotations), 1)
    assert (rotations[:, 1, 1] < -0.5).all()  # the image's y points down, the world's up


@pytest.mark.parametrize("settings", [STUDY, DEMO])
def test_neighbors_in_a_row_or_column_are_at_most_25_degrees_apart(settings):
    rig = study_rig(settings)
    toward = dict(zip(rig.cameras.names, directions(rig), strict=True))
    rows, columns = range(settings.grid_rows), range(settings.grid_columns)
    pairs = [(f"r{r}c{c}", f"r{r}c{c + 1}") for r in rows for c in columns[:-1]]
    pairs += [(f"r{r}c{c}", f"r{r + 1}c{c}") for r in rows[:-1] for c in columns]
    pairs += list(pairwise(f"b{i}" for i in range(settings.line_views)))
    angles = [np.degrees(np.arccos(toward[a] @ toward[b])) for a, b in pairs]
    assert max(angles) <= 25
    assert min(angles) >= 5


def test_columns_run_from_the_viewers_left_to_right_and_rows_downwards():
    rig = study_rig(STUDY)
    centers = dict(zip(rig.cameras.names, rig.cameras.centers, strict=True))
    assert centers["r0c0"][0] < centers["r0c6"][0]
    assert centers["r0c3"][1] > centers["r3c3"][1] > centers["b4"][1]


def test_a_rig_without_a_line_is_the_grid_alone():
    settings = CaptureSettings(300, 1, 1, 0, 22, 22.3, 1, 90)
    assert study_rig(settings).cameras.names == ("r0c0",)


def test_the_mesh_of_a_sphere_lies_on_it_and_faces_outwards():
    vertices, faces = mesh_of(lambda p: sphere(p, (1, 2, 3), 9.7), (-12, -12, -12), (14, 14, 14), 1)
    offsets = vertices - (1, 2, 3)
    assert np.linalg.norm(offsets, axis=1) == pytest.approx(np.full(len(vertices), 9.7), abs=1e-2)
    assert (np.einsum("ij,ij->i", vertex_normals(vertices, faces), offsets) > 9).all()


def test_a_head_has_all_its_parts(head):
    assert set(np.unique(head.parts)) == {int(part) for part in Part} - {Part.EXTRA}
    for values in (head.vertices, head.albedo, head.irradiance):
        assert np.isfinite(values).all()
    assert head.albedo.min() >= 0
    assert head.albedo.max() <= 1


def test_the_face_is_in_front_and_the_hair_on_top(head):
    lips = head.vertices[head.parts == Part.LIPS]
    hair = head.vertices[head.parts == Part.HAIR]
    shirt = head.vertices[head.parts == Part.SHIRT]
    assert lips[:, 2].min() > 0.05
    assert hair[:, 1].max() > 0.1 > lips[:, 1].max()
    assert shirt[:, 1].mean() < NECK_CENTER[1] / 1000


@pytest.mark.parametrize(
    ("seed", "count", "spread_mm", "color"),
    [
        (1, 15865, (53.1297, 102.8987, 62.8751), (0.37407, 0.21053, 0.16381)),
        (2, 16000, (58.7534, 105.0025, 63.3359), (0.56335, 0.33467, 0.21386)),
        (3, 14822, (55.2994, 102.5392, 62.8139), (0.28324, 0.1598, 0.09813)),
        (4, 16066, (56.2873, 108.2529, 64.3799), (0.37649, 0.23854, 0.19468)),
    ],
)
def test_the_demos_heads_stay_what_they_were(seed, count, spread_mm, color):
    surface = sculpt_head(seed, 2 * COARSENESS)
    assert len(surface.vertices) == pytest.approx(count, abs=5)
    assert surface.vertices.std(axis=0) * 1000 == pytest.approx(spread_mm, abs=2e-3)
    assert surface.albedo.mean(axis=0) == pytest.approx(color, abs=2e-5)


def test_noise_is_what_scipy_looks_up():
    noise = Noise(5)
    places = np.random.default_rng(0).uniform(-300, 300, (1000, 3)).astype(np.float32)
    expected = ndimage.map_coordinates(noise._tile, places.T, order=1, mode="grid-wrap")
    assert (look_up(noise._tile, places) == expected).all()


def test_the_normals_of_a_cubes_corners_are_its_diagonals():
    corners = np.float32([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    faces = ConvexHull(corners).simplices.astype(np.int64)
    centers = corners[faces].mean(axis=1)
    edges = corners[faces[:, 1:]] - corners[faces[:, :1]]
    inward = np.einsum("ij,ij->i", np.cross(edges[:, 0], edges[:, 1]), centers) < 0
    faces[inward] = faces[inward][:, ::-1]
    toward = np.einsum("ij,ij->i", vertex_normals(corners, faces), corners) / np.sqrt(3)
    assert (toward > 0.8).all()


def test_a_quick_mesh_is_almost_the_exact_one():
    free = sculpt_head(1001, COARSENESS)
    who, frame, noise = free.who, free.frame, Noise(1001)
    p = np.float32(free.vertices[free.parts == Part.LIPS] * 1000)
    bend = np.stack([noise(p, 110, k) for k in (33, 34, 35)], axis=1)
    outside = bare_head(p + np.float32(1.1) * bend, who, frame)
    assert np.abs(outside).mean() < 0.3


@pytest.mark.parametrize(
    ("seeds", "coarseness"),
    # A field of this head once divided by the width of an ear that had shrunk to nothing.
    [(range(100, 130), 4.5), ([1029], 2.0)],
)
def test_every_number_of_a_head_is_finite(seeds, coarseness):
    for seed in seeds:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            surface = sculpt_head(seed, coarseness)
            normals = vertex_normals(surface.vertices.astype(np.float32), surface.faces)
        for values in (surface.vertices, normals, surface.albedo):
            assert np.isfinite(values).all(), seed


def test_the_four_seeds_differ_in_hairstyle_skin_clothes_and_shape():
    identities = [draw_identity(seed) for seed in (1, 2, 3, 4)]
    for trait in ("hairstyle", "skin", "hair", "eye", "pattern", "clothes", "jaw_width"):
        assert len({getattr(identity, trait) for identity in identities}) == 4, trait


def test_no_color_of_a_head_is_one_that_the_chroma_key_takes():
    colors = [
        *SKIN_TONES,
        *HAIR_COLORS,
        *EYE_COLORS,
        *(c for three in CLOTHES_COLORS for c in three),
    ]
    for color in colors:
        hue, saturation, _ = colorsys.rgb_to_hsv(*color)
        assert saturation < 0.1 or not 50 <= hue * 360 <= 165, color


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_chroma_key_finds_the_true_mask(seed):
    mesh = synthesize_head(seed, 2 * COARSENESS)
    rig, scene = study_rig(DEMO), scene_of(mesh)
    for view in ("r1c2", "r0c0", "r2c4", "b0"):
        taken = photograph(mesh, scene, rig.cameras, rig.cameras.index(view), 2)
        inner = ndimage.binary_erosion(taken.mask)
        outer = ~ndimage.binary_dilation(taken.mask)
        keyed = is_keyed(taken.rgb)
        assert not keyed[inner].mean() > 0.005
        assert keyed[outer].mean() > 0.995


def test_the_whole_bust_is_inside_every_frame():
    mesh = synthesize_head(4, 2 * COARSENESS)
    cameras = study_rig(STUDY).cameras
    for i in range(len(cameras)):
        pose, (width, height) = cameras.world_to_camera[i], cameras.sizes[i]
        x, y, z = cameras.intrinsics[i] @ (pose[:3, :3] @ mesh.vertices.T + pose[:3, 3:])
        assert 0 < (x / z).min() < (x / z).max() < width
        assert 0 < (y / z).min() < (y / z).max() < height


def test_depth_is_nonzero_exactly_inside_the_mask(head, scene):
    taken = photograph(head, scene, study_rig(DEMO).cameras, 7, 1)
    assert ((taken.depth > 0) == taken.mask).all()
    assert 0.1 < taken.mask.mean() < 0.6


def test_the_depth_of_one_view_reprojects_onto_the_depth_of_the_next(head, scene):
    cameras = study_rig(DEMO).cameras
    a, b = cameras.index("r1c2"), cameras.index("r1c3")
    first, second = (photograph(head, scene, cameras, view, 1) for view in (a, b))
    rows, columns = np.nonzero(first.mask)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    in_camera = np.linalg.inv(cameras.intrinsics[a]) @ pixels * first.depth[rows, columns]
    step = cameras.world_to_camera[b] @ np.linalg.inv(cameras.world_to_camera[a])
    moved = step[:3, :3] @ in_camera + step[:3, 3:]
    x, y, z = cameras.intrinsics[b] @ moved
    row, column = np.floor(y / z).astype(int), np.floor(x / z).astype(int)
    surface = ndimage.binary_erosion(second.mask, iterations=2)[row, column]
    behind = (moved[2] - second.depth[row, column])[surface]
    # Nothing lies in front of what the second camera sees; most of it is what it sees.
    assert (behind > -0.004).mean() > 0.99
    assert (np.abs(behind) < 0.004).mean() > 0.7


def test_a_pixels_depth_is_the_distance_along_the_axis_not_the_ray(head, scene):
    cameras = study_rig(DEMO).cameras
    taken = photograph(head, scene, cameras, 0, 1)
    pose = cameras.world_to_camera[0]
    vertex_depth = head.vertices @ pose[2, :3] + pose[2, 3]
    assert vertex_depth.min() - 1e-3 < taken.depth[taken.mask].min()
    assert taken.depth.max() < vertex_depth.max() + 1e-3


def test_the_focal_length_in_pixels_follows_from_the_exif_tags(tmp_path):
    rgb = np.zeros((STUDY.size_px[1], STUDY.size_px[0], 3), np.uint8)
    write_jpeg(tmp_path / "a.jpg", rgb, STUDY)
    with Image.open(tmp_path / "a.jpg") as image:
        exif = image.getexif()
        assert image.size == STUDY.size_px
    lens = exif.get_ifd(ExifTags.IFD.Exif)
    focal_px = study_rig(STUDY).cameras.intrinsics[0, 0, 0]
    per_mm = float(lens[ExifTags.Base.FocalPlaneXResolution]) / 10
    assert float(lens[ExifTags.Base.FocalLength]) * per_mm == pytest.approx(focal_px, rel=1e-5)
    diagonal_px = np.hypot(*STUDY.size_px)
    from_35mm = lens[ExifTags.Base.FocalLengthIn35mmFilm] / 43.27 * diagonal_px
    assert from_35mm == pytest.approx(focal_px, rel=0.02)
    assert exif[ExifTags.Base.Orientation] == 1


def test_a_capture_holds_every_view_and_its_truth(capture):
    folder, settings = capture
    names = study_rig(settings).cameras.names
    assert [line.split("\t")[0] for line in (folder / "rig.tsv").read_text().split("\n")] == [
        "view",
        *names,
        "",
    ]
    assert read_cameras(folder / "truth" / "cameras.json").names == names
    for name in names:
        with Image.open(folder / f"{name}.jpg") as image:
            assert image.size == settings.size_px
        with Image.open(folder / "truth" / "masks" / f"{name}.png") as image:
            mask = np.asarray(image)
        with np.load(folder / "truth" / "depth" / f"{name}.npz", allow_pickle=False) as file:
            depth = file["depth"]
        assert depth.dtype == np.float32
        assert ((mask == 255) == (depth > 0)).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_face(capture, tmp_path):
    folder, settings = capture
    (tmp_path / "same").mkdir()
    (tmp_path / "other").mkdir()
    write_capture(tmp_path / "same", 2, settings, COARSENESS)
    write_capture(tmp_path / "other", 3, settings, COARSENESS)
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 2 + 3 * 5
    for file in files:
        assert (tmp_path / "same" / file).read_bytes() == (folder / file).read_bytes(), file
    for photo in folder.glob("*.jpg"):
        assert (tmp_path / "other" / photo.name).read_bytes() != photo.read_bytes()
