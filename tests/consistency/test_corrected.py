"""Each flaw of the published definition: a test that its metric fails and the corrected passes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from analytic import (
    cameras_around,
    card_before_wall,
    photograph,
    red_card_blue_wall,
)
from headstyle.base.cameras import Cameras
from headstyle.consistency.metrics import load_metrics
from headstyle.consistency.metrics.flip import flip_map
from headstyle.consistency.metrics.gmsd import gradient_similarity
from headstyle.consistency.pairs import PairBatch
from headstyle.consistency.parts.filling import continued, overlap_crops
from headstyle.consistency.scoring import score
from headstyle.consistency.warping import sound_surface

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> Path:
    """A file with torchvision's squeezenet at random weights."""
    path = tmp_path_factory.mktemp("weights") / "backbone.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    return path


def metrics(backbone: Path, *names: str):
    settings = {"names": names, "lpips_net": "squeeze", "lpips_weights": backbone}
    return load_metrics(settings, CPU)


def shifted_plane(pixels: float, side: int = 64) -> tuple[Cameras, list, list]:
    """A textured plane at depth 4 and a camera moved by a fraction of its pixels."""
    cameras = cameras_around([0, 0], [(side, side)] * 2)
    cameras.world_to_camera[1, 0, 3] -= pixels * 4 / cameras.intrinsics[0, 0, 0]

    def plane(center, directions):
        return -center[2] / directions[..., 2]

    return cameras, *photograph(cameras, plane)


PAIRS = [("v0", "v1"), ("v1", "v0")]


def test_integer_writes_cost_half_a_pixel_which_sampling_does_not():
    names = ["rmse", "rmse_corrected", "ciede2000", "ciede2000_corrected"]
    cameras, images, depths = shifted_plane(0.5)
    table = score(images, depths, cameras, PAIRS, settings={"names": names})
    assert (table["rmse"] > 0.01).all()
    assert (table["rmse_corrected"] < 0.1 * table["rmse"]).all()
    assert (table["ciede2000_corrected"] < 0.1 * table["ciede2000"]).all()
    assert (table["coverage"] > 0.9).all()


def test_a_view_against_itself_is_covered_up_to_its_silhouette_and_scores_nearly_zero():
    cameras = cameras_around([-10, 10], [(72, 96)] * 2)
    table = score(*photograph(cameras), cameras, [("v0", "v0")], settings={"names": CORRECTED})
    assert table["coverage"][0] > 0.9
    assert (table[CORRECTED] < 1e-4).all(axis=None)


CORRECTED = ["rmse_corrected", "ciede2000_corrected"]


def test_what_another_surface_hides_is_not_compared_even_with_a_loose_depth_tolerance():
    cameras = cameras_around([-20, 20], [(96, 96)] * 2)
    images, depths = photograph(cameras, card_before_wall, red_card_blue_wall)
    settings = {"names": ["rmse", "rmse_corrected"], "depth_tolerance": 0.3}
    table = score(images, depths, cameras, PAIRS, settings=settings)
    # The wall that the card hides lies a quarter further off: within this tolerance.
    assert table["rmse"].max() > 0.03
    assert (table["rmse_corrected"] < 1e-3).all()
    assert (table["coverage"] > 0.3).all()


@pytest.mark.parametrize("loose", [{"round_trip_px": 1e3}, {"depth_tolerance": 0.3}])
def test_depth_and_place_each_tell_what_is_hidden(loose):
    cameras = cameras_around([-20, 20], [(96, 96)] * 2)
    images, depths = photograph(cameras, card_before_wall, red_card_blue_wall)
    settings = {"names": ["rmse_corrected"], **loose}
    table = score(images, depths, cameras, PAIRS, settings=settings)
    assert (table["rmse_corrected"] < 1e-3).all()
    settings |= {"round_trip_px": 1e3, "depth_tolerance": 0.3}
    assert score(images, depths, cameras, PAIRS, settings=settings)["rmse_corrected"].max() > 0.05


def expected_depth(depths: list, images: list) -> tuple[list, list]:
    """Depth and colors that mean over 3 x 3 pixels, as alpha blending does at silhouettes."""
    blurred = []
    for depth, image in zip(depths, images, strict=True):
        maps = torch.from_numpy(np.dstack([depth, image[..., :3]])).permute(2, 0, 1)[None]
        mean = torch.nn.functional.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
        blurred.append(mean[0].permute(1, 2, 0).numpy())
    colors = [np.dstack([maps[..., 1:], np.ones_like(maps[..., :1])]) for maps in blurred]
    return colors, [maps[..., 0] for maps in blurred]


