import doctest
import runpy
from pathlib import Path
from types import SimpleNamespace

import headstyle.consistency.pair_batches
import headstyle.consistency.scoring
import numpy as np
import pandas as pd
import pytest
import torch
from analytic import (
    cameras_around,
    card_before_wall,
    photograph,
    red_card_blue_wall,
    texture,
    wall,
)
from headstyle.base.cameras import write_cameras
from headstyle.base.errors import InputError
from headstyle.base.images import write_image
from headstyle.consistency.scoring import (
    SETTINGS,
    adjacent_pairs,
    read_depths,
    score,
    view_means,
)
from headstyle.consistency.statistics import EDIT_COLUMNS
from headstyle.consistency.warping import overlap, relative_projections, warp
from headstyle.rendering.splats import splats_from_points, write_ply
from job_files import Files

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
METRICS = ["rmse", "ciede2000"]


@pytest.fixture(scope="module")
def head():
    cameras = cameras_around([-10, 0, 12], [(72, 96), (72, 96), (96, 72)])
    return cameras, *photograph(cameras)


def test_the_example_in_the_documentation_runs():
    failed, tried = doctest.testmod(headstyle.consistency.scoring)
    assert tried > 5
    assert failed == 0


def test_a_view_against_itself_overlaps_fully_and_scores_exactly_zero(head):
    cameras, images, depths = head
    table = score(images, depths, cameras, [(name, name) for name in cameras.names])
    assert (table["overlap"] == 1).all()
    assert (table[METRICS] == 0).all(axis=None)


def test_views_of_one_surface_warp_into_each_other_whatever_their_sizes(head):
    cameras, images, depths = head
    table = score(images, depths, cameras)
    assert len(table) == 6
    assert table["overlap"].min() > 0.5
    # Half a pixel of rounding on a texture of about 20 pixels per radian.
    assert table["rmse"].max() < 0.025
    assert table["ciede2000"].max() < 2
    untouched = score(images, depths, cameras.scaled(cameras.sizes), [("v0", "v2")])
    assert untouched["rmse"][0] == table.set_index(["target", "source"])["rmse"]["v0", "v2"]


def test_rounding_to_pixels_costs_half_as_much_at_twice_the_resolution():
    errors = []
    for side in (64, 128):
        cameras = cameras_around([0, 10], [(side, side)] * 2)
        errors.append(score(*photograph(cameras, wall), cameras)["rmse"].mean())
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.1)


def test_a_misplaced_camera_raises_every_metric(head):
    cameras, images, depths = head
    wrong = cameras.world_to_camera.copy()
    wrong[1, 0, 3] += 0.1
    moved = type(cameras)(cameras.names, cameras.sizes, cameras.intrinsics, wrong)
    pair, loose = [("v0", "v1")], dict(SETTINGS) | {"depth_tolerance": 0.2}
    right = score(images, depths, cameras, pair, settings=loose)
    assert (score(images, depths, moved, pair, settings=loose)[METRICS] > 2 * right[METRICS]).all(
        axis=None
    )


def test_pixels_only_count_where_target_and_source_are_both_foreground(head):
    cameras, images, depths = head
    half = [image.copy() for image in images]
    half[0][:, :36, 3] = 0.5
    full = score(images, depths, cameras, [("v0", "v1"), ("v1", "v0")])
    table = score(half, depths, cameras, [("v0", "v1"), ("v1", "v0")])
    # As a target the view keeps its right half only, so the fraction is of that half.
    assert table["overlap"][0] == pytest.approx(full["overlap"][0], abs=0.2)
    assert table["overlap"][1] < 0.6 * full["overlap"][1]
    half[0][:, :36, :3] = 0
    assert score(half, depths, cameras, [("v0", "v1"), ("v1", "v0")]).equals(table)


