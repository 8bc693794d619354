"""Truths about the kernels for CUDA, run by Triton's interpreter, so without a GPU."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from headstyle.base.cameras import Cameras
from headstyle.base.devices import has_triton
from headstyle.losses import photometric as losses
from headstyle.losses.photometric import on_background, photometric_loss
from headstyle.rendering.renderer import render
from headstyle.training.densification import add_gradients
from headstyle.training.exposure import Exposures
from splat_reference import make_cameras, make_scene, reference_colors

if has_triton():
    import triton

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "workflow_scripts", ROOT / "tests" / "support", Path(__file__).parent)

pytestmark = pytest.mark.skipif(not has_triton(), reason="needs Triton")


def in_interpreter(function):
    """Run a function of this file in a process where Triton interprets its kernels."""
    done = subprocess.run(
        [sys.executable, "-c", f"import headstyle, test_triton; test_triton.{function}()"],
        env={
            **os.environ,
            "TRITON_INTERPRET": "1",
            "PYTHONPATH": os.pathsep.join(map(str, FOLDERS)),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def images(shape):
    generator = torch.Generator().manual_seed(0)
    rendered, target = (torch.rand(shape, generator=generator) for _ in range(2))
    # Where the images are equal, L1 has no slope.
    target[:, :5] = rendered[:, :5]
    return rendered.requires_grad_(), target


def check_loss(device="cpu"):
    from headstyle.losses.photometric_triton import PhotometricLoss

    # Images of less and more than one block of pixels, and blocks across two images.
    for shape in ((2, 19, 23, 3), (1, 20, 61, 3)):
        rendered, target = images(shape)
        for weight in (0.0, 0.2, 1.0):
            expected = photometric_loss(rendered, target, weight)
            on_device = rendered.detach().to(device).requires_grad_()
            found = PhotometricLoss.apply(on_device, target.to(device), weight)
            torch.testing.assert_close(found.cpu(), expected, atol=1e-6, rtol=1e-5)
            (of_expected,) = torch.autograd.grad(3 * expected, rendered)
            (of_found,) = torch.autograd.grad(3 * found, on_device)
            torch.testing.assert_close(of_found.cpu(), of_expected, atol=1e-8, rtol=1e-4)


def check_placed(device="cpu"):
    from headstyle.rendering.cuda.bound import PlacedSplats
    from headstyle.rigged.binding import _directions, _in_a_row, to_world
    from headstyle.rigged.scene import frames_of
    from moving_ball import colored_scene, moving_meshes

    meshes = moving_meshes(3)
    frames, timestep = frames_of(meshes), torch.tensor([2])
    at = (frames.centers, frames.rotations, frames.quats, frames.scales)
    names = ("means", "quats", "scales", "shN")
    turned = (_directions(torch.device("cpu"), torch.float32)[0],)
    turned += (_in_a_row(torch.device("cpu"), torch.float32),)
    for available, degree in ((0, 0), (1, 1), (3, 3), (3, 2)):
        scene = colored_scene(meshes, available)
        generator = torch.Generator().manual_seed(0)
        local = {
            name: torch.randn(scene.splats[name].shape, generator=generator).requires_grad_()
            for name in names
        }
        expected = to_world(local, frames.at(2), scene.triangles, degree)
        moved = {k: v.detach().to(device).requires_grad_() for k, v in local.items()}
        rest = (scene.triangles, timestep, *at, *turned)
        found = PlacedSplats.apply(*moved.values(), *(r.to(device) for r in rest), degree)
        weights = [torch.randn(local[name].shape, generator=generator) for name in names]
        sum((expected[k] * w).sum() for k, w in zip(names, weights, strict=True)).backward()
        sum((f * w.to(device)).sum() for f, w in zip(found, weights, strict=True)).backward()
        for name, value in zip(names, found, strict=True):
            torch.testing.assert_close(value.cpu(), expected[name], atol=1e-5, rtol=1e-5)
            gradients = moved[name].grad.cpu(), local[name].grad
            torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def check_colors(device="cpu"):
    from headstyle.rendering.cuda.colors import SplatColors

    generator = torch.Generator().manual_seed(0)
    for available, degree in ((0, 0), (1, 1), (2, 2), (3, 3), (3, 1)):
        splats = make_scene(150, available, seed=degree)
        poses, _ = make_cameras(3, 8, 8)
        eyes = torch.linalg.inv(poses)[:, :3, 3]
        radii = torch.randint(0, 5, (3, 150, 2), generator=generator, dtype=torch.int32)
        seen = (radii > 0).all(dim=-1)
        weights = torch.randn(3, 150, 3, generator=generator) * seen[..., None]
        names = ("means", "sh0", "shN")
        exact = {name: value.detach().double().requires_grad_() for name, value in splats.items()}
        expected = reference_colors(exact, eyes.double(), degree)
        (expected * weights).sum().backward()
        moved = {name: splats[name].detach().to(device).requires_grad_() for name in names}
        found = SplatColors.apply(*moved.values(), poses.to(device), radii.to(device), degree)
        (found * weights.to(device)).sum().backward()
        torch.testing.assert_close(found.cpu()[seen].double(), expected[seen], atol=1e-5, rtol=0)
        assert not found[~seen.to(device)].any()
        for name in names:
            gradient = exact[name].grad
            gradient = torch.zeros_like(exact[name]) if gradient is None else gradient
            of_found = moved[name].grad.cpu().double()
            torch.testing.assert_close(of_found, gradient, atol=1e-5, rtol=1e-4)


def make_cameras_of_views(count):
    """As many cameras, of which only the number matters."""
    names = tuple(map(str, range(count)))
    eye = np.tile(np.eye(4), (count, 1, 1))
    return Cameras(names, np.full((count, 2), 8), eye[:, :3, :3], eye)


def check_steps(device="cpu"):
    from headstyle.losses.triton_steps import Exposed, Targets, add_lengths

    generator = torch.Generator().manual_seed(0)
    shape = (3, 7, 61)
    alphas = torch.rand(2, *shape[1:], generator=generator, requires_grad=True)
    masks, colors = torch.rand(shape, generator=generator), torch.rand(*shape, 3)
    with torch.no_grad():
        # Where they are equal, the loss has no slope.
        alphas[0, :2] = masks[2, :2]
    given = (colors, masks, torch.tensor([2, 0]), torch.tensor([0.2, 0.5, 0.9]))
    expected, loss = on_background(alphas, *given)
    on_device = alphas.detach().to(device).requires_grad_()
    found, found_loss = Targets.apply(on_device, *(tensor.to(device) for tensor in given))
    assert not found.requires_grad
    torch.testing.assert_close(found.cpu(), expected)
    torch.testing.assert_close(found_loss.cpu(), loss)
    (of_expected,) = torch.autograd.grad(3 * loss, alphas)
    (of_found,) = torch.autograd.grad(3 * found_loss, on_device)
    torch.testing.assert_close(of_found.cpu(), of_expected)

    exposures = Exposures(make_cameras_of_views(3), 0.1, torch.device("cpu"))
    with torch.no_grad():
        exposures.logarithms.copy_(torch.randn(3, 3, generator=generator))
    drawn = torch.rand(2, *shape[1:], 3, generator=generator, requires_grad=True)
    weights = torch.randn(2, *shape[1:], 3, generator=generator)
    inputs = (drawn, alphas, exposures.logarithms)
    expected = exposures.apply(drawn, alphas, given[3], given[2])
    of_expected = torch.autograd.grad((weights * expected).sum(), inputs)
    moved = [tensor.detach().to(device).requires_grad_() for tensor in inputs]
    found = Exposed.apply(*moved, given[2].to(device), given[3].to(device))
    of_found = torch.autograd.grad((weights.to(device) * found).sum(), moved)
    torch.testing.assert_close(found.cpu(), expected)
    for a, b in zip(of_found, of_expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, atol=1e-4, rtol=1e-4)

    gradients = torch.rand(2, 300, 2, generator=generator)
    radii = torch.randint(0, 3, (2, 300, 2), generator=generator, dtype=torch.int32)
    infos = [{"n_cameras": 2, "means2d": SimpleNamespace(absgrad=gradients), "radii": radii}]
    infos[0] |= {"width": 40, "height": 30}
    state = {"grad2d": torch.ones(300), "count": torch.ones(300)}
    add_gradients(state, infos)
    sums, counts = torch.ones(2, 300, device=device)
    add_lengths(gradients.to(device), radii.to(device), sums, counts, (40.0, 30.0))
    torch.testing.assert_close(sums.cpu(), state["grad2d"])
    torch.testing.assert_close(counts.cpu(), state["count"])


def test_the_loss_and_its_gradient_are_those_of_the_cpu():
    in_interpreter("check_loss")


def test_colors_and_their_gradients_are_those_of_the_reference():
    in_interpreter("check_colors")


def test_bound_splats_are_placed_as_on_the_cpu():
    in_interpreter("check_placed")


def test_small_steps_are_those_of_the_cpu():
    in_interpreter("check_steps")


def compiled_for_hopper(kernel, constants):
    """Compile a kernel for compute capability 9.0, which takes no GPU."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    numbers = dict.fromkeys(("ssim_weight", "share", "half_width", "half_height"), "fp32")
    whole = ("count", "faces", "views", "rows", "length", "height", "total", "pixels")
    numbers |= dict.fromkeys(whole, "i32")
    integers = {} if "count" in kernel.arg_names else {"views": "*i64"}
    types = (
        numbers
        | {"radii": "*i32", "slots": "*i64", "triangles": "*i64", "timestep": "*i64"}
        | integers
        | dict.fromkeys(constants, "constexpr")
    )
    signature = {name: types.get(name, "*fp32") for name in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_the_kernels_of_colors_compile_for_a_gpu(degree):
    from headstyle.rendering.cuda import colors as triton_colors

    constants = {"DEGREE": degree, "REST": 45 if degree else 0, "BLOCK": triton_colors.BLOCK}
    for kernel in (triton_colors.colors_forward, triton_colors.colors_backward):
        assert compiled_for_hopper(kernel, constants).asm["cubin"]
        unspecialized = [p.name for p in kernel.params if p.do_not_specialize]
        assert unspecialized == ["count", "views"]


@pytest.mark.parametrize("back", [False, True])
def test_the_kernel_that_places_bound_splats_compiles_for_a_gpu(back):
    from headstyle.rendering.cuda.bound import BLOCK, place

    for degree in (0, 3):
        constants = {"DEGREE": degree, "REST": 45, "BACK": back, "BLOCK": BLOCK}
        assert compiled_for_hopper(place, constants).asm["cubin"]


def test_the_kernels_of_the_loss_compile_for_a_gpu():
    from headstyle.losses import photometric_triton as triton_loss

    sizes = {"ROWS": triton_loss.ROWS, "COLUMNS": triton_loss.COLUMNS}
    for name in ("moments_across", "loss_down", "slopes_across", "gradient_down"):
        extra = {"C1": losses.C1, "C2": losses.C2} if name == "loss_down" else {}
        assert compiled_for_hopper(getattr(triton_loss, name), sizes | extra).asm["cubin"]


def test_the_kernels_of_small_steps_compile_for_a_gpu():
    from headstyle.losses import triton_steps

    names = ("composite", "expose", "expose_backward", "note_gradients")
    for kernel in (getattr(triton_steps, name) for name in names):
        assert compiled_for_hopper(kernel, {"BLOCK": triton_steps.BLOCK}).asm["cubin"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("check", [check_loss, check_colors, check_placed, check_steps])
def test_the_kernels_hold_on_a_gpu_too(check):
    check("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("tile", [8, 16])
def test_the_steps_of_rendering_are_those_of_gsplats_own_function(tile, monkeypatch):
    from gsplat import rasterization

    monkeypatch.setattr("headstyle.rendering.cuda.rasterize.tile_width", lambda *_: tile)
    splats = {name: value.detach().cuda() for name, value in make_scene(300, 3, size=0.06).items()}
    poses, intrinsics = (tensor.cuda() for tensor in make_cameras(3, 96, 128))
    background = torch.tensor([0.2, 0.5, 0.9], device="cuda")
    ours = render(
        splats, poses, intrinsics, 96, 128, sh_degree=2, background=background, with_depth=True
    )
    theirs, alphas, _ = rasterization(
        splats["means"], splats["quats"], splats["scales"].exp(), splats["opacities"].sigmoid(),
        torch.cat([splats["sh0"], splats["shN"]], dim=1), poses, intrinsics, 96, 128, sh_degree=2,
        packed=False, backgrounds=background.expand(3, 3), render_mode="RGB+ED",
    )  # fmt: skip
    torch.testing.assert_close(ours.colors, theirs[..., :3], atol=3e-5, rtol=0)
    torch.testing.assert_close(ours.alphas, alphas[..., 0], atol=1e-6, rtol=0)
    seen = ours.alphas > 0.01
    torch.testing.assert_close(
        ours.expected_depth[seen], theirs[..., 3][seen], atol=1e-4, rtol=1e-4
    )
