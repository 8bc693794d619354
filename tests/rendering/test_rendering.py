"""Truths about `render`: right images, right gradients, right depth, and the same bytes always."""

import math

import numba
import numpy as np
import pytest
import torch
from gradients import BACKGROUND, assert_equal_gradients, gradients, weighted_loss
from headstyle.base.cameras import Cameras
from headstyle.rendering.cpu.project import Projection, camera_table
from headstyle.rendering.renderer import render, render_views
from headstyle.rendering.splats import splats_from_points
from splat_reference import make_cameras, make_scene, reference_render

WIDTH, HEIGHT = 37, 50


def one_splat(depth=2.0, opacity=0.9, size=0.1, color=(1.0, 0.5, 0.0)):
    """One round splat on the optical axis of `straight_camera`."""
    return {
        "means": torch.tensor([[0.0, 0.0, depth]]),
        "scales": torch.full((1, 3), math.log(size)),
        "quats": torch.tensor([[1.0, 0, 0, 0]]),
        "opacities": torch.logit(torch.tensor([opacity])),
        "sh0": (torch.tensor([[color]]) - 0.5) / 0.28209479177387814,
        "shN": torch.zeros(1, 0, 3),
    }


def straight_camera(size=21, focal=30.0):
    """A camera at the origin whose axis meets the center of the middle pixel."""
    intrinsics = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    return torch.eye(4)[None], intrinsics[None], size, size


