"""Truths about where on a head its views disagree."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from headstyle.calibration.ladders import climbed
from headstyle.calibration.scenes import RigSettings, procedural_views
from headstyle.consistency.head_map import EXCESS, KINDS, NAME, HeadMap, head_map
from headstyle.consistency.pair_batches import make_scene
from headstyle.consistency.scoring import SETTINGS
from headstyle.consistency.splat_weights import rendered_values, splat_sums
from headstyle.rendering.splats import read_ply, splats_from_points, write_ply
from plyfile import PlyData

CPU = torch.device("cpu")
PAIRS = [(0, 1), (1, 0), (1, 2), (2, 1)]
MOVED_PX = 6.0


@pytest.fixture(scope="module")
def head():
    """Photographs of a head with a true edit, opaque splats on it, and its mouth's region."""
    views = procedural_views(21, "red_hair_blue_shirt", RigSettings(128, 1, 3, 6.0, 1))
    points = views.mesh.vertices
    splats = splats_from_points(points, np.full((len(points), 3), 0.5), 0, 0)
    with torch.no_grad():
        splats["opacities"][:] = 4
    # As far as `misplaced_features` moves anything, and the length of the move.
    radius = (0.18 * views.head_size_px + MOVED_PX) / views.pixels_per_unit
    mouth = np.linalg.norm(points - views.features[0], axis=1) < radius
    return views, splats, mouth


def mapped(head, views) -> HeadMap:
    scene = make_scene(
        *(views.edited, views.depths, views.cameras, 0.5, CPU), unedited=views.unedited
    )
    return head_map(scene, head[1], PAIRS, SETTINGS)


@pytest.fixture(scope="module")
def agreeing(head):
    return mapped(head, head[0])


@pytest.fixture(scope="module")
def misplaced(head):
    mouth = replace(head[0], features=head[0].features[:1])
    rng = np.random.default_rng(0)
    return mapped(head, climbed(mouth, "misplaced_features", MOVED_PX, rng))


def share(found: HeadMap, name: str, part) -> float:
    """The fraction of a property's mass that lies in a part of the head."""
    mass = found.weights * found.properties[name]
    return float(mass[part].sum() / mass.sum())


@pytest.mark.parametrize("name", [EXCESS, f"{NAME}_place"])
def test_a_misplaced_mouth_lights_up_in_the_mouths_region(head, misplaced, name):
    mouth = head[2]
    assert misplaced.weights[mouth].sum() < 0.2 * misplaced.weights.sum()
    assert share(misplaced, name, mouth) > 0.8


def test_nowhere_lights_up_if_the_views_agree(head, agreeing, misplaced):
    # Resampling alone makes edges differ by a little. 1 is just noticeable.
    lit = agreeing.weights[agreeing.properties[EXCESS] > 1].sum()
    assert lit < 0.05 * agreeing.weights.sum()
    for name in (EXCESS, f"{NAME}_place"):
        sums = [(found.weights * found.properties[name]).sum() for found in (agreeing, misplaced)]
        assert sums[0] < 0.2 * sums[1]


def test_the_unedited_views_disagree_nowhere(head):
    views = head[0]
    found = mapped(head, views.with_images(list(views.unedited)))
    for name in (EXCESS, *(f"{NAME}_{kind}" for kind in KINDS)):
        assert found.properties[name].max() < 1e-5
    assert found.properties[NAME].max() > 1


def test_the_plain_difference_rises_in_the_mouth_alone(head, agreeing, misplaced):
    mouth = head[2]
    rise = misplaced.weights * (misplaced.properties[NAME] - agreeing.properties[NAME])
    assert rise[mouth].sum() > 0.95 * np.abs(rise).sum()


def test_the_mean_over_the_splats_is_that_of_the_pixels(head, misplaced):
    # Every pixel of the head is made by opaque splats, so it counts with a weight of about one.
    scene_mean = np.nanmean(np.concatenate([view.ravel() for view in misplaced.views]))
    assert misplaced.summary()["mean"] == pytest.approx(scene_mean, rel=0.1)


def test_weights_are_those_of_the_renderer(head):
    views, splats, _ = head
    count = len(splats["means"])
    values = np.random.default_rng(0).random(count, dtype=np.float32)
    ones = [torch.ones((*depth.shape, 1)) for depth in views.depths]
    weights = splat_sums(splats, views.cameras, ones)[:, 0]
    shown = rendered_values(splats, views.cameras, values)
    # Beside the head nothing shows, and on it alpha is nearly 1.
    total = sum(np.nansum(view) for view in shown)
    assert (weights * values).sum() == pytest.approx(total, rel=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same_weights(head):
    views, splats, _ = head
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand((*depth.shape, 4), generator=generator) for depth in views.depths]
    here = splat_sums(splats, views.cameras, maps)
    there = splat_sums(splats.to("cuda"), views.cameras, [each.cuda() for each in maps])
    splats.to("cpu")
    np.testing.assert_allclose(there, here, atol=1e-3 * here.max())


def test_the_summary_counts_by_weight():
    values = np.array([4.0, 1.0, 0.0, 9.0], np.float32)
    found = HeadMap({NAME: values}, np.array([1.0, 8.0, 1.0, 0.0]), ()).summary()
    assert found["mean"] == pytest.approx(1.2)
    assert (found["median"], found["p95"], found["compared"]) == (1, 4, 0.75)
    assert found["share"] == pytest.approx(4 / 12)
    assert found["scale"] == 4
    empty = HeadMap({NAME: values}, np.zeros(4), ()).summary()
    assert (empty["mean"], empty["median"], empty["share"]) == (0, 0, 0)


def test_readers_that_do_not_know_the_property_read_the_same_splats(head, tmp_path):
    _, splats, _ = head
    values = np.arange(len(splats["means"]), dtype=np.float32)
    write_ply(tmp_path / "plain.ply", splats)
    write_ply(tmp_path / "more.ply", splats, {NAME: values})
    plain, more = (read_ply(tmp_path / f"{name}.ply") for name in ("plain", "more"))
    assert all(torch.equal(plain[name], more[name]) for name in plain)
    np.testing.assert_array_equal(PlyData.read(tmp_path / "more.ply")["vertex"][NAME], values)
