"""Tables read back as they were written, and errors say what to do about whose file."""

import numpy as np
import pandas as pd
import pytest
from headstyle.base.errors import InputError, given_by, result_of
from headstyle.base.tables.frames import read_table, write_table
from headstyle.base.tables.rows import read_cells, read_rows, write_cells

OWN = result_of("summarize")
USERS = given_by("the config key summary.ratings")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_any_text_reads_back_as_it_was_written(tmp_path, name):
    cells = [["view", "text"], ["a", 'say "hi",\nthen\tleave'], ["石", ""]]
    write_cells(tmp_path / name, cells)
    assert read_cells(tmp_path / name, OWN) == cells
    assert read_rows(tmp_path / name, OWN) == [dict(zip(cells[0], row)) for row in cells[1:]]  # noqa: B905
    separated = "view\ttext" if name.endswith("tsv") else "view,text"
    assert (tmp_path / name).read_text(encoding="utf-8").splitlines()[0] == separated


def test_missing_cells_are_empty_and_empty_lines_are_no_rows(tmp_path):
    (tmp_path / "a.tsv").write_text("\ufeffa\tb\n\n1\n2\t3\t\n", encoding="utf-8")
    assert read_rows(tmp_path / "a.tsv", OWN) == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]


def test_names_stay_text_and_empty_cells_of_a_data_frame_are_nan(tmp_path):
    table = pd.DataFrame({"subject": ["007", "NA"], "rmse": [0.1, np.nan]})
    write_table(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_text() == "subject,rmse\n007,0.1\nNA,\n"
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.csv", OWN), table, check_dtype=False)


def as_rows(path, origin):
    return read_rows(path, origin, ["view"])


def as_frame(path, origin):
    return read_table(path, origin, ["view"])


WRONG = {
    "none.csv": (None, "does not exist"),
    "bytes.csv": (b"view\n\xff\xfe\n", "cannot be read as a table"),
    "other.csv": (b"a,b\n1,2\n", "lacks the column view"),
    "wide.csv": (b"view\n1\n2,3\n", None),
}


@pytest.mark.parametrize("read", [as_rows, as_frame])
@pytest.mark.parametrize("name", WRONG)
def test_only_a_result_is_to_be_deleted_and_a_users_file_never(tmp_path, read, name):
    content, said = WRONG[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as own:
        read(path, OWN)
    with pytest.raises(InputError, match=said) as users:
        read(path, USERS)
    assert str(path) in str(own.value)
    assert "run the workflow again, whose rule summarize makes it" in str(own.value)
    assert ("delete it" in str(own.value)) == (content is not None)
    assert "delete" not in str(users.value)
    assert "summary.ratings" in str(users.value)
    assert "\n" not in str(users.value)