def together(*scenes):
    return {name: torch.cat([scene[name] for scene in scenes]) for name in scenes[0]}


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_images_gradients_and_depth_equal_the_slow_reference(degree):
    splats = make_scene(60, degree, seed=degree)
    poses, intrinsics = make_cameras(2, WIDTH, HEIGHT)
    ours = render(splats, poses, intrinsics, WIDTH, HEIGHT, background=BACKGROUND, with_depth=True)
    colors, alphas, expected, median = reference_render(
        splats, poses, intrinsics, WIDTH, HEIGHT, degree, BACKGROUND
    )
    torch.testing.assert_close(ours.colors.double(), colors, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.alphas.double(), alphas, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.expected_depth.double(), expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(ours.median_depth.double(), median, atol=1e-5, rtol=0)
    assert_equal_gradients(
        gradients(splats, weighted_loss(ours.colors, ours.alphas)),
        gradients(splats, weighted_loss(colors, alphas)),
    )


def test_crowded_scenes_stop_at_the_same_splat_as_the_reference():
    splats = make_scene(150, 0, seed=1, size=0.9)
    with torch.no_grad():
        splats["opacities"] += 3
    poses, intrinsics = make_cameras(1, 20, 17)
    ours = render(splats, poses, intrinsics, 20, 17)
    colors, alphas, _, _ = reference_render(splats, poses, intrinsics, 20, 17, 0)
    # Finished pixels keep between 1e-4 and 1e-1 (one splat takes at most 99.9 %).
    assert float((alphas > 0.99).double().mean()) > 0.9
    torch.testing.assert_close(ours.colors.double(), colors, atol=1e-4, rtol=0)
    assert_equal_gradients(
        gradients(splats, weighted_loss(ours.colors, ours.alphas)),
        gradients(splats, weighted_loss(colors, alphas)),
    )


@pytest.mark.parametrize("name", ["means", "scales", "quats", "opacities", "sh0", "shN"])
def test_gradients_are_finite_differences(name):
    # Wide splats: no edge of a splat, where its alpha jumps to 0, crosses the image.
    splats = make_scene(6, 2, seed=4, size=1.5)
    poses, intrinsics = make_cameras(2, 12, 9)

    def loss():
        rendering = render(splats, poses, intrinsics, 12, 9, background=BACKGROUND)
        return weighted_loss(rendering.colors.double(), rendering.alphas.double())

    (gradient,) = torch.autograd.grad(loss(), [splats[name]])
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(splats[name].shape, generator=generator)
    step = 2e-3
    with torch.no_grad():
        splats[name] += step * direction
        above = loss()
        splats[name] -= 2 * step * direction
        below = loss()
    difference = float((above - below) / (2 * step))
    assert difference == pytest.approx(float((gradient * direction).sum()), rel=5e-3, abs=1e-2)


def test_gradients_of_the_projection_are_finite_differences_in_double_precision():
    names = ("means", "quats", "scales", "opacities", "sh0", "shN")
    splats = make_scene(5, 3, seed=2, dtype=torch.float64)
    poses, intrinsics = make_cameras(2, WIDTH, HEIGHT)
    table = camera_table(poses, intrinsics, WIDTH, HEIGHT)

    def project(*parameters):
        return Projection.apply(*parameters, table, (WIDTH, HEIGHT), 3)[:4]

    parameters = [splats[name] for name in names]
    assert torch.autograd.gradcheck(project, parameters, eps=1e-6, atol=1e-6, rtol=1e-5)


def test_gradients_of_splats_beyond_the_image_border_equal_the_reference():
    splats = make_scene(40, 0, seed=6, size=0.6)
    with torch.no_grad():
        splats["means"][:, :2] *= 4
    poses, intrinsics = make_cameras(1, 24, 24)
    ours = render(splats, poses, intrinsics, 24, 24)
    colors, alphas, _, _ = reference_render(splats, poses, intrinsics, 24, 24, 0)
    torch.testing.assert_close(ours.colors.double(), colors, atol=1e-5, rtol=0)
    assert_equal_gradients(
        gradients(splats, weighted_loss(ours.colors, ours.alphas)),
        gradients(splats, weighted_loss(colors, alphas)),
    )


def test_a_splat_covers_its_center_with_its_opacity_and_color():
    pose, intrinsics, width, height = straight_camera()
    rendering = render(one_splat(), pose, intrinsics, width, height)
    assert float(rendering.alphas[0, 10, 10]) == pytest.approx(0.9, abs=1e-6)
    assert rendering.colors[0, 10, 10].tolist() == pytest.approx([0.9, 0.45, 0.0], abs=1e-6)
    # 0.1 / 2 * 30 = 1.5 px, widened by the low-pass of 0.3 px^2.
    falloff = math.exp(-0.5 * 9 / (1.5**2 + 0.3))
    assert float(rendering.alphas[0, 10, 13]) == pytest.approx(0.9 * falloff, abs=1e-6)


def test_a_splat_at_the_upper_limit_of_alpha_changes_by_its_color_only():
    pose, intrinsics, width, height = straight_camera()
    splats = {name: value.requires_grad_() for name, value in one_splat(opacity=0.9999).items()}
    center = render(splats, pose, intrinsics, width, height).colors[0, 10, 10].sum()
    assert float(center.detach()) == pytest.approx(0.999 * 1.5, abs=1e-5)
    found = gradients(splats, center)
    assert float(found["opacities"]) == 0
    assert not found["scales"].any()
    assert found["sh0"].all()


def test_the_background_shines_through_where_alpha_leaves_it():
    pose, intrinsics, width, height = straight_camera()
    black = render(one_splat(), pose, intrinsics, width, height)
    colored = render(one_splat(), pose, intrinsics, width, height, background=BACKGROUND)
    through = (1 - black.alphas[..., None]) * BACKGROUND
    torch.testing.assert_close(colored.colors, black.colors + through)


def test_an_opaque_splat_gives_its_depth():
    pose, intrinsics, width, height = straight_camera()
    rendering = render(one_splat(depth=2.5), pose, intrinsics, width, height, with_depth=True)
    assert float(rendering.median_depth[0, 10, 10]) == 2.5
    assert float(rendering.expected_depth[0, 10, 10]) == pytest.approx(2.5)
    assert float(rendering.median_depth[0, 0, 0]) == 0
    assert float(rendering.expected_depth[0, 0, 0]) == 0


def test_median_depth_is_that_of_the_splat_where_half_of_the_light_is_gone():
    pose, intrinsics, width, height = straight_camera()
    layers = [one_splat(depth, opacity) for depth, opacity in ((1, 0.3), (2, 0.3), (3, 0.9))]
    rendering = render(together(*layers), pose, intrinsics, width, height, with_depth=True)
    # 0.7, 0.49: the second layer passes one half.
    assert float(rendering.median_depth[0, 10, 10]) == 2
    faint = render(one_splat(opacity=0.49), pose, intrinsics, width, height, with_depth=True)
    assert float(faint.median_depth.max()) == 0
    assert float(faint.expected_depth[0, 10, 10]) == pytest.approx(2)


DEVICES = pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
            ],
        ),
    ],
)


