"""Procedural heads that move: their sequence, its import, and their consistency over time."""

import json
import shutil

import numpy as np
import pytest
import scipy
from headstyle.base.errors import InputError
from headstyle.base.images import read_rgba
from headstyle.base.settings import default_values
from headstyle.consistency.settings import metric_settings
from headstyle.rigged.reading import import_sequence
from headstyle.rigged.sequence import joined_cameras, read_sequence
from headstyle.rigged.synthesis import synthesize_sequence
from headstyle.rigged.temporal_consistency import (
    MovingHead,
    measure_over_time,
    score_over_time,
    summarize_over_time,
)
from headstyle.rigged.temporal_pairs import MovingSurface, TemporalPair, temporal_pairs
from moving_head import SMALL, write_gaussian_avatars
from PIL import Image

METRICS = ["headline", "rmse_corrected", "ciede2000_corrected", "ssim"]
SETTINGS = {**default_values(metric_settings()), "names": METRICS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moving") / "sequence"
    synthesize_sequence(folder, 1, 2, SMALL)
    return folder


@pytest.fixture(scope="module")
def sequence(folder):
    return read_sequence(folder)


@pytest.fixture(scope="module")
def images(sequence):
    return [read_rgba(frame.image) for frame in sequence.frames]


@pytest.fixture(scope="module")
def avatars(sequence, tmp_path_factory):
    folder = tmp_path_factory.mktemp("avatars")
    write_gaussian_avatars(folder, sequence)
    return folder


def test_splits_hold_out_cameras_and_timesteps(sequence, folder):
    assert {(f.timestep, f.camera_index) for f in sequence.of_split("val")} == {
        (0, 1),
        (1, 1),
        (2, 1),
    }
    assert {f.timestep for f in sequence.of_split("test")} == {3}
    assert len(sequence.of_split("train")) == 6
    driven = read_sequence(folder / "driven")
    np.testing.assert_array_equal(driven.meshes.faces, sequence.meshes.faces)
    distances = [np.abs(driven.meshes.vertices[0] - v).max() for v in sequence.meshes.vertices]
    assert min(distances) > 1e-3, "another head moves otherwise"


def test_the_mesh_lies_where_the_photographs_show_the_head(sequence, images):
    cameras = joined_cameras(sequence.frames)
    steps = [frame.timestep for frame in sequence.frames]
    surface = MovingSurface(sequence.meshes, steps, cameras, 0.01)
    for image, depth in zip(images, surface.depths, strict=True):
        shown, covered = image[..., 3] > 0.5, depth > 0
        assert (shown & covered).sum() / (shown | covered).sum() > 0.95


def test_a_pair_is_two_timesteps_of_one_camera(sequence):
    pairs = temporal_pairs(sequence.frames, 1)
    assert len(pairs) == 3 * 2 * 3
    for pair in pairs:
        target, source = sequence.frames[pair.target], sequence.frames[pair.source]
        assert target.camera_index == source.camera_index
        assert abs(target.timestep - source.timestep) == 1


def test_a_vertex_is_carried_to_where_it_moves(sequence):
    """Pixels move as the vertices in them do; what stretches within a pixel differs a little."""
    frames = sequence.frames
    cameras = joined_cameras(frames)
    surface = MovingSurface(sequence.meshes, [f.timestep for f in frames], cameras, 0.01)
    pair = next(p for p in temporal_pairs(frames, 2) if p.target == 0)
    carried = surface.carried(pair)
    here, there = (_projected(sequence, cameras, place) for place in (pair.target, pair.source))
    pixels = np.floor(here[:, :2]).astype(int)
    depth = surface.depths[pair.target]
    shown = np.abs(depth[pixels[:, 1], pixels[:, 0]] - here[:, 2]) < 2e-3
    columns, rows = pixels[shown].T
    seen = carried.seen[rows, columns]
    moved = carried.places[rows, columns] - (pixels[shown] + 0.5)
    own = there[shown, :2] - here[shown, :2]
    assert seen.sum() > 500
    assert np.linalg.norm(own[seen], axis=1).max() > 2, "the head moves by pixels"
    off = np.linalg.norm((moved - own)[seen], axis=1)
    assert np.quantile(off, 0.95) < 0.3


def _projected(sequence, cameras, place):
    """x, y and z of all vertices in a frame's camera. Shape `(V, 3)`."""
    points = sequence.meshes.vertices[sequence.frames[place].timestep].astype(np.float64)
    pose = cameras.world_to_camera[place]
    in_camera = points @ pose[:3, :3].T + pose[:3, 3]
    pixels = in_camera @ cameras.intrinsics[place].T
    return np.column_stack([pixels[:, :2] / pixels[:, 2:], in_camera[:, 2]])


def test_what_another_surface_hides_is_not_seen(sequence):
    """A wall before the camera at one timestep hides the whole head there."""
    frames = [f for f in sequence.frames if f.camera_index == 0][:2]
    cameras = joined_cameras(frames)
    vertices, faces = sequence.meshes.vertices[:2], sequence.meshes.faces
    wall = cameras.centers[1] + 0.1 * cameras.axes[1]
    right, down = cameras.world_to_camera[1, :2, :3]
    corners = np.array([wall + 9 * (x * right + y * down) for x, y in ((-1, -1), (3, -1), (-1, 3))])
    far = corners + 100
    walls = np.stack([far, corners]).astype(np.float32)
    meshes = type(sequence.meshes)(
        np.concatenate([vertices, walls], axis=1),
        np.concatenate([faces, [np.arange(3) + vertices.shape[1]]]).astype(np.int32),
    )
    free = MovingSurface(sequence.meshes, [0, 1], cameras, 0.01).carried(TemporalPair(0, 1))
    hidden = MovingSurface(meshes, [0, 1], cameras, 0.01).carried(TemporalPair(0, 1))
    assert free.seen.sum() > 1000
    assert hidden.seen.sum() == 0


def flickering(images, frames, level):
    """Every timestep has a color cast of its own, of this size in sRGB."""
    casts = np.random.default_rng(3).normal(size=(10, 3))
    casts *= level / np.linalg.norm(casts, axis=1, keepdims=True)
    return [
        np.dstack([np.clip(i[..., :3] + casts[f.timestep], 0, 1), i[..., 3]]).astype(np.float32)
        for i, f in zip(images, frames, strict=True)
    ]


def sliding(images, frames, level):
    """Every timestep's texture lies off its place by this many pixels."""
    angles = np.random.default_rng(4).uniform(0, 2 * np.pi, 10)
    moved = []
    for image, frame in zip(images, frames, strict=True):
        angle = angles[frame.timestep]
        opaque = image.copy()
        opaque[..., :3] *= image[..., 3:]
        opaque = scipy.ndimage.shift(
            opaque, (level * np.sin(angle), level * np.cos(angle), 0), order=1
        )
        colors = opaque[..., :3] / np.maximum(opaque[..., 3:], 1e-6)
        colors = np.where(opaque[..., 3:] > 0.02, np.clip(colors, 0, 1), image[..., :3])
        moved.append(np.dstack([colors, image[..., 3]]).astype(np.float32))
    return moved


@pytest.mark.parametrize(
    ("faults", "levels"),
    [(flickering, (0, 0.01, 0.03, 0.06, 0.12)), (sliding, (0, 0.4, 0.8, 1.6, 3.2))],
    ids=["flickering", "sliding"],
)
def test_metrics_rank_ladders_of_known_flicker(sequence, images, faults, levels):
    chosen = [i for i, frame in enumerate(sequence.frames) if frame.camera_index == 0]
    frames, images = ([items[i] for i in chosen] for items in (sequence.frames, images))
    scores = []
    for level in levels:
        head = MovingHead(frames, sequence.meshes, faults(images, frames, level), images)
        pairs = score_over_time(head, temporal_pairs(frames, 1), SETTINGS)
        scores.append(summarize_over_time(pairs, METRICS, 0.1, ("A", "P1", "low")).iloc[0])
    for name in METRICS:
        sign = 1 if name in ("rmse_corrected", "ciede2000_corrected") else -1
        values = [sign * row[name] for row in scores]
        assert scipy.stats.spearmanr(levels, values).statistic >= 0.98, (name, values)
    assert scores[0]["headline"] == pytest.approx(1)
    assert scores[-1]["headline"] < 0.4


def test_floor_ceiling_and_interval_stand_beside_the_scores(sequence, images):
    frames = [f for f in sequence.frames if f.camera_index == 0]
    images = [images[sequence.frames.index(frame)] for frame in frames]
    settings = {**SETTINGS, "names": ["headline", "rmse_corrected"]}
    plain = MovingHead(frames, sequence.meshes, images, images)
    floor = measure_over_time(plain, settings, 1, seed=0, is_baseline=True)
    edited = MovingHead(frames, sequence.meshes, flickering(images, frames, 0.06), images)
    pairs = measure_over_time(edited, settings, 1, 0, floor)
    row = summarize_over_time(pairs, settings["names"], 0.1, ("A", "P1", "low")).iloc[0]
    assert (floor["rmse_corrected_excess"] == 0).all()
    assert row["rmse_corrected_excess"] == pytest.approx(
        row["rmse_corrected"] - floor["rmse_corrected"].mean(), abs=0.01
    )
    assert row["headline_ceiling"] < 0.3 < row["headline"]
    assert row["headline_ci_low"] <= row["headline"] <= row["headline_ci_high"]
    assert (row["views"], row["pairs_used"], row["pairs_left_out"]) == (4, 6, 0)


def test_a_sequence_of_gaussian_avatars_is_the_same_sequence(sequence, avatars, tmp_path):
    import_sequence(tmp_path / "sequence", avatars, avatars / "meshes")
    found = read_sequence(tmp_path / "sequence")
    assert [f.name for f in found.frames][:2] == ["00003_00", "00003_01"]
    for own, other in zip(sequence.frames, found.frames, strict=True):
        assert (own.timestep, own.camera_index, own.split) == (
            other.timestep,
            other.camera_index,
            other.split,
        )
        np.testing.assert_allclose(own.camera.world_to_camera, other.camera.world_to_camera)
        np.testing.assert_allclose(own.camera.intrinsics, other.camera.intrinsics)
        np.testing.assert_array_equal(read_rgba(own.image), read_rgba(other.image))
    np.testing.assert_array_equal(sequence.meshes.vertices, found.meshes.vertices)


def test_obj_ply_and_one_npz_give_the_same_meshes(sequence, avatars, tmp_path):
    import trimesh
    from headstyle.rigged.mesh_files import read_all_meshes, read_mesh

    vertices, faces = sequence.meshes.vertices[0], sequence.meshes.faces
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    lines += [f"f {a}/1/1 {b}/2/2 {c}/3/3" for a, b, c in (faces + 1).tolist()]
    (tmp_path / "mesh.obj").write_text("\n".join(lines))
    trimesh.Trimesh(vertices, faces, process=False).export(tmp_path / "mesh.ply")
    for name in ("mesh.obj", "mesh.ply"):
        found = read_mesh(tmp_path / name)
        np.testing.assert_allclose(found[0], vertices, atol=1e-7)
        np.testing.assert_array_equal(found[1], faces)
    np.savez(tmp_path / "all.npz", vertices=sequence.meshes.vertices, faces=faces)
    found, _ = read_all_meshes(tmp_path / "all.npz", [3, 4, 5, 6])
    np.testing.assert_array_equal(found[6][0], sequence.meshes.vertices[3])


def _changed(folder, step, change):
    path = folder / "meshes" / f"{step:05d}.npz"
    content = dict(np.load(path))
    change(content)
    np.savez(path, **content)


def _without_a_face(content):
    content["faces"] = content["faces"][:-1]


def _mirrored(content):
    content["vertices"] = content["vertices"] * np.float32([-1, 1, 1])


def _inside_out(content):
    content["faces"] = content["faces"][:, ::-1]


def _upside_down(content):
    content["vertices"] = content["vertices"] * np.float32([1, -1, 1])
    content["faces"] = content["faces"][:, ::-1]


def _missing(folder):
    (folder / "meshes" / "00004.npz").unlink()


def _unseen(folder):
    shutil.copy(folder / "meshes" / "00004.npz", folder / "meshes" / "00009.npz")


def _all(change):
    return lambda folder: [_changed(folder, step, change) for step in (3, 4, 5, 6)]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: _changed(f, 4, _without_a_face), r"00004\.npz, the mesh of frame .*00004_00\.p"),
        (_missing, r"no mesh for 1 of 4 timesteps, first timestep 4 of frame .*00004_00\.png"),
        (_unseen, r"a mesh for timestep 9, which no camera shows .*00006_00\.png"),
        (lambda f: _changed(f, 5, _mirrored), r"00005\.npz.*00005_00\.png'.*mirror image of"),
        (_all(_inside_out), r"frame 'images/00003_00\.png' sees the mesh from inside"),
        (_all(_upside_down), r"mirrored along y.*frame 'images/\S+' fits worst"),
    ],
    ids=["topology", "missing", "unseen", "mirrored", "inside_out", "upside_down"],
)
def test_a_fault_of_the_meshes_is_one_sentence_with_a_frame(avatars, tmp_path, damage, sentence):
    folder = tmp_path / "avatars"
    shutil.copytree(avatars, folder)
    damage(folder)
    with pytest.raises(InputError, match=sentence) as told:
        import_sequence(tmp_path / "sequence", folder, folder / "meshes")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "sequence").exists()


def test_an_image_on_white_with_a_mask_becomes_one_with_alpha(sequence, avatars, tmp_path):
    folder = tmp_path / "avatars"
    shutil.copytree(avatars, folder)
    (folder / "fg_masks").mkdir()
    for split in ("train", "val", "test"):
        path = folder / f"transforms_{split}.json"
        content = json.loads(path.read_text())
        for frame in content["frames"]:
            image = Image.open(folder / frame["file_path"])
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            white.alpha_composite(image)
            white.convert("RGB").save(folder / frame["file_path"])
            frame["fg_mask_path"] = frame["file_path"].replace("images", "fg_masks")
            image.getchannel("A").save(folder / frame["fg_mask_path"])
        path.write_text(json.dumps(content))
    import_sequence(tmp_path / "sequence", folder, folder / "meshes")
    found = read_rgba(read_sequence(tmp_path / "sequence").frames[0].image)
    own = read_rgba(sequence.frames[0].image)
    np.testing.assert_array_equal(found[..., 3], own[..., 3])
    shown = own[..., 3] > 0.5
    assert np.abs(found - own)[shown].max() < 0.02
