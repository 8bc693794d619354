"""PLY files, against the reader and writer of another project."""

import numpy as np
import pytest
from headstyle.base.errors import InputError, given_by
from headstyle.base.tables.ply import read_ply_tables, write_ply_tables
from plyfile import PlyData, PlyElement

OWN = given_by("the setting")
COLUMNS = [("x", "f4"), ("number", "i2"), ("far", "f8"), ("red", "u1")]


@pytest.fixture
def table():
    generator = np.random.default_rng(0)
    table = np.zeros(5, COLUMNS)
    table["x"], table["far"] = generator.normal(size=(2, 5))
    table["number"], table["red"] = range(-2, 3), range(251, 256)
    return table


@pytest.mark.parametrize("order", ["<", ">", "text"])
def test_another_programs_tables_are_read_beside_its_lists_and_comments(tmp_path, table, order):
    faces = np.empty(2, [("vertices", object)])
    faces["vertices"] = [np.array([1, 2, 3], "i4"), np.array([4], "i4")]
    elements = [PlyElement.describe(faces, "face"), PlyElement.describe(table, "vertex")]
    is_text, byte_order = order == "text", "=" if order == "text" else order
    PlyData(elements, is_text, byte_order, ["made elsewhere"]).write(tmp_path / "a.ply")
    found = read_ply_tables(tmp_path / "a.ply", OWN)
    assert list(found) == ["vertex"]
    for name in table.dtype.names:
        np.testing.assert_array_equal(found["vertex"][name], table[name])


def test_another_program_reads_our_tables_and_writes_the_same_bytes(tmp_path, table):
    write_ply_tables(tmp_path / "a.ply", {"vertex": table, "none": table[:0]})
    found = PlyData.read(tmp_path / "a.ply")
    np.testing.assert_array_equal(found["vertex"].data, table)
    assert len(found["none"].data) == 0
    found.write(tmp_path / "b.ply")
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


HEADER = b"ply\nformat binary_little_endian 1.0\nelement vertex 2\nproperty float x\nend_header\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello\n", "does not begin as a PLY"),
        (HEADER[:40], "its header has no end"),
        (HEADER + bytes(7), "says that it holds 2 entries of 'vertex' but has only 7 bytes"),
        (HEADER.replace(b"float", b"quad") + bytes(8), "a property of the kind 'quad'"),
        (HEADER.replace(b"binary_little", b"middle") + bytes(8), "names no format that is known"),
        (HEADER.replace(b"float", b"list float") + bytes(8), "the line 'property list float x'"),
        (HEADER.replace(b"binary_little_endian", b"ascii") + b"1.0\n", "it has 1 of 2 entries"),
        (HEADER.replace(b"binary_little_endian", b"ascii") + b"1\nx\n", "cannot be read as a PLY"),
    ],
    ids=["no ply", "cut header", "cut rows", "kind", "format", "list", "cut text", "text"],
)
def test_a_damaged_file_is_told_in_one_sentence(tmp_path, content, message):
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(InputError, match=f"a\\.ply .*{message}.*; correct the file, or name"):
        read_ply_tables(tmp_path / "a.ply", OWN)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match=r"none\.ply does not exist; create it or correct"):
        read_ply_tables(tmp_path / "none.ply", OWN)