def depths_on(device, splats, *camera):
    """Render with depth on a device; the depths come back to the CPU."""
    moved = {name: value.detach().to(device) for name, value in splats.items()}
    rendering = render(moved, *camera, with_depth=True)
    rendering.median_depth = rendering.median_depth.cpu()
    rendering.expected_depth = rendering.expected_depth.cpu()
    return rendering


def dense_splats(points, size, opacity=4.0):
    splats = splats_from_points(points, np.full_like(points, 0.5), 0, seed=0)
    with torch.no_grad():
        splats["scales"][:] = math.log(size)
        splats["opacities"][:] = opacity
    return splats


@DEVICES
def test_depth_of_a_slanted_plane(device):
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 120)] * 2), axis=-1).reshape(-1, 2)
    points = np.column_stack([grid, 4 + 0.5 * grid[:, 0]])
    pose, intrinsics, width, height = straight_camera(size=41, focal=60.0)
    rendering = depths_on(device, dense_splats(points, 0.02), pose, intrinsics, width, height)
    slope = (torch.arange(width) + 0.5 - width / 2) / 60
    # On the plane z = 4 + x / 2 with x = slope z.
    truth = (4 / (1 - 0.5 * slope)).expand(height, width)
    # Within what the plane rises over two pixels.
    assert float((rendering.median_depth[0] / truth - 1).abs().max()) < 0.015
    assert float((rendering.expected_depth[0] / truth - 1).abs().max()) < 0.015


@DEVICES
def test_depth_of_a_sphere_up_to_its_silhouette(device):
    index = np.arange(6000) + 0.5
    polar, azimuth = np.arccos(1 - 2 * index / 6000), np.pi * (1 + 5**0.5) * index
    sphere = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1
    )
    pose, intrinsics, width, height = straight_camera(size=61, focal=80.0)
    splats = dense_splats(sphere + np.array([0, 0, 4]), 0.03)
    rendering = depths_on(device, splats, pose, intrinsics, width, height)
    offsets = (torch.arange(width, dtype=torch.float64) + 0.5 - width / 2) / 80
    square = offsets[None] ** 2 + offsets[:, None] ** 2 + 1
    # |z d - 4 e_z| = 1 along the ray z d.
    inside = 16 - 15 * square
    truth = (4 - inside.clamp_min(0).sqrt()) / square
    # `inside` is the squared cosine between ray and normal, so this is the distance to the sphere.
    hit, cosine = inside > 0.1, inside.clamp_min(0).sqrt()
    median, expected = rendering.median_depth[0], rendering.expected_depth[0]
    pixel = 3 / 80
    assert float(((median - truth).abs() * cosine)[hit].max()) < 1.5 * pixel
    assert float(((expected - truth).abs() * cosine)[hit].max()) < 1.5 * pixel
    # At the silhouette the median stays on the sphere's front half; nothing flies off.
    assert float(median[median > 0].max()) < 4.05
    assert float(median[inside < -1].max()) == 0


def test_threads_do_not_change_a_byte():
    splats = make_scene(500, 1, seed=8, size=0.05)
    poses, intrinsics = make_cameras(3, 70, 45)

    def everything():
        rendering = render(
            splats, poses, intrinsics, 70, 45, with_depth=True, absolute_gradients=True
        )
        found = gradients(splats, weighted_loss(rendering.colors, rendering.alphas))
        tensors = [rendering.colors, rendering.alphas, rendering.median_depth, *found.values()]
        tensors.append(rendering.info["means2d"].absgrad)
        return [tensor.detach().numpy().tobytes() for tensor in tensors]

    available = numba.get_num_threads()
    try:
        results = []
        for threads in {1, numba.config.NUMBA_NUM_THREADS}:
            numba.set_num_threads(threads)
            results += [everything(), everything()]
    finally:
        numba.set_num_threads(available)
    assert all(result == results[0] for result in results)