def occlusion(target: int, source: int, **choices) -> tuple[np.ndarray, np.ndarray]:
    """Warped colors and compared pixels of two views of a red card before a blue wall."""
    cameras = cameras_around([-20, 20], [(96, 96)] * 2)
    images, depths = photograph(cameras, card_before_wall, red_card_blue_wall)
    colors, depth = torch.tensor(np.stack(images))[..., :3], torch.tensor(np.stack(depths))
    tolerance = choices.pop("depth_tolerance", 0.01)
    warped = warp(
        colors[[source]],
        depth[[source]],
        depth[[source]] > 0,
        relative_projections(cameras, [target], [source]),
        (96, 96),
        **choices,
    )
    shared = overlap(warped, depth[[target]], depth[[target]] > 0, tolerance)
    wrong = (warped.colors[0] != colors[target]).any(dim=-1) & shared[0]
    return wrong.numpy(), shared[0].numpy()


@pytest.mark.parametrize(("target", "source"), [(0, 1), (1, 0)])
def test_a_card_in_front_hides_the_wall_behind_it(target, source):
    wrong, shared = occlusion(target, source)
    assert not wrong.any()
    assert shared.mean() > 0.5


def test_without_z_buffer_and_depth_test_the_hidden_wall_shows_through():
    as_published = [
        occlusion(target, source, z_buffer=False, depth_tolerance=None)[0].sum()
        for target, source in ((0, 1), (1, 0))
    ]
    assert max(as_published) > 100
    only_z_buffer = occlusion(0, 1, depth_tolerance=None)[0].sum()
    assert 0 < only_z_buffer < max(as_published)


def test_without_a_z_buffer_the_depth_test_loses_pixels_of_the_card():
    kept = [occlusion(t, s)[1].sum() for t, s in ((0, 1), (1, 0))]
    lost = [occlusion(t, s, z_buffer=False)[1].sum() for t, s in ((0, 1), (1, 0))]
    assert min(np.subtract(kept, lost)) >= 0
    assert sum(kept) > sum(lost) + 100


def test_a_point_behind_the_camera_hides_none_in_front():
    cameras = cameras_around([0, 0], [(4, 4)] * 2)
    # Seen from two units further on, depth 1 lies one unit behind; its rays mirror through the
    # center into the frame.
    cameras.world_to_camera[1, 2, 3] -= 2
    depth = torch.full((1, 4, 4), 6.0)
    depth[0, :2, :2] = 1
    colors = torch.where(depth[..., None] == 1, 1.0, 0.5).expand(1, 4, 4, 3)
    projections = relative_projections(cameras, [1], [0])
    warped = warp(colors, depth, depth > 0, projections, (4, 4))
    assert set(warped.depth.unique().tolist()) == {0, 4}
    assert set(warped.colors.unique().tolist()) == {0, 0.5}


def test_nothing_lands_from_behind_the_camera_or_from_broken_depth():
    cameras = cameras_around([0, 180], [(32, 32)] * 2, distance=0.5)
    pairs = [("v0", "v1"), ("v1", "v0"), ("v1", "v1")]
    images = [np.full((32, 32, 3), 0.5)] * 2
    far = np.full((32, 32), 9.0)
    assert (score(images, [far, far], cameras, pairs[:2])["overlap"] == 0).all()
    broken = np.full((32, 32), np.nan)
    broken[0] = np.inf
    assert (score(images, [far, broken], cameras, pairs)["overlap"] == 0).all()


def recolored(images, strength, seed=3):
    """Every view tinted by its own random color."""
    tints = np.random.default_rng(seed).uniform(-1, 1, (len(images), 3))
    return [
        np.concatenate([np.clip(i[..., :3] + strength * t, 0, 1), i[..., 3:]], axis=-1)
        for i, t in zip(images, tints, strict=True)
    ]


