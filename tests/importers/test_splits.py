"""The views that a data set holds out itself."""

import json

import pytest
from headstyle.base.errors import InputError
from headstyle.importers.given_poses import held_out_views


def write_split(folder, split: str, names: list[str]) -> None:
    frames = [{"file_path": name} for name in names]
    (folder / f"transforms_{split}.json").write_text(json.dumps({"frames": frames}))


def test_views_of_the_test_and_validation_files_are_held_out(tmp_path):
    # NeRF's scenes count from 0 in each split, and give no suffix.
    write_split(tmp_path, "train", ["./train/r_0", "./train/r_1"])
    write_split(tmp_path, "test", ["./test/r_0"])
    write_split(tmp_path, "val", ["./val/r_0", "./val/r_1"])
    views = ["test_r_0", "train_r_0", "train_r_1", "val_r_0", "val_r_1"]
    assert held_out_views(tmp_path, views) == ["test_r_0", "val_r_0", "val_r_1"]
    # Views without a photograph or pose are no views any more.
    assert held_out_views(tmp_path / "transforms_train.json", views[:3]) == ["test_r_0"]


def test_a_view_in_two_files_is_trained_on(tmp_path):
    write_split(tmp_path, "train", ["images/a.png", "images/b.png"])
    write_split(tmp_path, "test", ["images/b.png", "images/c.png"])
    assert held_out_views(tmp_path, ["a", "b", "c"]) == ["c"]


def test_the_lists_of_nerfstudio_count(tmp_path):
    content = {
        "frames": [{"file_path": f"images/{name}.png"} for name in "abc"],
        "train_filenames": ["images/a.png", "images/c.png"],
        "val_filenames": ["images/b.png"],
    }
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    assert held_out_views(tmp_path, ["a", "b", "c"]) == ["b"]
    assert held_out_views(tmp_path / "transforms.json", ["a", "b", "c"]) == ["b"]


def test_what_has_no_splits_is_told_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match="the subject has no poses of its own"):
        held_out_views("", ["a"])
    with pytest.raises(InputError, match="tells no views to train on and others to hold out"):
        held_out_views(tmp_path, ["a"])
    write_split(tmp_path, "train", ["a"])
    write_split(tmp_path, "test", ["b"])
    with pytest.raises(InputError, match="its splits hold out 0 of the 1 views"):
        held_out_views(tmp_path, ["a"])