def test_a_batch_is_its_views():
    splats = make_scene(80, 1, seed=5)
    poses, intrinsics = make_cameras(3, WIDTH, HEIGHT)
    batch = render(splats, poses, intrinsics, WIDTH, HEIGHT)
    for i in range(3):
        alone = render(splats, poses[i : i + 1], intrinsics[i : i + 1], WIDTH, HEIGHT)
        assert torch.equal(batch.colors[i], alone.colors[0])


def test_lower_degrees_leave_the_higher_harmonics_out():
    splats = make_scene(30, 3, seed=7)
    poses, intrinsics = make_cameras(1, WIDTH, HEIGHT)
    flat = splats | {"shN": torch.zeros_like(splats["shN"])}
    assert torch.equal(
        render(splats, poses, intrinsics, WIDTH, HEIGHT, sh_degree=0).colors,
        render(flat, poses, intrinsics, WIDTH, HEIGHT).colors,
    )


def test_splats_behind_the_camera_or_transparent_are_not_drawn():
    pose, intrinsics, width, height = straight_camera()
    hidden = together(one_splat(depth=-2.0), one_splat(opacity=0.003))
    rendering = render(hidden, pose, intrinsics, width, height, background=BACKGROUND)
    assert float(rendering.alphas.max()) == 0
    assert torch.equal(rendering.colors, BACKGROUND.expand(1, height, width, 3))
    assert int(rendering.info["radii"].max()) == 0


def test_an_empty_scene_is_its_background():
    pose, intrinsics, width, height = straight_camera()
    empty = {name: value[:0] for name, value in one_splat().items()}
    rendering = render(empty, pose, intrinsics, width, height, background=BACKGROUND)
    assert torch.equal(rendering.colors, BACKGROUND.expand(1, height, width, 3))


def test_splats_at_any_place_and_size_keep_everything_finite():
    splats = make_scene(200, 1, seed=9)
    with torch.no_grad():
        splats["means"] *= 20
        splats["scales"] *= 4
        splats["quats"][0] = 0
    poses, intrinsics = make_cameras(2, WIDTH, HEIGHT)
    rendering = render(splats, poses, intrinsics, WIDTH, HEIGHT)
    found = gradients(splats, weighted_loss(rendering.colors, rendering.alphas))
    assert torch.isfinite(rendering.colors).all()
    assert all(torch.isfinite(gradient).all() for gradient in found.values())


def test_info_holds_the_gradients_that_densification_needs():
    splats = make_scene(60, 0, seed=3)
    poses, intrinsics = make_cameras(2, WIDTH, HEIGHT)
    rendering = render(splats, poses, intrinsics, WIDTH, HEIGHT, absolute_gradients=True)
    rendering.colors.square().sum().backward()
    info = rendering.info
    assert info["means2d"].grad.shape == info["means2d"].absgrad.shape == (2, 60, 2)
    # A sum of absolute values is at least the absolute value of the sum.
    assert (info["means2d"].absgrad >= info["means2d"].grad.abs() * 0.999 - 1e-6).all()
    assert (info["width"], info["height"], info["n_cameras"]) == (WIDTH, HEIGHT, 2)
    assert info["gaussian_ids"] is None


def test_absolute_gradients_add_the_sizes_of_each_pixels_gradient():
    splats = make_scene(10, 0, seed=3, size=0.3)
    poses, intrinsics = make_cameras(1, 7, 6)
    rendering = render(splats, poses, intrinsics, 7, 6, absolute_gradients=True)
    means2d = rendering.info["means2d"]
    expected = torch.zeros_like(means2d)
    for pixel in rendering.colors.sum(dim=-1).flatten():
        (gradient,) = torch.autograd.grad(pixel, means2d, retain_graph=True)
        expected += gradient.abs()
    rendering.colors.sum().backward()
    torch.testing.assert_close(means2d.absgrad, expected, rtol=1e-4, atol=1e-4)