def test_recoloring_each_view_more_strongly_raises_every_metric_steadily(head, tmp_path):
    cameras, images, depths = head
    settings = dict(SETTINGS) | {"names": [*METRICS, "lpips"]}
    settings["lpips_weights"] = random_backbone(tmp_path)
    scores = pd.DataFrame(
        [
            score(recolored(images, strength), depths, cameras, settings=settings).mean(
                numeric_only=True
            )
            for strength in np.linspace(0, 0.4, 6)
        ]
    )
    assert (scores[[*METRICS, "lpips"]].diff().iloc[1:] > 0).all(axis=None)
    assert scores["overlap"].nunique() == 1


def random_backbone(folder: Path) -> Path:
    """A file with torchvision's squeezenet at random weights."""
    import torchvision

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.squeezenet1_1(weights=None)
    torch.save(network.state_dict(), folder / "backbone.pth")
    return folder / "backbone.pth"


def test_recoloring_all_views_alike_changes_far_less_than_each_on_its_own(head):
    cameras, images, depths = head
    alike = [np.clip(image + np.float32([0.1, -0.1, 0.1, 0]), 0, 1) for image in images]
    plain, same, each = (
        score(edit, depths, cameras)["rmse"].mean()
        for edit in (images, alike, recolored(images, 0.1))
    )
    assert abs(same - plain) < 0.1 * (each - plain)


def test_torch_tensors_and_bytes_score_like_float_arrays(head):
    cameras, images, depths = head
    bytes_ = [np.rint(image * 255).astype(np.uint8) for image in images]
    expected = score([b.astype(np.float32) / np.float32(255) for b in bytes_], depths, cameras)
    tensors = [torch.from_numpy(b) for b in bytes_]
    assert score(tensors, [torch.from_numpy(d) for d in depths], cameras).equals(expected)


def test_small_batches_change_nothing(head, monkeypatch):
    cameras, images, depths = head
    expected = score(images, depths, cameras)
    monkeypatch.setitem(headstyle.consistency.pair_batches.BATCH_PIXELS, "cpu", 1)
    assert score(images, depths, cameras).equals(expected)


def test_no_pair_gives_an_empty_table_with_its_columns(head):
    cameras, images, depths = head
    table = score(images, depths, cameras, [])
    assert list(table.columns) == ["target", "source", "overlap", *METRICS]
    assert table.empty


def test_misfits_are_named(head):
    cameras, images, depths = head
    with pytest.raises(InputError, match="'x', which has no camera"):
        score(images, depths, cameras, [("v0", "x")])
    with pytest.raises(InputError, match="depth of v2 has shape"):
        score(images, [depths[0]] * 3, cameras)
    with pytest.raises(InputError, match="2 arrays were given for 3 cameras"):
        score(images[:2], depths, cameras)
    with pytest.raises(InputError, match=r"'rsme' is not a metric; choose from ciede2000"):
        score(images, depths, cameras, settings=dict(SETTINGS) | {"names": ["rsme"]})


def test_a_view_takes_the_quadratic_mean_of_rmse_and_the_plain_mean_of_the_others():
    pairs = pd.DataFrame(
        {
            "target": ["b", "b", "b", "a", "c"],
            "source": ["a", "c", "d", "b", "a"],
            "overlap": [0.5, 0.5, 0.0, 0.5, 0.0],
            "rmse": [0.3, 0.4, np.nan, 0.2, np.nan],
            "ciede2000": [3.0, 4.0, np.nan, 2.0, np.nan],
        }
    )
    views = view_means(pairs, METRICS, ["a", "b", "c", "d"]).set_index("view")
    assert list(views["neighbours"]) == [1, 2, 0, 0]
    assert views["rmse"]["b"] == pytest.approx(np.sqrt((0.09 + 0.16) / 2))
    assert views["ciede2000"]["b"] == pytest.approx(3.5)
    assert views["rmse"]["a"] == 0.2
    assert views.loc[["c", "d"], METRICS].isna().all(axis=None)
    assert list(view_means(pairs, METRICS)["view"]) == ["b", "a", "c"]


