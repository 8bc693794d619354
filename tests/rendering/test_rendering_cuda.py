"""Truths about the steps of rendering on CUDA, with stand-ins for gsplat's functions on the CPU."""

import inspect
from contextlib import nullcontext
from types import SimpleNamespace

import gsplat
import gsplat_stand_in
import pytest
import torch
from ball import VIEWS, make_ball, settings
from gradients import BACKGROUND, assert_equal_gradients, gradients, weighted_loss
from gsplat_stand_in import NAMES, use_stand_in
from headstyle.losses import photometric as losses
from headstyle.rendering.cuda import rasterize as rendering_cuda
from headstyle.rendering.cuda.rasterize import LARGE_TILE, MANY_TILES, SMALL_TILE, tile_width
from headstyle.rendering.renderer import render
from headstyle.rendering.splats import splats_from_points
from headstyle.training import densification, exposure
from headstyle.training.trainer import SplatTrainer
from headstyle.training.trainers import make_trainer
from splat_reference import make_cameras, make_scene
from torch._subclasses.fake_tensor import FakeTensorMode
from waits import Waits

WIDTH, HEIGHT = 37, 50


@pytest.mark.parametrize("name", NAMES)
def test_the_stand_ins_take_what_gsplat_takes(name):
    theirs = inspect.signature(getattr(gsplat, name)).parameters
    ours = inspect.signature(getattr(gsplat_stand_in, name)).parameters
    assert list(ours) == list(theirs)
    defaults = {key: value.default for key, value in theirs.items()}
    assert {key: value.default for key, value in ours.items()} == defaults


@pytest.mark.parametrize("degree", [0, 2])
def test_the_steps_for_cuda_give_what_the_cpu_gives(degree, monkeypatch):
    splats = make_scene(60, 3, seed=degree)
    poses, intrinsics = make_cameras(2, WIDTH, HEIGHT)
    camera = (poses, intrinsics, WIDTH, HEIGHT)
    options = {"background": BACKGROUND, "absolute_gradients": True, "sh_degree": degree}
    results = []
    for replaced in (False, True):
        if replaced:
            use_stand_in(monkeypatch)
        drawn = render(splats, *camera, with_depth=True, **options)
        loss = weighted_loss(drawn.colors, drawn.alphas)
        drawn.info["means2d"].retain_grad()
        results.append((drawn, gradients(splats, loss)))
    (ours, of_ours), (drawn, of_drawn) = results
    torch.testing.assert_close(drawn.colors, ours.colors, atol=1e-5, rtol=0)
    torch.testing.assert_close(drawn.alphas, ours.alphas, atol=1e-5, rtol=0)
    torch.testing.assert_close(drawn.expected_depth, ours.expected_depth, atol=1e-3, rtol=0)
    far = (drawn.median_depth - ours.median_depth).abs() > 1e-4
    assert float(far.float().mean()) < 1e-3
    assert_equal_gradients(of_drawn, of_ours)
    absolute = ours.info["means2d"].absgrad, drawn.info["means2d"].absgrad
    torch.testing.assert_close(absolute[1], absolute[0], atol=1e-3 * absolute[0].max(), rtol=0)


def test_few_tiles_are_small_and_many_are_large():
    # An avatar's batch of nine views still has few; all views of a subject at once have many.
    assert tile_width(341, 512, 1) == SMALL_TILE
    assert tile_width(512, 765, 1) == SMALL_TILE
    assert tile_width(512, 765, 9) == SMALL_TILE
    assert tile_width(512, 765, 37) == LARGE_TILE
    assert tile_width(16, 16, MANY_TILES - 1) == SMALL_TILE
    assert tile_width(16, 16, MANY_TILES) == LARGE_TILE