def test_views_are_rendered_one_by_one_with_straight_alpha():
    poses, intrinsics = make_cameras(2, WIDTH, HEIGHT)
    cameras = Cameras(
        ("left", "right"),
        np.array([[WIDTH, HEIGHT]] * 2),
        intrinsics.double().numpy(),
        poses.double().numpy(),
    )
    splats = torch.nn.ParameterDict(make_scene(60, 1, seed=3))
    rendered = list(render_views(splats, cameras))
    assert [name for name, *_ in rendered] == ["left", "right"]
    batch = render(splats, poses, intrinsics, WIDTH, HEIGHT)
    for i, (_, image, median, expected) in enumerate(rendered):
        assert image.shape == (HEIGHT, WIDTH, 4)
        assert median.shape == expected.shape == (HEIGHT, WIDTH)
        premultiplied = np.minimum(batch.colors[i].detach().numpy(), image[..., 3:])
        np.testing.assert_allclose(image[..., :3] * image[..., 3:], premultiplied, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape"), [("scales", (1, 2)), ("opacities", (1, 1)), ("shN", (1, 4, 3))]
)
def test_a_wrong_shape_is_named(name, shape):
    pose, intrinsics, width, height = straight_camera()
    with pytest.raises(ValueError, match=name):
        render(one_splat() | {name: torch.zeros(shape)}, pose, intrinsics, width, height)


def test_a_degree_beyond_the_splats_is_refused():
    with pytest.raises(ValueError, match="sh_degree is 1"):
        render(one_splat(), *straight_camera(), sh_degree=1)


def assert_nearly_all_close(found, expected, tolerance, worst):
    """All but a thousandth of the values agree, and no value is far off."""
    difference = (found - expected.cpu()).abs().float()
    assert float((difference > tolerance).float().mean()) < 1e-3
    assert float(difference.max()) <= worst


def on_gpu(splats):
    return {name: value.detach().cuda().requires_grad_() for name, value in splats.items()}


@pytest.mark.parametrize("degree", [0, 3], ids=["degree0", "degree3"])
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_cpu_renders_what_gsplat_renders(degree):
    splats = make_scene(300, degree, seed=degree, size=0.06)
    poses, intrinsics = make_cameras(3, 96, 128)
    options = {"background": BACKGROUND, "with_depth": True, "absolute_gradients": True}
    ours = render(splats, poses, intrinsics, 96, 128, **options)
    theirs_splats = on_gpu(splats)
    theirs = render(theirs_splats, poses.cuda(), intrinsics.cuda(), 96, 128, **options)
    # By a hair a splat's alpha is below 1/255 or not, and it is before the transmittance passes one
    # half or behind: there rounding decides.
    assert_nearly_all_close(ours.colors, theirs.colors, 1e-4, worst=0.01)
    assert_nearly_all_close(ours.alphas, theirs.alphas, 1e-4, worst=0.01)
    assert_nearly_all_close(ours.median_depth, theirs.median_depth, 1e-3, worst=10)
    seen = ours.alphas > 0.05
    expected_depths = (rendering.expected_depth.cpu()[seen] for rendering in (ours, theirs))
    assert_nearly_all_close(*expected_depths, 1e-3, worst=0.2)
    assert_nearly_all_close(ours.info["radii"], theirs.info["radii"], 0, worst=1)
    found = gradients(splats, weighted_loss(ours.colors, ours.alphas))
    expected = gradients(theirs_splats, weighted_loss(theirs.colors, theirs.alphas))
    assert_equal_gradients(found, expected)
    of_means = ours.info["means2d"].absgrad, theirs.info["means2d"].absgrad.cpu()
    assert float((of_means[0] - of_means[1]).abs().max() / of_means[1].max()) < 1e-3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_median_depth_on_the_gpu_is_that_of_the_reference():
    splats = make_scene(60, 0, seed=0)
    poses, intrinsics = make_cameras(2, WIDTH, HEIGHT)
    theirs = render(on_gpu(splats), poses.cuda(), intrinsics.cuda(), WIDTH, HEIGHT, with_depth=True)
    _, _, _, median = reference_render(splats, poses, intrinsics, WIDTH, HEIGHT, 0)
    far = (theirs.median_depth.cpu().double() - median).abs() > 1e-4
    assert float(far.double().mean()) < 1e-3