def test_every_view_is_a_target_for_each_of_its_neighbors():
    adjacency = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=bool)
    expected = [("a", "b"), ("a", "c"), ("b", "a"), ("c", "a")]
    assert adjacent_pairs(["a", "b", "c"], adjacency) == expected


def test_without_pairs_views_are_compared_with_the_nearest_in_direction():
    cameras = cameras_around([0, 20, 40, 90], [(16, 16)] * 4)
    table = score(*photograph(cameras), cameras)
    assert set(zip(table["target"], table["source"], strict=True)) == {
        *(("v0", "v1"), ("v1", "v0"), ("v0", "v2"), ("v2", "v0"), ("v1", "v2"), ("v2", "v1")),
        *(("v2", "v3"), ("v3", "v2")),
    }


def test_parallel_cameras_need_their_pairs_given():
    cameras = cameras_around([0, 0], [(16, 16)] * 2)
    with pytest.raises(InputError, match="give the pairs to compare"):
        score(*photograph(cameras), cameras)


def write_scene(folder: Path, cameras, images, depths) -> None:
    for name, image, depth in zip(cameras.names, images, depths, strict=True):
        write_image(folder / "views" / f"{name}.png", image)
        write_image(folder / "unedited" / f"{name}.png", image)
        (folder / "depth").mkdir(exist_ok=True)
        np.savez(folder / "depth" / f"{name}.npz", median=depth, expected=depth + 1)
    write_cameras(folder / "views" / "cameras.json", cameras)
    points = np.random.default_rng(0).normal(size=(8, 3))
    write_ply(folder / "splats.ply", splats_from_points(points, np.ones((8, 3)), 0, 0))
    links = pd.DataFrame([[0, 1, 1], [1, 0, 0], [1, 0, 0]], cameras.names, cameras.names)
    links.to_csv(folder / "adjacency.csv", index_label="view")


def test_depth_files_that_cannot_be_used_are_named(head, tmp_path):
    cameras, images, depths = head
    write_scene(tmp_path, cameras, images, depths)
    path = tmp_path / "depth" / "v1.npz"
    with pytest.raises(InputError, match=r"v0\.npz cannot be read as depth .* the key other"):
        read_depths(tmp_path / "depth", cameras, "other")
    np.savez(path, median=np.ones((2, 3)))
    with pytest.raises(InputError, match=r"v1\.npz has shape \(2, 3\), but its camera is 72 x 96"):
        read_depths(tmp_path / "depth", cameras)
    np.savez(path, median=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"v1\.npz cannot be read as depth"):
        read_depths(tmp_path / "depth", cameras)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"v1\.npz cannot be read as depth"):
        read_depths(tmp_path / "depth", cameras)


