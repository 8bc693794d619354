"""PLY files of splats as other programs write them."""

import numpy as np
import pytest
import torch
from headstyle.base.errors import InputError
from headstyle.rendering.renderer import check_splats
from headstyle.rendering.splats import read_ply, write_ply
from plyfile import PlyData, PlyElement
from splat_reference import make_scene


def table_of(path, degree: int = 1, count: int = 12) -> np.ndarray:
    """The rows of a scene as `write_ply` writes them."""
    write_ply(path, torch.nn.ParameterDict(make_scene(count, degree)))
    return PlyData.read(path)["vertex"].data


def write_table(path, columns: dict[str, np.ndarray], text: bool = False) -> None:
    kinds = [(name, values.dtype.str) for name, values in columns.items()]
    table = np.empty(len(next(iter(columns.values()))), dtype=kinds)
    for name, values in columns.items():
        table[name] = values
    PlyData([PlyElement.describe(table, "vertex")], text=text).write(path)


@pytest.fixture
def written(tmp_path):
    """A scene's columns, and where to write others."""
    path = tmp_path / "splats.ply"
    table = table_of(path)
    return path, {name: np.array(table[name]) for name in table.dtype.names}


def assert_same(found, expected) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-7)


def test_order_doubles_further_properties_and_text_do_not_matter(written):
    path, columns = written
    expected = dict(read_ply(path).items())
    moved = {name: columns[name].astype("<f8") for name in reversed(list(columns))}
    moved["label"] = np.arange(12, dtype=np.uint8)
    write_table(path, moved)
    assert_same(read_ply(path), expected)
    del moved["nx"], moved["ny"], moved["nz"]
    write_table(path, moved, text=True)
    assert_same(read_ply(path), expected)


def test_harmonics_may_be_missing(written):
    path, columns = written
    expected = read_ply(path)
    write_table(path, {n: v for n, v in columns.items() if not n.startswith("f_rest_")})
    found = read_ply(path)
    assert check_splats(found) == 0
    assert torch.equal(found["sh0"], expected["sh0"])


def test_the_fourth_degree_of_harmonics_is_left_out_and_told(written, caplog):
    path, columns = written
    columns = {n: v for n, v in columns.items() if not n.startswith("f_rest_")}
    for i in range(72):
        columns[f"f_rest_{i}"] = np.full(12, i, np.float32)
    write_table(path, columns)
    found = read_ply(path)
    assert check_splats(found) == 3
    # 24 bases of red, then of green, then of blue.
    assert found["shN"][0, :, 0].tolist() == list(range(15))
    assert found["shN"][0, :, 1].tolist() == list(range(24, 39))
    assert "harmonics of degree 4, which are left out" in caplog.text


def test_the_disks_of_2dgs_get_a_third_scale_that_is_thin(written):
    path, columns = written
    del columns["scale_2"]
    write_table(path, columns)
    scales = read_ply(path)["scales"].detach().exp().numpy()
    np.testing.assert_allclose(scales[:, 0], np.exp(columns["scale_0"]), rtol=1e-6)
    np.testing.assert_allclose(scales[:, 2], scales[:, :2].min(axis=1) / 1000, rtol=1e-5)


def test_splats_that_are_not_finite_are_left_out_and_counted(written, caplog):
    path, columns = written
    expected = read_ply(path)
    columns["x"][3] = np.nan
    columns["scale_1"][5] = np.inf
    columns["f_rest_2"][5] = np.nan
    for i in range(4):
        columns[f"rot_{i}"][7] = 0
    # The logits of 0 and of 1.
    columns["opacity"][[0, 1]] = [-np.inf, np.inf]
    write_table(path, columns)
    found = read_ply(path)
    kept = [i for i in range(12) if i not in (3, 5, 7)]
    assert torch.equal(found["means"], expected["means"][kept])
    assert "3 of 12 splats are left out" in caplog.text
    columns["y"][:] = np.nan
    write_table(path, columns)
    with pytest.raises(InputError, match=r"splats\.ply has no splat with finite numbers; "):
        read_ply(path)


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("count", ["1000000000", "9" * 30])
def test_a_header_that_promises_too_much_is_told_at_once(tmp_path, kind, count):
    path = tmp_path / "a.ply"
    path.write_text(
        f"ply\nformat {kind} 1.0\nelement vertex {count}\nproperty float x\nend_header\n"
    )
    with pytest.raises(InputError, match=rf"a\.ply says that it holds {count} entries"):
        read_ply(path)


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_compressed_files_give_back_their_scene_within_the_steps_of_the_format(tmp_path, degree):
    from gsplat import export_splats

    scene = make_scene(600, degree)
    tensors = {name: value.detach().clone() for name, value in scene.items()}
    content = export_splats(**tensors, format="ply_compressed")
    (tmp_path / "a.ply").write_bytes(content)
    found = {name: value.detach() for name, value in read_ply(tmp_path / "a.ply").items()}
    assert len(found["means"]) == 600
    # The format sorts its splats.
    distances = torch.cdist(found["means"], tensors["means"])
    nearest = distances.argmin(dim=1)
    assert sorted(nearest.tolist()) == list(range(600))
    extent = np.ptp(tensors["means"].numpy(), axis=0).max()
    assert distances.min(dim=1).values.max() < 2 * extent / 1023

    expected = {name: value[nearest] for name, value in tensors.items()}
    for name, step in (("scales", 1023), ("sh0", 255)):
        spread = float(np.ptp(expected[name].numpy()))
        assert (found[name] - expected[name]).abs().max() < 1.01 * spread / step
    opacity = torch.sigmoid(found["opacities"]) - torch.sigmoid(expected["opacities"])
    assert opacity.abs().max() < 1 / 255
    turns = torch.nn.functional.normalize(expected["quats"], dim=1) * found["quats"]
    assert turns.sum(dim=1).abs().min() > 1 - 1e-5
    if degree:
        inside = expected["shN"].abs() < 3.9
        assert (found["shN"] - expected["shN"])[inside].abs().max() < 8 / 256


def test_compressed_files_without_enough_bounds_are_named(tmp_path):
    names = [f"{end}_{name}" for end in ("min", "max") for name in ("x", "y", "z")]
    chunk = PlyElement.describe(np.zeros(1, [(name, "<f4") for name in names]), "chunk")
    kinds = [(f"packed_{n}", "<u4") for n in ("position", "rotation", "scale", "color")]
    vertex = PlyElement.describe(np.zeros(257, kinds), "vertex")
    PlyData([chunk, vertex]).write(tmp_path / "a.ply")
    with pytest.raises(InputError, match=r"a\.ply .*1 chunks are too few for 257 splats"):
        read_ply(tmp_path / "a.ply")