def test_depth_that_flies_off_between_two_surfaces_is_left_out():
    cameras = cameras_around([-8, 8], [(96, 96)] * 2)
    images, depths = photograph(cameras, card_before_wall, red_card_blue_wall)
    colors, flying = expected_depth(depths, images)
    settings = {"names": ["rmse", "rmse_corrected"], "depth_tolerance": 0.05}
    table = score(colors, flying, cameras, PAIRS, settings=settings)
    clean = score(images, depths, cameras, PAIRS, settings=settings)
    assert (table["rmse"] > 0.003).all()
    assert (table["rmse_corrected"] < 1e-6).all()
    assert (table["coverage"] > 0.8 * clean["coverage"]).all()


def test_a_jump_in_depth_is_unsound_on_both_sides_and_a_slope_is_not():
    depth = torch.full((1, 9, 12), 2.0)
    depth[:, :, 6:] = 2.5
    _, sound = sound_surface(depth, depth > 0, 0.03)
    assert torch.nonzero(~sound[0, 4]).flatten().tolist() == [5, 6]
    slope = 1 / (1 + 0.02 * torch.arange(12.0)).expand(1, 9, 12)
    cleaned, sound = sound_surface(slope, slope > 0, 0.03)
    assert sound.all()
    torch.testing.assert_close(cleaned, slope)


def test_speckles_of_depth_are_removed():
    depth = torch.full((1, 9, 9), 2.0)
    depth[0, 4, 4] = 2.2
    cleaned, sound = sound_surface(depth, depth > 0, 0.03)
    assert (cleaned == 2).all()
    assert sound.all()


def test_pairs_that_share_too_little_have_no_corrected_value():
    cameras = cameras_around([0, 85], [(64, 64)] * 2)
    images, depths = photograph(cameras)
    settings = {"names": ["rmse", "rmse_corrected"], "min_overlap": 0.5}
    table = score(images, depths, cameras, PAIRS, settings=settings)
    assert (table["coverage"] < 0.5).all()
    assert table["rmse"].notna().all()
    assert table["rmse_corrected"].isna().all()
    settings["min_overlap"] = 0.01
    assert score(images, depths, cameras, PAIRS, settings=settings)["rmse_corrected"].notna().all()


def pair(side: int = 96, seed: int = 0, noise: float = 0.1) -> PairBatch:
    """Smooth images that differ by noise, compared in a disk."""
    draw = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    waves = torch.stack([torch.sin(0.2 * x + 0.1 * k * y + k) for k in range(3)], dim=-1)
    target = (0.5 + 0.3 * waves)[None]
    warped = (target + noise * torch.randn(target.shape, generator=draw)).clamp(0, 1)
    disk = ((x - side / 2) ** 2 + (y - side / 2) ** 2 < (0.4 * side) ** 2)[None]
    return PairBatch(target, warped, disk)


def framed(batch: PairBatch, border: int) -> PairBatch:
    """The same pair in a larger, empty frame."""
    size = (0, 0, border, border, border, border)
    images = (torch.nn.functional.pad(i, size) for i in (batch.target, batch.warped))
    return PairBatch(*images, torch.nn.functional.pad(batch.overlap, size[2:]))


WINDOWED = ["lpips_corrected", "flip", "gmsd", "ssim"]


def test_an_empty_frame_dilutes_lpips_but_not_the_corrected_one(backbone):
    batch = pair()
    for metric in metrics(backbone, "lpips", *WINDOWED):
        plain, diluted = (float(metric(b)) for b in (batch, framed(batch, 48)))
        if metric.name == "lpips":
            assert diluted < 0.6 * plain
        else:
            assert diluted == pytest.approx(plain, rel=1e-5), metric.name


def test_the_gap_between_two_shared_regions_does_not_dilute(backbone):
    batch = pair(side=192)
    corners = torch.zeros_like(batch.overlap)
    corners[:, :48, :48] = corners[:, -48:, -48:] = True
    one = corners.clone()
    one[:, 48:] = False
    for metric in metrics(backbone, *WINDOWED):
        far, near = (
            float(metric(PairBatch(batch.target, batch.warped, mask))) for mask in (corners, one)
        )
        assert far == pytest.approx(near, rel=0.3), metric.name


def test_the_corrected_metrics_see_neither_background_nor_black(backbone):
    batch = pair()
    outside = ~batch.overlap[..., None]
    for metric in metrics(backbone, *WINDOWED, *CORRECTED):
        hidden = [
            metric(PairBatch(batch.target.where(~outside, a), batch.warped.where(~outside, b), m))
            for m in (batch.overlap,)
            for a, b in ((torch.tensor(0.0), torch.tensor(0.0)), (torch.tensor(1.0), torch.rand(3)))
        ]
        assert torch.equal(*hidden), metric.name
        assert torch.equal(hidden[0], metric(batch)), metric.name


def test_holes_in_the_overlap_leak_into_published_features_only(backbone):
    batch = pair(noise=0.05)
    holes = torch.rand(batch.overlap.shape, generator=torch.Generator().manual_seed(1)) < 0.1
    torn = PairBatch(batch.target, batch.warped, batch.overlap & ~holes)
    published, corrected = (
        float(metric(torn) / metric(batch))
        for metric in metrics(backbone, "lpips", "lpips_corrected")
    )
    assert abs(corrected - 1) < 0.5 * abs(published - 1)