@pytest.mark.parametrize("tile", [SMALL_TILE, LARGE_TILE])
def test_the_width_of_the_tiles_changes_no_image(tile, monkeypatch):
    splats = make_scene(60, 3, seed=3)
    poses, intrinsics = make_cameras(2, WIDTH, HEIGHT)
    expected = render(splats, poses, intrinsics, WIDTH, HEIGHT, with_depth=True)
    use_stand_in(monkeypatch)
    monkeypatch.setattr(rendering_cuda, "tile_width", lambda *_: tile)
    found = render(splats, poses, intrinsics, WIDTH, HEIGHT, with_depth=True)
    torch.testing.assert_close(found.colors, expected.colors, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.alphas, expected.alphas, atol=1e-5, rtol=0)
    far = (found.median_depth - expected.median_depth).abs() > 1e-4
    assert float(far.float().mean()) < 1e-3


EVENTFUL = {"start": 5, "every": 10, "stop": 40, "densify_gradient": 1e-5}


@pytest.mark.parametrize(
    "changes",
    [
        {"refine": EVENTFUL, "max_splats": 250, "exposure_rate": 0.01, "dropout": 0.1},
        {"refine": EVENTFUL, "max_splats": 250, "strategy": "mcmc"},
    ],
    ids=["default", "mcmc"],
)
def test_a_training_goes_the_same_way_by_the_steps_for_cuda(changes, monkeypatch):
    cameras, targets, points, colors = make_ball()
    results = []
    for replaced in (False, True):
        if replaced:
            use_stand_in(monkeypatch)
        splats = splats_from_points(points, colors, 1, 0)
        trainer = SplatTrainer(splats, cameras, targets, settings(**changes), 0)
        for _ in range(25):
            loss = trainer.step(range(VIEWS))
        row = trainer.record(loss, range(VIEWS))
        results.append((row.psnr, row.splats))
    assert results[0][1] > 150
    assert results[1] == pytest.approx(results[0], abs=0.5, rel=0.03)


REGULARIZED = {
    "exposure_rate": 0.01,
    "dropout": 0.1,
    "size_regularization": 0.1,
    "opacity_regularization": 0.1,
    "sh_regularization": 0.1,
    "sh_degree_every": 0,
    "max_splats": 250,
}


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_the_host_waits_for_nothing_but_the_number_of_tiles(strategy, monkeypatch):
    use_stand_in(monkeypatch)
    # On a GPU, unlike here, the loss is looked at now and then only.
    monkeypatch.setattr(SplatTrainer, "_check", lambda *_: None)
    cameras, targets, points, colors = make_ball()
    chosen = settings(**REGULARIZED, strategy=strategy)
    trainer = SplatTrainer(splats_from_points(points, colors, 1, 0), cameras, targets, chosen, 0)
    trainer.step(range(VIEWS))
    with Waits() as waits:
        for _ in range(2):
            trainer.step(range(VIEWS))
    assert waits.found == []
    with Waits() as waits:
        assert trainer.broken_tensor() is None
        float(trainer.splats["means"].detach()[trainer.splats["opacities"] > 0].sum())
    assert {"_local_scalar_dense", "index"} <= set(waits.found)


class NoKernel:
    """In place of a Triton kernel: looks at what it is given."""

    def __init__(self, kernel):
        self.names = list(inspect.signature(kernel.fn).parameters)

    def __getitem__(self, grid):
        assert all(isinstance(size, int) and 0 < size < 2**31 for size in grid)
        return self.run

    def run(self, *arguments, num_warps=4, **keywords):
        given = dict(zip(self.names, arguments, strict=False)) | keywords
        assert list(given) == self.names
        for value in given.values():
            if isinstance(value, torch.Tensor):
                assert value.is_cuda
                assert value.is_contiguous()