def measure(
    folder: Path, scene: str, labels: list[str], **changes
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Run the stage script; returns pairs.csv, views.csv and the log."""
    files = {name: folder / scene / f"{name}.csv" for name in ("pairs", "views")}
    images = folder / "views"
    job = SimpleNamespace(
        input=Files(
            images=str(images / "cameras.json" if scene == "floor" else images),
            depth=str(folder / "depth"),
            cameras=str(folder / "views" / "cameras.json"),
            adjacency=str(folder / "adjacency.csv"),
            unedited=str(folder / "unedited"),
            splats=str(folder / "splats.ply"),
            floor=changes.pop("floor", []),
        ),
        output=Files(**files, kinds=folder / scene / "kinds.npz"),
        params=SimpleNamespace(
            labels=labels,
            metrics=dict(SETTINGS) | changes,
            instruction=None,
            captions=None,
            seed=0,
        ),
        wildcards=Files(subject="A", scene=scene),
        log=[str(folder / "log.txt")],
        rule="measure_consistency",
        threads=1,
        resources={},
    )
    runpy.run_path(str(SCRIPTS / "measure_consistency.py"), {"snakemake": job}, run_name="__main__")
    tables = (pd.read_csv(path, keep_default_na=False) for path in files.values())
    return *tables, (folder / "log.txt").read_text()


def test_a_scene_whose_edit_is_the_identity_scores_its_floor(head, tmp_path):
    cameras, images, depths = head
    write_scene(tmp_path, cameras, images, depths)
    pairs, views, _ = measure(tmp_path, "floor", ["photographs", "none"])
    avatar_pairs, avatar_views, _ = measure(tmp_path, "P4_low", ["P4", "low"])
    labels = ["subject", "prompt", "strength"]
    scores = [metric + part for part in ("", "_excess", "_ceiling") for metric in METRICS]
    assert list(pairs.columns[:6]) == [*labels, "target", "source", "overlap"]
    assert set(pairs.columns[6:]) == set(scores)
    assert list(views.columns) == [*labels, "view", "neighbours", *EDIT_COLUMNS, *scores]
    assert list(views["neighbours"]) == [2, 1, 1]
    assert views.loc[0, labels].to_list() == ["A", "photographs", "none"]
    assert avatar_views.loc[0, labels].to_list() == ["A", "P4", "low"]
    assert (pairs["rmse"] > 0).all()
    assert pairs.drop(columns=labels).equals(avatar_pairs.drop(columns=labels))
    assert views.drop(columns=labels).equals(avatar_views.drop(columns=labels))


def test_pairs_that_share_no_pixel_have_empty_cells_and_are_counted(head, tmp_path):
    cameras, images, depths = head
    empty = [depths[0], depths[1], np.zeros_like(depths[2])]
    write_scene(tmp_path, cameras, images, empty)
    pairs, views, log = measure(tmp_path, "P4_low", ["P4", "low"])
    alone = pairs[(pairs["target"] == "v2") | (pairs["source"] == "v2")]
    assert len(alone) == 2
    assert (alone["overlap"].astype(float) == 0).all()
    assert (alone[METRICS] == "").all(axis=None)
    assert (views.loc[views["view"] == "v2", METRICS] == "").all(axis=None)
    assert list(views["neighbours"]) == [1, 1, 0]
    assert "2 pairs share no pixel" in log
    assert "1 views have nothing to be compared with: ['v2']" in log


def test_an_avatars_excess_is_over_the_baselines_pairs_and_small_overlaps_are_counted(
    head, tmp_path
):
    cameras, images, depths = head
    names = ["rmse", "rmse_corrected", "ssim"]
    write_scene(tmp_path, cameras, images, depths)
    measure(tmp_path, "baseline", ["none", "none"], names=names)
    for name, image in zip(cameras.names, recolored(images, 0.2), strict=True):
        write_image(tmp_path / "views" / f"{name}.png", image)
    floor = str(tmp_path / "baseline" / "pairs.csv")
    changes = {"names": names, "floor": floor, "min_overlap": 0.5}
    pairs, views, _ = measure(tmp_path, "P4_low", ["P4", "low"], **changes)
    baseline = pd.read_csv(floor, keep_default_na=False)
    assert (baseline[[f"{name}_excess" for name in names]] == 0).all(axis=None)
    np.testing.assert_allclose(pairs["rmse_excess"], pairs["rmse"] - baseline["rmse"])
    assert (pairs["rmse_corrected_excess"] > 0).all()
    assert (pairs["ssim_excess"] < 0).all()
    assert (views["edit_strength"] > 1).all()
    assert list(views["pairs_used"]) == [2, 1, 1]
    assert (views["pairs_left_out"] == 0).all()
    few, views, log = measure(tmp_path, "P4_low", ["P4", "low"], **changes | {"min_overlap": 0.99})
    assert (few["rmse_corrected"] == "").all()
    assert (few["rmse"] == pairs["rmse"]).all()
    assert list(views["pairs_left_out"]) == [2, 1, 1]
    assert "4 pairs share less than 0.99 of a head" in log


def test_the_texture_of_the_test_scenes_stays_in_range():
    colors = texture(np.random.default_rng(0).normal(size=(100, 3)))
    assert colors.min() >= 0.1
    assert colors.max() <= 0.9
