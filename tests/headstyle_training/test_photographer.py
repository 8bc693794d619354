"""Photographs for training: surfels, studio, and what the capture's own renderer shows of them."""

from collections import Counter

import numpy as np
import pytest
import torch
from headstyle.base.cameras import Cameras
from headstyle.base.images import to_srgb
from headstyle.capture.head import light_surface, sculpt_head
from headstyle.capture.operators import OPERATORS, STUDY_OPERATORS, Edit, edit_surface
from headstyle.capture.photograph import photograph_views
from headstyle.capture.primitives.shapes import mesh_of, sphere, vertex_normals
from headstyle.capture.rig import TARGET_M, CaptureSettings, study_rig
from headstyle.capture.surface import Part
from headstyle_training.heads.photographer import (
    _rotations,
    linear_to_srgb,
    photograph,
    srgb_to_linear,
    unpacked,
)
from headstyle_training.heads.studio import (
    STUDIO_SHARE,
    CameraBatch,
    draw_cameras,
    draw_lights,
    draw_tints,
    no_tints,
    studio_light,
)
from headstyle_training.heads.surfels import (
    COLOR_GROUPS,
    PAINT,
    POSITION_STEP_M,
    STUDY_EDITS,
    Surfels,
    draw_edits,
    free_groups,
    pack_geometry,
    pack_paint,
    sky_openness,
    vertex_spacing,
)
from scipy.spatial.transform import Rotation

SEED, COARSENESS = 101, 2.0
SIZE = (128, 85)
RIG = study_rig(CaptureSettings(SIZE[0], 1, 3, 0, 22, 22.3, 1, 95)).cameras


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def surface():
    return sculpt_head(SEED, COARSENESS)


def packed(surface):
    return Surfels(pack_geometry(surface), pack_paint(surface))


@pytest.fixture(scope="module")
def surfels(surface):
    return packed(surface)


def surfel_batch(surfels, device="cpu"):
    """A batch of one head."""
    count = len(surfels.paint)
    geometry = torch.from_numpy(surfels.geometry.view(np.int32).reshape(1, count, 3))
    paint = torch.from_numpy(surfels.paint.view(np.int32).reshape(1, count))
    present = torch.ones(1, count, dtype=torch.bool, device=device)
    return unpacked(geometry.to(device), paint.to(device), present)


def as_batch(cameras: Cameras) -> CameraBatch:
    return CameraBatch(
        torch.from_numpy(cameras.world_to_camera).float(),
        torch.from_numpy(cameras.intrinsics).float(),
    )


def by_surfels(surface, view, light=None, device="cpu"):
    """RGBA `(H, W, 4)` of one of the rig's views."""
    camera = as_batch(RIG.select([RIG.names[view]])).to(device)
    light = (light or studio_light(1)).to(device)
    batch = surfel_batch(packed(surface), device)
    pictures = photograph(batch, camera, light, no_tints(1).to(device), *SIZE)
    return pictures.rgba[0].permute(1, 2, 0).cpu().numpy()


def by_embree(surface, view):
    [(image, _)] = photograph_views(light_surface(surface), RIG.select([RIG.names[view]]), 3)
    return image


@pytest.mark.parametrize(("view", "operator"), [(0, None), (2, "stone"), (1, "rabbit")])
def test_both_renderers_agree_on_what_a_head_looks_like(surface, view, operator):
    if operator:
        surface = edit_surface(surface, Edit(operator))
    ours, theirs = by_surfels(surface, view), by_embree(surface, view)
    ours_inside, theirs_inside = ours[..., 3] > 0.5, theirs[..., 3] > 0.5
    union = (ours_inside | theirs_inside).sum()
    # Discs reach half their width, less than half a pixel, beyond the outline.
    assert (ours_inside & theirs_inside).sum() / union > 0.965
    assert (theirs_inside & ~ours_inside).sum() / union < 0.002
    both = ours_inside & theirs_inside
    difference = np.abs(ours - theirs)[both][:, :3]
    assert difference.mean() < 0.045
    # No patch has another color, whatever happens at single pixels.
    assert abs((ours - theirs)[both][:, :3].mean(axis=0)).max() < 0.03


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("view", [0, 1, 2])
def test_the_gpu_draws_what_the_cpu_draws(surface, view):
    slow, fast = by_surfels(surface, view), by_surfels(surface, view, device="cuda")
    assert np.abs(slow - fast).mean() < 0.01
    inside = [image[..., 3] > 0.5 for image in (slow, fast)]
    assert (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum() > 0.99


def test_nothing_is_seen_of_the_background(surface):
    image = by_surfels(surface, 1)
    assert image.min() >= 0
    assert image.max() <= 1
    assert not image[image[..., 3] == 0].any()
    assert (image[:5, :5, 3] == 0).all()


def test_more_light_is_brighter_and_a_gamma_above_1_darker(surface):
    means = []
    for exposure, gamma in ((1.0, 1.0), (1.4, 1.0), (1.0, 1.3)):
        light = studio_light(1)
        light.exposure[:] *= exposure
        light.gamma[:] *= gamma
        image = by_surfels(surface, 1, light)
        means.append(image[image[..., 3] > 0.5][:, :3].mean())
    assert means[2] < means[0] - 0.03 < means[0] + 0.03 < means[1]


def test_packing_keeps_places_normals_and_colors(surface, surfels):
    batch = surfel_batch(surfels)
    positions = batch.positions[0].numpy()
    assert np.abs(positions - surface.vertices).max() <= 0.51 * POSITION_STEP_M
    normals = vertex_normals(surface.vertices.astype(np.float32), surface.faces)
    shown = batch.present[0].numpy()
    assert ((batch.normals[0].numpy() * normals).sum(axis=1)[shown] > 0.999).all()
    srgb = linear_to_srgb(batch.albedo[0]).numpy()
    assert np.abs(srgb - to_srgb(surface.albedo)).max() < 0.51 / 255 + 1e-4
    assert np.array_equal(batch.parts[0].numpy(), surface.parts)


def test_an_edit_that_hides_a_disc_takes_it_away(surface):
    bald = edit_surface(surface, Edit("rabbit"))
    unused = np.setdiff1d(np.arange(len(bald.vertices)), bald.faces)
    present = surfel_batch(packed(bald)).present[0].numpy()
    assert not present[unused].any()


def test_the_transfer_function_and_its_inverse_cancel():
    values = torch.linspace(0, 1, 101)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-4, rtol=0)


