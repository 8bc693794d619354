"""`.splat` and SPZ: what comes back is what went in, within the steps of the format."""

import gzip
import itertools
import struct

import numpy as np
import pytest
import torch
from headstyle.base.errors import InputError
from headstyle.rendering.renderer import render
from headstyle.rendering.splat_files import read_splats, write_splats
from splat_reference import make_cameras, make_scene

COUNT = 300


def scene_of(degree: int = 3) -> torch.nn.ParameterDict:
    return torch.nn.ParameterDict(make_scene(COUNT, degree))


def arrays_of(splats) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in splats.items()}


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles [deg] between rotations wxyz."""
    a, b = (q / np.linalg.norm(q, axis=1, keepdims=True) for q in (a, b))
    return np.degrees(2 * np.arccos(np.clip(np.abs((a * b).sum(axis=1)), 0, 1)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spz_gives_a_scene_back_within_its_steps(tmp_path, degree):
    scene = scene_of(degree)
    write_splats(tmp_path / "a.spz", scene)
    found, expected = arrays_of(read_splats(tmp_path / "a.spz")), arrays_of(scene)
    np.testing.assert_allclose(found["means"], expected["means"], atol=0.51 / 2**20)
    np.testing.assert_allclose(found["scales"], expected["scales"], atol=0.51 / 16)
    assert angles(found["quats"], expected["quats"]).max() < 0.3
    steps = np.abs(sigmoid(found["opacities"]) - sigmoid(expected["opacities"]))
    assert steps.max() < 0.51 / 255
    inside = np.abs(expected["sh0"]) < 0.5 / 0.15
    assert np.abs(found["sh0"] - expected["sh0"])[inside].max() < 0.51 / 255 / 0.15
    for bases, step in ((slice(0, 3), 8), (slice(3, None), 16)):
        inside = np.abs(expected["shN"][:, bases]) < 0.85
        difference = np.abs(found["shN"] - expected["shN"])[:, bases][inside]
        assert difference.size == 0 or difference.max() < 0.51 * step / 128


def test_spz_keeps_the_image_of_a_scene(tmp_path):
    # All signs of positions, rotations and harmonics have to change together.
    scene = scene_of(2)
    write_splats(tmp_path / "a.spz", scene)
    poses, intrinsics = make_cameras(2, 40, 30)
    images = [
        render(splats, poses, intrinsics, 40, 30).colors.detach()
        for splats in (scene, read_splats(tmp_path / "a.spz"))
    ]
    assert (images[0] - images[1]).abs().mean() < 0.01
    assert images[0].mean() > 0.1


def test_spz_has_the_axes_of_its_specification(tmp_path):
    scene = scene_of(0)
    write_splats(tmp_path / "a.spz", scene)
    content = gzip.decompress((tmp_path / "a.spz").read_bytes())
    magic, version, count, degree, fraction = struct.unpack_from("<IIIBB", content)
    assert (magic, version, count, degree) == (0x5053474E, 3, COUNT, 0)
    x, y, z = (int.from_bytes(content[i : i + 3], "little", signed=True) for i in (16, 19, 22))
    mean = scene["means"][0].detach().numpy()
    np.testing.assert_allclose(np.array([x, -y, -z]) / 2**fraction, mean, atol=1e-6)


def small_spz(version: int, rotation: bytes) -> bytes:
    """One splat: at (1, -2, 3), opacity 1/2, gray, size 1."""
    header = struct.pack("<IIIBBBB", 0x5053474E, version, 1, 0, 12, 0, 0)
    place = b"".join(int(v * 4096).to_bytes(3, "little", signed=True) for v in (1, -2, 3))
    return header + place + bytes([128, 128, 128, 128, 160, 160, 160]) + rotation


def packed(content: bytes) -> bytes:
    """Without the time: these bytes name tests, which all processes must name alike."""
    return gzip.compress(content, mtime=0)


def test_version_2_of_spz_is_read(tmp_path):
    # x and y of a quaternion; w is what is missing to a length of 1.
    content = small_spz(2, bytes([204, 128, 51]))
    (tmp_path / "a.spz").write_bytes(gzip.compress(content))
    found = arrays_of(read_splats(tmp_path / "a.spz"))
    np.testing.assert_allclose(found["means"], [[1, 2, -3]])
    np.testing.assert_allclose(found["scales"], 0, atol=1e-6)
    np.testing.assert_allclose(found["quats"], [[0.53, 0.6, 0, 0.6]], atol=0.01)
    np.testing.assert_allclose(sigmoid(found["opacities"]), 0.5, atol=0.01)


def version_4(content: bytes) -> bytes:
    """The same splat as its own streams of Zstandard."""
    pyarrow = pytest.importorskip("pyarrow")
    sizes = [9, 1, 3, 3, 4]
    ends = np.cumsum([16, *sizes])
    parts = [content[a:b] for a, b in itertools.pairwise(ends)]
    packed = [bytes(pyarrow.compress(part, codec="zstd")) for part in parts]
    table = [struct.pack("<QQ", len(p), len(part)) for p, part in zip(packed, parts, strict=True)]
    header = content[:4] + struct.pack("<I", 4) + content[8:15] + bytes([5])
    return header + struct.pack("<I12x", 32) + b"".join(table + packed)


def test_version_4_of_spz_is_read(tmp_path):
    # The largest component is w; x is half of it.
    x = round(np.sqrt(0.2) * np.sqrt(2) * 511)
    content = small_spz(4, ((3 << 30) | (x << 20)).to_bytes(4, "little"))
    (tmp_path / "a.spz").write_bytes(version_4(content))
    found = arrays_of(read_splats(tmp_path / "a.spz"))
    np.testing.assert_allclose(found["means"], [[1, 2, -3]])
    np.testing.assert_allclose(found["quats"], [[2 / 5**0.5, 1 / 5**0.5, 0, 0]], atol=0.002)


def test_the_splat_format_gives_a_scene_back_within_its_steps(tmp_path):
    scene = scene_of(1)
    write_splats(tmp_path / "a.splat", scene)
    found, expected = arrays_of(read_splats(tmp_path / "a.splat")), arrays_of(scene)
    assert found["shN"].shape == (COUNT, 0, 3)
    order = [int(np.abs(expected["means"] - mean).sum(axis=1).argmin()) for mean in found["means"]]
    assert sorted(order) == list(range(COUNT))
    np.testing.assert_array_equal(found["means"], expected["means"][order])
    np.testing.assert_allclose(found["scales"], expected["scales"][order], atol=1e-5)
    assert angles(found["quats"], expected["quats"][order]).max() < 1.2
    inside = np.abs(expected["sh0"][order]) < 0.5 / 0.2821
    difference = np.abs(found["sh0"] - expected["sh0"][order])[inside]
    assert difference.max() < 0.51 / 255 / 0.2820
    # Viewers show what is large and opaque first.
    weight = sigmoid(found["opacities"]) * np.exp(found["scales"].sum(axis=1))
    assert np.corrcoef(np.arange(COUNT), weight)[0, 1] < -0.2


def test_splats_of_a_splat_file_that_are_not_finite_are_counted(tmp_path, caplog):
    write_splats(tmp_path / "a.splat", scene_of(0))
    content = bytearray((tmp_path / "a.splat").read_bytes())
    content[0:4] = struct.pack("<f", np.nan)
    content[32 + 12 : 32 + 16] = struct.pack("<f", -1)
    (tmp_path / "a.splat").write_bytes(content)
    assert len(read_splats(tmp_path / "a.splat")["means"]) == COUNT - 2
    assert "2 of 300 splats are left out" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.splat", b"x" * 33, "has 33 bytes, not 32 for each splat"),
        ("a.splat", b"", "has 0 bytes"),
        ("a.spz", b"x" * 33, "is no SPZ file"),
        ("a.spz", b"", "is a damaged SPZ file"),
        ("a.spz", packed(b"x" * 33), "is no SPZ file"),
        ("a.spz", packed(small_spz(3, bytes(4)))[:-20], "is a damaged SPZ file"),
        ("a.spz", packed(small_spz(3, bytes(3))), "ends after 19 of 20 bytes"),
        ("a.spz", packed(small_spz(1, bytes(4))), "version 1, which is not known"),
        ("a.spz", small_spz(4, bytes(4)), "is a damaged SPZ file"),
        ("a.sog", b"PK\3\4", "is in no format of splats that is known"),
    ],
)
def test_bad_files_are_told_in_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_splats(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("count", [40_000_000, 2**32 - 1])
def test_a_spz_that_promises_too_much_is_told_before_memory_is_taken(tmp_path, count):
    header = struct.pack("<IIIBBBB", 0x5053474E, 3, count, 3, 12, 0, 0)
    (tmp_path / "a.spz").write_bytes(gzip.compress(header + bytes(64)))
    with pytest.raises(InputError, match=r"a\.spz says that it holds"):
        read_splats(tmp_path / "a.spz")