def only_shapes(monkeypatch):
    """Let gsplat's functions and Triton's kernels leave tensors as they would, without values."""

    def projection(means, covars, quats, scales, viewmats, Ks, *rest, opacities):
        shape = (len(viewmats), len(means))
        radii = means.new_empty((*shape, 2), dtype=torch.int32)
        total = means.sum() + quats.sum() + scales.sum() + viewmats.sum() + Ks.sum()
        fill = total + opacities.detach().sum()
        return (
            radii,
            fill.expand(*shape, 2).contiguous(),
            fill.expand(shape),
            fill.expand(*shape, 3),
            None,
        )

    def tiles(means2d, radii, depths, *rest):
        counts = radii[..., 0]
        ids = means2d.new_empty(500, dtype=torch.int64)
        return counts, ids, ids.to(torch.int32)

    def pixels(means2d, conics, colors, opacities, width, height, tile, offsets, ids, **options):
        views, channels = len(means2d), colors.shape[-1]
        fill = means2d.sum() + conics.sum() + colors.sum() + opacities.sum() + offsets.sum()
        fill = fill + ids.sum() + options["backgrounds"].sum()
        means2d.absgrad = torch.empty_like(means2d)
        images = fill.expand(views, height, width, channels).contiguous()
        return images, images[..., :1].contiguous()

    found = {
        "fully_fused_projection": projection,
        "isect_tiles": tiles,
        "isect_offset_encode": lambda ids, views, across, down: ids.new_empty(
            (views, down, across), dtype=torch.int32
        ),
        "rasterize_to_pixels": pixels,
        "spherical_harmonics": lambda degree, directions, harmonics, masks: (
            directions * harmonics.sum(dim=-2) * masks[..., None]
        ),
    }
    for name, function in found.items():
        monkeypatch.setattr(rendering_cuda, name, function)


@pytest.mark.parametrize("triton", [False, True], ids=["operators", "triton"])
@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_an_iteration_mixes_no_devices(strategy, triton, monkeypatch):
    if triton:
        if not losses.has_triton():
            pytest.skip("needs Triton")
        from headstyle.losses import photometric_triton as triton_loss
        from headstyle.losses import triton_steps
        from headstyle.rendering.cuda import colors as triton_colors

        names = ("colors_forward", "moments_across", "loss_down")
        names += ("composite", "expose", "note_gradients")
        for module in (triton_colors, triton_loss, triton_steps):
            for name in names:
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, NoKernel(getattr(module, name)))
    for module in (losses, rendering_cuda, densification, exposure):
        monkeypatch.setattr(module, "has_triton", lambda: triton)
    convolve = torch.nn.functional.conv2d
    monkeypatch.setattr(torch.nn.functional, "conv2d", without_tf32(convolve))
    only_shapes(monkeypatch)
    # What a machine without a GPU cannot do: generators on it, and the backward pass.
    monkeypatch.setattr(
        torch, "Generator", lambda device: SimpleNamespace(manual_seed=lambda seed: None)
    )
    monkeypatch.setattr("headstyle.training.densification.seeded", nullcontext_of)
    monkeypatch.setattr("headstyle.training.relocation.seeded", nullcontext_of)
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: fill_gradients(trainer, loss))
    cameras, targets, points, colors = make_ball()
    splats = splats_from_points(points, colors, 1, 0)
    chosen = settings(**REGULARIZED, strategy=strategy)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            trainer = make_trainer(splats, cameras, targets, chosen, 0, "cuda")
            # Not the first one, at which the host looks at the loss.
            trainer.iteration = 10
            for views in ([0], range(VIEWS)):
                assert trainer.step(views).is_cuda
            assert all(value.is_cuda for value in trainer.splats.values())
            assert trainer._psnr(1).is_cuda
    finally:
        losses.window_weights.cache_clear()
        losses._window.cache_clear()
    assert trainer.iteration == 12


def without_tf32(convolve):
    def checked(images, *arguments, **keywords):
        assert images.is_contiguous()
        return convolve(images, *arguments, **keywords)

    return checked


def fill_gradients(trainer, loss):
    assert loss.is_cuda
    assert loss.shape == ()
    for value in [*trainer.splats.values(), trainer.exposures.logarithms]:
        value.grad = torch.empty_like(value)


def nullcontext_of(device, seed):
    assert device.type == "cuda"
    return nullcontext()
