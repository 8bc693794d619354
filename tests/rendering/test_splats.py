"""Truths about splat scenes: where they start from, and their files."""

import numpy as np
import pytest
import torch
from headstyle.base.errors import InputError
from headstyle.rendering.renderer import render
from headstyle.rendering.splat_files import write_splats
from headstyle.rendering.splats import (
    neighbor_distances,
    read_ply,
    splats_from_points,
    write_ply,
)
from plyfile import PlyData
from splat_reference import make_cameras, make_scene

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)


def test_splats_start_at_their_points_with_their_colors():
    colors = np.linspace(0, 1, 24).reshape(8, 3)
    splats = splats_from_points(CORNERS, colors, sh_degree=2, seed=0)
    np.testing.assert_allclose(splats["means"].detach(), CORNERS)
    assert splats["shN"].shape == (8, 8, 3)
    assert not splats["shN"].any()
    poses, intrinsics = make_cameras(1, 8, 8)
    seen = render({k: v[3:4] for k, v in splats.items()}, poses, intrinsics, 8, 8)
    covered = seen.alphas[0] > 0.01
    straight = seen.colors[0][covered] / seen.alphas[0][covered][:, None]
    np.testing.assert_allclose(
        straight.detach(), np.broadcast_to(colors[3], straight.shape), atol=1e-4
    )


def test_splats_start_as_large_as_their_neighbors_are_far():
    splats = splats_from_points(3 * CORNERS, np.full((8, 3), 0.5), sh_degree=0, seed=0)
    np.testing.assert_allclose(torch.exp(splats["scales"]).detach(), 3, rtol=1e-6)
    np.testing.assert_allclose(torch.sigmoid(splats["opacities"]).detach(), 0.1, rtol=1e-6)


def test_too_few_points_get_company_nearby_with_their_colors():
    colors = np.zeros((8, 3))
    colors[:, 0] = 1
    splats = splats_from_points(CORNERS, colors, sh_degree=0, seed=0, min_count=500)
    assert len(splats["means"]) == 500
    np.testing.assert_allclose(splats["means"][:8].detach(), CORNERS)
    assert float(splats["means"].detach().abs().max()) < 6
    assert (splats["sh0"] == splats["sh0"][0]).all()


def test_the_seed_decides_the_start():
    def start(seed):
        scene = splats_from_points(CORNERS, CORNERS, sh_degree=1, seed=seed, min_count=20)
        return {name: value.detach() for name, value in scene.items()}

    assert all(torch.equal(value, start(1)[name]) for name, value in start(1).items())
    assert not torch.equal(start(1)["means"], start(2)["means"])


def test_points_at_one_place_still_have_a_size():
    assert (neighbor_distances(np.concatenate([CORNERS] * 5)) > 0).all()


def test_three_points_are_too_few():
    with pytest.raises(InputError, match="more than 3 points"):
        splats_from_points(CORNERS[:3], CORNERS[:3], sh_degree=0, seed=0)


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_a_scene_read_back_renders_the_same_image(tmp_path, degree):
    scene = make_scene(50, degree, seed=degree)
    write_ply(tmp_path / "splats.ply", torch.nn.ParameterDict(scene))
    again = read_ply(tmp_path / "splats.ply")
    poses, intrinsics = make_cameras(1, 40, 40)
    images = [render(splats, poses, intrinsics, 40, 40).colors for splats in (scene, again)]
    assert torch.equal(*images)
    assert all(value.requires_grad for value in again.values())


def test_the_file_has_the_layout_that_other_viewers_read(tmp_path):
    scene = make_scene(7, 1)
    write_ply(tmp_path / "splats.ply", torch.nn.ParameterDict(scene))
    ply = PlyData.read(tmp_path / "splats.ply")
    assert not ply.text
    assert ply.byte_order == "<"
    names = [prop.name for prop in ply["vertex"].properties]
    rest = [f"f_rest_{i}" for i in range(9)]
    assert names == [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *rest),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]
    # f_rest runs over the bases of red, then of green, then of blue.
    np.testing.assert_array_equal(ply["vertex"]["f_rest_1"], scene["shN"][:, 1, 0].detach())
    np.testing.assert_array_equal(ply["vertex"]["f_rest_3"], scene["shN"][:, 0, 1].detach())


def test_an_exported_splat_has_32_bytes_with_its_place_size_color_and_rotation(tmp_path):
    scene = torch.nn.ParameterDict(make_scene(40, 2))
    write_splats(tmp_path / "scene.splat", scene)
    layout = [("mean", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("rotation", "u1", 4)]
    table = np.frombuffer((tmp_path / "scene.splat").read_bytes(), dtype=layout)
    means = scene["means"].detach().numpy()
    order = [int(np.abs(means - row["mean"]).sum(axis=1).argmin()) for row in table]
    assert sorted(order) == list(range(40))
    np.testing.assert_array_equal(table["mean"], means[order])
    np.testing.assert_allclose(table["scale"], scene["scales"].exp().detach()[order], rtol=1e-6)
    opacities = torch.sigmoid(scene["opacities"].detach()).numpy()[order]
    np.testing.assert_allclose(table["color"][:, 3] / 255, opacities, atol=1 / 255)
    quats = torch.nn.functional.normalize(scene["quats"].detach(), dim=-1).numpy()[order]
    np.testing.assert_allclose(table["rotation"] / 128 - 1, quats, atol=1.01 / 128)


def test_a_file_of_something_else_is_refused_by_name(tmp_path):
    (tmp_path / "text.ply").write_text("hello")
    with pytest.raises(InputError, match=r"text\.ply"):
        read_ply(tmp_path / "text.ply")
    with pytest.raises(InputError, match=r"none\.ply"):
        read_ply(tmp_path / "none.ply")


def test_a_truncated_file_is_refused_by_name(tmp_path):
    path = tmp_path / "splats.ply"
    write_ply(path, torch.nn.ParameterDict(make_scene(20, 0)))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"splats\.ply"):
        read_ply(path)


def test_a_point_cloud_without_splats_is_refused_by_its_missing_column(tmp_path):
    path = tmp_path / "cloud.ply"
    header = "ply\nformat ascii 1.0\nelement vertex 1\n"
    columns = "".join(f"property float {axis}\n" for axis in "xyz")
    path.write_text(f"{header}{columns}end_header\n0 0 0\n")
    with pytest.raises(InputError, match="f_dc_0"):
        read_ply(path)
