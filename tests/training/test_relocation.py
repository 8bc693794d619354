"""Truths about the strategy `mcmc`: splats that share a place look as before, and numbers hold."""

import math

import numpy as np
import pytest
import torch
from ball import make_ball, settings
from headstyle.base.errors import InputError
from headstyle.rendering.renderer import render
from headstyle.rendering.splats import splats_from_points
from headstyle.training.relocation import (
    RelocatingStrategy,
    disturb_means,
    rotations,
    shared_opacity_and_scale,
)
from headstyle.training.trainer import SplatTrainer
from scipy.spatial.transform import Rotation
from splat_reference import make_scene


def blended(opacity, copies):
    """Alpha of equal splats behind each other, from their center outward [deviations]."""
    x = torch.linspace(0, 40, 40001, dtype=torch.float64)
    return x, 1 - (1 - opacity * torch.exp(-0.5 * x**2)) ** copies


@pytest.mark.parametrize(("opacity", "copies"), [(0.9, 2), (0.5, 3), (0.99, 7), (0.3, 50)])
def test_copies_cover_a_center_and_all_in_all_as_much_as_the_one_before(opacity, copies):
    after, factor = shared_opacity_and_scale(torch.tensor([opacity]), torch.tensor([copies]))
    x, alpha = blended(float(after), copies)
    assert float(alpha[0]) == pytest.approx(opacity, abs=1e-6)
    total = float(factor) * float(torch.trapezoid(alpha, x))
    assert total == pytest.approx(opacity * math.sqrt(math.pi / 2), rel=1e-4)


def test_one_splat_alone_stays_as_it_is():
    after, factor = shared_opacity_and_scale(torch.tensor([0.2, 0.7]), torch.tensor([1, 1]))
    torch.testing.assert_close(after, torch.tensor([0.2, 0.7]))
    torch.testing.assert_close(factor, torch.ones(2))


def test_rotations_are_those_of_scipy():
    quats = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = Rotation.from_quat(quats.numpy(), scalar_first=True).as_matrix()
    np.testing.assert_allclose(rotations(quats), expected, atol=1e-12)


def test_transparent_splats_are_disturbed_along_their_extent_and_opaque_ones_rest():
    splats = splats_from_points(
        np.random.default_rng(0).normal(size=(4000, 3)), np.zeros((4000, 3)), 0, 0
    )
    with torch.no_grad():
        splats["scales"][:] = torch.log(torch.tensor([0.3, 0.1, 0.01]))
        splats["quats"][:] = torch.tensor([1.0, 0, 0, 0])
        splats["opacities"][:2000] = -12
        splats["opacities"][2000:] = 2
    before = splats["means"].detach().clone()
    torch.manual_seed(0)
    disturb_means(splats, 1.0)
    moved = splats["means"].detach() - before
    assert float(moved[2000:].abs().max()) < 1e-6
    # The noise is multiplied by the covariance; transparent splats get sigmoid(0.5) of it.
    expected = torch.tensor([0.09, 0.01, 0.0001]) / (1 + math.exp(-0.5))
    torch.testing.assert_close(moved[:2000].std(dim=0), expected, rtol=0.1, atol=0)


def test_the_strategy_fills_up_to_the_limit_and_moves_the_transparent():
    cameras, targets, points, colors = make_ball()
    chosen = settings(strategy="mcmc", max_splats=180, refine={"start": 1, "every": 5, "stop": 60})
    trainer = SplatTrainer(splats_from_points(points, colors, 1, 0), cameras, targets, chosen, 0)
    with torch.no_grad():
        trainer.splats["opacities"][:40] = -9
    for _ in range(30):
        trainer.step([0, 1, 2, 3])
    assert isinstance(trainer.strategy, RelocatingStrategy)
    assert len(trainer.splats["means"]) == 180
    assert float(torch.sigmoid(trainer.splats["opacities"].detach()).min()) > 0.004
    (state,) = trainer.optimizers["sh0"].state.values()
    assert state["exp_avg"].shape == (180, 1, 3)


def test_adding_splats_leaves_the_picture_nearly_as_it_was():
    scene = torch.nn.ParameterDict(make_scene(60, 1, seed=3))
    strategy = RelocatingStrategy(cap_max=63)
    pose = torch.eye(4)[None]
    pose[:, 2, 3] = 4
    intrinsics = torch.tensor([[[40.0, 0, 20], [0, 40, 20], [0, 0, 1]]])
    before = render(scene, pose, intrinsics, 40, 40).colors
    torch.manual_seed(0)
    optimizers = {name: torch.optim.Adam([value]) for name, value in scene.items()}
    for name, optimizer in optimizers.items():
        optimizer.state[scene[name]] = {"exp_avg": torch.ones_like(scene[name])}
    assert strategy._add_new_gs(scene, optimizers) == 3
    after = render(scene, pose, intrinsics, 40, 40).colors
    assert float((after - before).detach().abs().mean()) < 0.01


def test_mcmc_needs_a_limit():
    with pytest.raises(InputError, match="max_splats"):
        settings(strategy="mcmc", max_splats=None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_shared_opacities_and_scales_are_those_of_gsplat():
    from gsplat.relocation import compute_relocation
    from gsplat.strategy import MCMCStrategy

    opacities = torch.linspace(0.01, 0.99, 60).cuda()
    copies = torch.arange(60).cuda() % 12 + 1
    scales = torch.rand(60, 3).cuda()
    binomials = MCMCStrategy().initialize_state()["binoms"].cuda()
    theirs = compute_relocation(opacities, scales, copies.clone(), binomials)
    after, factor = shared_opacity_and_scale(opacities, copies)
    torch.testing.assert_close(after, theirs[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(scales * factor[:, None], theirs[1], atol=1e-5, rtol=3e-3)