def test_discs_lie_in_the_surface():
    normals = torch.nn.functional.normalize(torch.randn(50, 3), dim=-1)
    turned = Rotation.from_quat(_rotations(normals).numpy(), scalar_first=True).apply([0, 0, 1])
    np.testing.assert_allclose(turned, normals, atol=1e-5)


@pytest.fixture(scope="module")
def ball():
    """A sphere of 50 mm, its triangles about 4 mm wide [m]."""
    bounds = (-60, -60, -60), (60, 60, 60)
    vertices, faces = mesh_of(lambda p: sphere(p, (0, 0, 0), 50), *bounds, 4.0)
    return vertices.astype(np.float64) / 1000, faces


def test_spacing_is_the_length_of_the_edges(ball):
    spacing = vertex_spacing(*ball)
    edges = np.linalg.norm(ball[0][ball[1]] - ball[0][np.roll(ball[1], -1, axis=1)], axis=2)
    assert spacing.mean() == pytest.approx(np.sqrt((edges**2).mean()), rel=0.1)


def test_a_ball_sees_its_whole_sky_and_a_shell_inside_none(ball):
    vertices, faces = ball
    normals = vertex_normals(vertices.astype(np.float32), faces)
    assert sky_openness(vertices, faces, normals).min() > 0.98
    assert sky_openness(vertices, faces, -normals).max() < 0.02


def test_all_edits_come_equally_often():
    edits = [edit for seed in range(1000, 1080) for edit in draw_edits(seed)]
    study = Counter(e.operator for e in edits if e.operator in STUDY_OPERATORS.values())
    assert set(study.values()) == {80 * STUDY_EDITS // 8}
    everyday = Counter(e.operator for e in edits if e.operator not in study)
    assert set(everyday.values()) == {80 // (len(OPERATORS) - 8)}
    full = np.mean([edit.strength == 1 for edit in edits])
    assert 0.6 < full < 0.8
    assert all((e.color is not None) == OPERATORS[e.operator].takes_color for e in edits)


def test_groups_that_an_edit_paints_are_not_free():
    before = np.zeros(3, dtype=PAINT)
    before["part"] = [Part.SKIN, Part.HAIR, Part.SHIRT]
    after = before.copy()
    after["srgb"][1] = 9
    assert free_groups(before, after) == (True, False, True)
    after["part"][2] = Part.EXTRA
    assert free_groups(before, after) == (True, False, False)


def test_drawn_cameras_see_the_head_in_the_middle():
    cameras = draw_cameras(500, 256, 176, rng())
    rotations = cameras.world_to_camera[:, :3, :3]
    identity = torch.eye(3).expand(500, 3, 3)
    torch.testing.assert_close(rotations @ rotations.mT, identity, atol=1e-5, rtol=0)
    target = torch.tensor([*TARGET_M, 1.0])
    seen = (cameras.intrinsics @ (cameras.world_to_camera @ target)[:, :3, None])[..., 0]
    places = seen[:, :2] / seen[:, 2:]
    assert ((places[:, 0] / 176 - 0.5).abs() < 0.35).all()
    assert ((places[:, 1] / 256 - 0.5).abs() < 0.3).all()
    # From the front half of the head, at least half of them with a frame below 0.6 m.
    centers = -(rotations.mT @ cameras.world_to_camera[:, :3, 3:])[..., 0]
    assert (centers[:, 2] > 0).all()
    heights = 256 * seen[:, 2] / cameras.intrinsics[:, 1, 1]
    assert heights.median() < 0.6
    assert 0.3 < heights.min() < heights.max() < 0.75


def test_drawn_lights_vary_around_the_studios():
    lights, studio = draw_lights(1000, rng()), studio_light(1000)
    for direction in (lights.key_direction, lights.fill_direction):
        torch.testing.assert_close(direction.norm(dim=1), torch.ones(1000), atol=1e-4, rtol=0)
    same = (lights.key_direction == studio.key_direction).all(dim=1)
    assert same.float().mean() == pytest.approx(STUDIO_SHARE, abs=0.05)
    assert (lights.exposure > 0).all()
    assert (lights.gloss >= 0).all()
    assert lights.key_direction[~same].std(dim=0).min() > 0.1


def test_only_free_groups_are_tinted_and_gray_stays_gray_when_hues_turn():
    free = np.zeros((400, len(COLOR_GROUPS)), dtype=bool)
    free[:, 2] = True
    matrices = draw_tints(free, rng()).matrices
    unchanged = torch.eye(3).expand(400, 2, 3, 3)
    assert torch.equal(matrices[:, :2], unchanged)
    assert torch.equal(matrices[:, -1], unchanged[:, 0])
    tinted = (matrices[:, 2] != torch.eye(3)).flatten(1).any(dim=1)
    assert 0.4 < tinted.float().mean() < 0.6
    # A turn moves gray only by the gains of the channels, which are near each other.
    gray = matrices[tinted, 2].sum(dim=2)
    assert (gray.std(dim=1) / gray.mean(dim=1)).max() < 0.6
