"""Files and folders appear whole or not at all."""

import pytest
from headstyle.base.errors import USERS_FILE, InputError
from headstyle.base.files import read_json, whole_file, whole_folder, write_json


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "views"
    folder.mkdir()
    (folder / "stale.png").write_text("")
    with whole_folder(folder) as partial:
        (partial / "new.png").write_text("")
        assert (folder / "stale.png").exists()
    assert [p.name for p in folder.iterdir()] == ["new.png"]


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    leftover = tmp_path / ".views.partial-99999"
    leftover.mkdir()
    (leftover / "half.png").write_text("")
    with whole_folder(tmp_path / "views"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["views"]


def test_a_json_file_reads_back_equal(tmp_path):
    write_json(tmp_path / "a.json", {"x": [1, 2.5, None], "ä": "石"})
    assert read_json(tmp_path / "a.json") == {"x": [1, 2.5, None], "ä": "石"}


def test_a_truncated_json_is_told_by_its_name(tmp_path):
    (tmp_path / "a.json").write_text('{"x": ')
    with pytest.raises(InputError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_a_users_json_is_never_to_be_deleted(tmp_path):
    (tmp_path / "a.json").write_text('{"x": ')
    with pytest.raises(InputError, match="delete it and run the workflow again"):
        read_json(tmp_path / "a.json")
    for name in ("a.json", "none.json"):
        with pytest.raises(InputError, match=f"{name} .* correct") as raised:
            read_json(tmp_path / name, USERS_FILE)
        assert "delete" not in str(raised.value)