def test_lpips_of_a_wholly_shared_frame_is_the_published_one(backbone):
    batch = pair(side=96)
    whole = PairBatch(batch.target, batch.warped, torch.ones_like(batch.overlap))
    published, corrected = metrics(backbone, "lpips", "lpips_corrected")
    assert float(corrected(whole)) == pytest.approx(float(published(whole)), abs=1e-6)


def test_pairs_of_a_batch_do_not_influence_each_other(backbone):
    first, second = pair(seed=0), framed(pair(side=64, seed=1), 16)
    both = PairBatch(
        *(
            torch.cat([getattr(p, n) for p in (first, second)])
            for n in ("target", "warped", "overlap")
        )
    )
    for metric in metrics(backbone, *WINDOWED):
        alone = torch.cat([metric(first), metric(second)])
        torch.testing.assert_close(metric(both), alone, rtol=1e-6, atol=1e-7)


def test_a_pair_without_overlap_has_no_value(backbone):
    batch = pair()
    empty = PairBatch(batch.target, batch.warped, torch.zeros_like(batch.overlap))
    for metric in metrics(backbone, *WINDOWED, *CORRECTED):
        assert metric(empty).isnan().all(), metric.name


def test_crops_continue_what_is_shared():
    batch = pair()
    [crops] = overlap_crops(batch, 32)
    assert crops.target.shape == (1, 3, 96, 96)
    inside = crops.overlap[0, 0]
    [top, left] = (int(torch.nonzero(batch.overlap[0].any(dim=d))[0]) for d in (1, 0))
    cut = torch.nn.functional.pad(batch.target[0], (0, 0, 0, 32, 0, 32))[
        top : top + 96, left : left + 96
    ]
    assert torch.equal(crops.target[0].permute(1, 2, 0)[inside], cut[inside])
    gray = continued(torch.full((1, 1, 33, 17), 0.3), torch.rand(1, 1, 33, 17) > 0.9)
    torch.testing.assert_close(gray, torch.full_like(gray, 0.3))


def test_flip_is_that_of_its_authors_package_over_the_overlap(backbone):
    from flip_evaluator import evaluate

    batch = pair(side=40)
    whole = PairBatch(batch.target, batch.warped, torch.ones_like(batch.overlap))
    [metric] = metrics(backbone, "flip")
    images = [image[0].numpy() for image in (batch.target, batch.warped)]
    _, mean, _ = evaluate(*images, "LDR", applyMagma=False)
    assert float(metric(whole)) == pytest.approx(mean, abs=1e-4)
    assert flip_map(images[0], images[0]).max() == 0


def test_gmsd_ignores_a_shift_of_all_colors_and_sees_displaced_edges(backbone):
    batch = pair(noise=0)
    [metric] = metrics(backbone, "gmsd")
    brighter = PairBatch(batch.target, batch.target + 0.1, batch.overlap)
    moved = PairBatch(batch.target, batch.target.roll(3, dims=2), batch.overlap)
    assert float(metric(brighter)) < 1e-4
    assert float(metric(moved)) > 0.02


def test_gradient_similarity_follows_the_published_equations():
    # Images that are constant in 2 x 2 blocks: halving them restores the small ones.
    draw = np.random.default_rng(0)
    small = draw.random((2, 8, 9))
    first, second = (np.kron(s, np.ones((2, 2)))[..., None].repeat(3, -1) for s in small)
    similarity, counts = gradient_similarity(
        *(torch.from_numpy(i)[None] for i in (first, second)),
        torch.ones(1, 16, 18, dtype=torch.bool),
    )
    magnitudes = []
    for s in small * (0.2989 + 0.5870 + 0.1140):
        columns = (s[:-2] + s[1:-1] + s[2:]) / 3
        rows = (s[:, :-2] + s[:, 1:-1] + s[:, 2:]) / 3
        magnitudes.append(np.hypot(columns[:, 2:] - columns[:, :-2], rows[2:] - rows[:-2]))
    one, other = magnitudes
    c = 170 / 255**2
    np.testing.assert_allclose(similarity[0], (2 * one * other + c) / (one**2 + other**2 + c))
    assert counts.all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_measures_what_the_cpu_measures(backbone):
    cameras = cameras_around([-10, 0, 12], [(72, 96), (72, 96), (96, 72)])
    names = [*CORRECTED, "ssim", "gmsd", "lpips_corrected", "rmse", "ciede2000"]
    settings = {"names": names, "lpips_net": "squeeze", "lpips_weights": backbone}
    cpu, gpu = (
        score(*photograph(cameras), cameras, settings=settings, device=device)
        for device in ("cpu", "cuda")
    )
    columns = ["overlap", "coverage", *names]
    np.testing.assert_allclose(gpu[columns], cpu[columns], rtol=1e-3, atol=1e-4)
