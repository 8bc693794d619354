"""Which files are views, what they are called, and which files of other folders are theirs."""

import re
from pathlib import Path

import pytest
from headstyle.base.errors import InputError
from headstyle.importers.listing import (
    images_below,
    list_files,
    look_alikes,
    match_files,
    named_by_place,
    place_of,
    safe_name,
)

SUFFIXES = (".png", ".jpg")


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("a/b.png", "a/b"),
        ("b.JPEG", "b"),
        ("a\\b.jpg", "a/b"),
        ("./train/r_0", "./train/r_0"),
        ("frame.0001", "frame.0001"),
        ("frame.0001.png", "frame.0001"),
        ("v1.2.png", "v1.2"),
        ("a.npy.gz", "a"),
    ],
)
def test_a_place_is_a_path_without_its_suffix(path, place):
    assert place_of(path, (".npy", ".npy.gz")) == place


def test_a_name_is_safe_in_a_file_name_and_tells_places_apart():
    places = ["a b", "a_b", "a/b", "Büste (2)", "..", "-x"]
    names = named_by_place(places)
    assert sorted(names.values()) == sorted(places)
    assert names["a_b"] == "a_b"
    assert all(safe_name(name) == name for name in names)
    assert not any(re.search(r"[/\\ (){}]|^[.-]", name) for name in names)


def test_files_in_the_folder_go_first_and_a_shared_folder_is_no_part_of_a_name(tmp_path):
    make(tmp_path / "root", "images/1.png", "images/2.PNG", "masks/1.png", "images/._1.png")
    assert list(list_files(tmp_path / "root", SUFFIXES, "").files) == ["1", "2"]
    make(tmp_path / "root", "more/1.png")
    names = list(list_files(tmp_path / "root", SUFFIXES, "").files)
    assert names == ["images_1", "images_2", "more_1"]
    make(tmp_path / "root", "3.png")
    assert list(list_files(tmp_path / "root", SUFFIXES, "").files) == ["3"]


@pytest.mark.parametrize("mask", ["{}_mask.png", "mask_{}.png", "{}.jpg.png", "{}_MASK.png"])
def test_a_mask_beside_its_image_is_no_view_and_is_told(tmp_path, mask):
    make(tmp_path, "1.jpg", "2.jpg", "my_mask.jpg", mask.format(1), mask.format(2))
    found = list_files(tmp_path, SUFFIXES, "")
    assert list(found.files) == ["1", "2", "my_mask"]
    assert found.left_out == (f"2 masks (to use them, name {tmp_path} as the masks)",)


def test_what_images_were_made_from_is_no_second_set_of_views(tmp_path):
    make(tmp_path, "input/1.jpg", "images/1.jpg", "images_2/1.png", "sparse/0/cameras.bin")
    found = list_files(tmp_path, SUFFIXES, "")
    assert found.files == {"1": tmp_path / "images/1.jpg"}
    assert found.left_out == ("1 in the folder images_2", "1 in the folder input")
    assert images_below(tmp_path, SUFFIXES) == [tmp_path / "images/1.jpg"]
    make(tmp_path / "other", "input/1.jpg", "input/2.jpg")
    assert list(list_files(tmp_path / "other", SUFFIXES, "").files) == ["1", "2"]
    make(tmp_path / "deeper", "head/input/1.jpg", "head/images/1.jpg", "head/more/2.jpg")
    assert list(list_files(tmp_path / "deeper", SUFFIXES, "").files) == ["images_1", "more_2"]


def test_thumbnails_and_records_of_systems_are_passed_over_in_silence(tmp_path):
    make(tmp_path, "DCIM/1.jpg", "DCIM/@eaDir/1.jpg/THUMB_XL.jpg", "__MACOSX/DCIM/._1.jpg")
    make(tmp_path, "DCIM/1.AAE", "DCIM/1.xmp", "DCIM/Thumbs.db", "DCIM/.DS_Store", "DCIM/1.THM")
    found = list_files(tmp_path, SUFFIXES, "")
    assert (list(found.files), found.left_out) == (["1"], ())


def test_an_archive_is_told_where_nothing_is_unpacked(tmp_path):
    make(tmp_path, "head.zip")
    assert list_files(tmp_path, SUFFIXES, "").left_out == (
        "1 .zip (an archive: unpack it, and name the folder)",
    )
    make(tmp_path, "1.jpg")
    assert list_files(tmp_path, SUFFIXES, "").left_out == ()


def test_links_to_folders_are_followed_once(tmp_path):
    make(tmp_path / "real", "1.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "left").symlink_to(tmp_path / "real")
    (root / "again").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "circle").symlink_to(root)
    assert len(list_files(root, SUFFIXES, "").files) == 1


def test_files_that_differ_by_their_suffix_are_both_named(tmp_path):
    make(tmp_path, "left/1.png", "left/1.jpg", "right/1.png")
    with pytest.raises(InputError, match=r"key: .*left/1\.png and 1\.jpg have the same stem; "):
        list_files(tmp_path, SUFFIXES, "key")
    make(tmp_path, "left/2.png", "left/2.jpg")
    with pytest.raises(InputError, match=r"same stem, as do 1 more pairs; .* one of each pair"):
        list_files(tmp_path, SUFFIXES, "key")


@pytest.mark.parametrize(
    "offered",
    ["1", "1.png", "left/1.jpg", "images/left/1.png", "1.JPG", "left_1.png", "IMG 1.png"],
)
def test_a_file_is_found_by_the_end_of_its_path(offered):
    views = {"left_1": "/photos/left/1.jpg"}
    assert match_files(views, [offered, "2.png"], "folder") == {"left_1": offered}


def test_folders_decide_between_files_of_one_name_in_any_order():
    views = {"left_1": "/photos/left/1.jpg", "right_1": "/photos/right/1.jpg"}
    offered = ["deep/right/1.png", "deep/left/1.png"]
    expected = {"left_1": "deep/left/1.png", "right_1": "deep/right/1.png"}
    for order in (views, dict(reversed(views.items()))):
        assert match_files(order, offered, "folder") == expected
        # The file of one view is not given to the other one.
        assert match_files(order, offered[:1], "folder") == {"right_1": offered[0]}


def test_two_files_that_fit_one_view_are_told():
    with pytest.raises(InputError, match=r"folder: a/1\.png and b/1\.png could both be of 1\.jpg"):
        match_files({"1": "1.jpg"}, ["a/1.png", "b/1.png"], "folder")


def test_names_look_alike_by_their_numbers_or_if_one_holds_the_other():
    assert look_alikes(["IMG_0001"], ["img_1.png", "IMG_0002.png"]) == (
        "; these look alike: 'IMG_0001' and 'img_1.png'"
    )
    assert "'DSC01' and 'DSC01_edited.png'" in look_alikes(["DSC01"], ["DSC01_edited.png"])
    assert look_alikes(["a1"], ["b2.png"]) == ""
