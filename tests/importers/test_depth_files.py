"""The one reader of depth maps: kinds of files beyond those in test_foreign.py."""

import gzip
import io
import zipfile

import cv2
import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.importers.depths import read_depth
from PIL import Image

DEPTH = np.array([[0, 1.5, 2.25], [np.nan, np.inf, -1]], dtype=np.float32)
CLEAN = np.array([[0, 1.5, 2.25], [0, 0, 0]], dtype=np.float32)


def npy(values) -> bytes:
    np.save(buffer := io.BytesIO(), values)
    return buffer.getvalue()


def write_pfm(path, values, kind: bytes = b"Pf", endian: str = "<") -> None:
    height, width = values.shape[:2]
    scale = b"-1.0" if endian == "<" else b"1.0"
    head = kind + b"\n" + f"{width} {height}\n".encode() + scale + b"\n"
    path.write_bytes(head + np.ascontiguousarray(values[::-1]).astype(f"{endian}f4").tobytes())


def test_depth_is_read_from_gz_tiff_and_pfm(tmp_path):
    (tmp_path / "a.npy.gz").write_bytes(gzip.compress(npy(DEPTH[..., None])))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(DEPTH))
    np.save(tmp_path / "half.npy", DEPTH.astype(np.float16))
    cv2.imwrite(str(tmp_path / "b.tiff"), DEPTH)
    cv2.imwrite(str(tmp_path / "three.TIF"), np.dstack([DEPTH] * 3))
    Image.fromarray(DEPTH).save(tmp_path / "pillow.tif")
    write_pfm(tmp_path / "c.pfm", DEPTH)
    write_pfm(tmp_path / "big.pfm", DEPTH, endian=">")
    write_pfm(tmp_path / "color.PFM", np.dstack([DEPTH] * 3), kind=b"PF")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_depth(path), CLEAN, err_msg=path.name)


def test_whole_numbers_in_a_tiff_need_their_scale(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tiff"), (CLEAN * 1000).astype(np.uint16))
    with pytest.raises(InputError, match=r"a\.tiff counts depth in steps .*foreign\.x\.scale"):
        read_depth(tmp_path / "a.tiff", None, "foreign.x.scale")
    np.testing.assert_allclose(read_depth(tmp_path / "a.tiff", 0.001), CLEAN, rtol=1e-6)


def huge_npy() -> bytes:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (200000, 200000), }"
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def write_zip(path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("depth.npy", huge_npy())


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("a.npy.gz", lambda p: p.write_bytes(b"nonsense"), "cannot be read as depth"),
        ("a.npy.gz", lambda p: p.write_bytes(gzip.compress(npy(DEPTH))[:60]), "cannot be read"),
        ("a.npy", lambda p: p.write_bytes(npy(DEPTH)[:-4]), "cannot be read as depth"),
        ("a.npy", lambda p: p.write_bytes(huge_npy()), "40,000,000,000 numbers, too many"),
        ("a.npz", write_zip, "40,000,000,000 numbers, too many"),
        ("a.pfm", lambda p: p.write_bytes(b"Pf\n9 9\n-1\n"), "cannot be read as depth"),
        ("a.pfm", lambda p: p.write_bytes(b"P6\n"), "cannot be read as depth"),
        ("a.tiff", lambda p: p.write_bytes(b"nonsense"), "cannot be read as depth"),
        ("a.tiff", lambda p: cv2.imwrite(str(p), CLEAN.astype(np.uint8)), "too few for depth"),
        (
            "a.tiff",
            lambda p: cv2.imwrite(str(p), np.dstack([CLEAN, CLEAN + 1, CLEAN])),
            "colors, not depth",
        ),
    ],
)
def test_depth_that_cannot_be_read_is_named(tmp_path, name, write, said):
    write(tmp_path / name)
    with pytest.raises(InputError) as error:
        read_depth(tmp_path / name, 1.0)
    message = str(error.value)
    assert message.startswith(str(tmp_path / name))
    assert said in message
    assert "; " in message
    assert "\n" not in message
