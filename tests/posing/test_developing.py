"""Photographs made of videos and of RAW files."""

import importlib.util

import cv2
import numpy as np
import pytest
from films import RATE, picture, write_video
from headstyle.base.errors import InputError
from headstyle.posing.developing.sources import develop, files_to_develop
from headstyle.posing.developing.videos import choose_frames, read_video_info
from headstyle.posing.photographs import list_photographs, read_info, read_photograph


def test_the_sharpest_frame_of_each_part_of_the_time_is_taken(tmp_path):
    sharp = {3, 11, 19, 27}
    frames = [
        picture(step) if step in sharp else cv2.GaussianBlur(picture(step), (0, 0), 3)
        for step in range(32)
    ]
    write_video(tmp_path / "head.mp4", frames)
    out = tmp_path / "out"
    out.mkdir()
    content = develop(files_to_develop(tmp_path / "head.mp4"), 4, out)
    assert {view["number"] for view in content["views"].values()} == sharp
    assert [view["seconds"] for view in content["views"].values()] == [0.3, 1.1, 1.9, 2.7]
    photographs = list_photographs(out)
    assert list(photographs) == list(content["views"])
    for view, path in photographs.items():
        shown = read_photograph(path).astype(float)
        expected = picture(content["views"][view]["number"])
        assert np.abs(shown - expected).mean() < 6


def test_two_runs_give_the_same_files(tmp_path):
    write_video(tmp_path / "head.mp4", [picture(step) for step in range(9)])
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        develop([tmp_path / "head.mp4"], 3, tmp_path / name)
        made.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()})
    assert made[0] == made[1]
    assert len(made[0]) == 3


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_frames_are_turned_upright_as_the_header_says(tmp_path, quarter_turns):
    write_video(tmp_path / "head.mp4", [picture(step) for step in range(3)], quarter_turns)
    (tmp_path / "out").mkdir()
    develop([tmp_path / "head.mp4"], 3, tmp_path / "out")
    shown = read_photograph(tmp_path / "out" / "frame_000000.jpg").astype(float)
    expected = np.rot90(picture(0), -quarter_turns)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 6
    info = read_video_info(tmp_path / "head.mp4")
    assert (info.height, info.width) == expected.shape[:2]
    assert info.frames_per_second == RATE


def test_chosen_frames_keep_their_distance():
    times = np.arange(100) / 10
    sharpness = np.zeros(100)
    # Both sides of the border between two parts are sharp; the second one is too near.
    sharpness[[24, 25, 40]] = 2, 3, 1
    assert choose_frames(times, sharpness, 4)[:2] == [24, 40]
    assert choose_frames(times, sharpness, 200) == list(range(100))
    # Three seconds without a frame give no photograph.
    gap = np.concatenate([times[:30], times[60:]])
    assert len(choose_frames(gap, np.ones(len(gap)), 10)) == 7


def test_which_files_are_developed(tmp_path):
    (tmp_path / "film").mkdir()
    (tmp_path / "film" / "head.MOV").write_bytes(b"")
    assert files_to_develop(tmp_path / "film") == [tmp_path / "film" / "head.MOV"]
    (tmp_path / "film" / "a.jpg").write_bytes(b"")
    # Photographs come first; the listing names the video that is left out.
    assert files_to_develop(tmp_path / "film") == []
    (tmp_path / "film" / "a.jpg").unlink()
    (tmp_path / "film" / "other.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds 2 videos \(head\.MOV, other\.mp4"):
        files_to_develop(tmp_path / "film")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(InputError, match=r"a\.txt is no video"):
        files_to_develop(tmp_path / "a.txt")


def test_a_file_that_is_no_video_is_told_in_one_sentence(tmp_path):
    (tmp_path / "a.mp4").write_text("hello")
    with pytest.raises(InputError, match=r"a\.mp4 cannot be decoded as a video") as error:
        develop([tmp_path / "a.mp4"], 3, tmp_path)
    assert "\n" not in str(error.value)
    write_video(tmp_path / "b.mp4", [picture(0)])
    with pytest.raises(InputError, match=r"b\.mp4 has 1 frames; name a longer video"):
        develop([tmp_path / "b.mp4"], 3, tmp_path)


def test_raw_files_without_their_package_say_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.NEF").write_bytes(b"")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "rawpy" else found(name)
    )
    with pytest.raises(InputError, match=r"1 RAW files.*pip install 'headstyle\[raw\]'"):
        files_to_develop(tmp_path)


def write_dng(path, orientation: int = 1) -> None:
    """A RAW file of a gray wall, brighter on the left; the camera saw twice as much green."""
    tifffile = pytest.importorskip("tifffile")
    height, width = 200, 300
    mosaic = np.full((height, width), 8000, np.uint16)
    mosaic[:, : width // 2] = 24000
    # Rows of red and green, then of green and blue.
    mosaic[0::2, 0::2] //= 2
    mosaic[1::2, 1::2] //= 2
    # From XYZ to the camera's colors, which are here those of linear sRGB.
    matrix = [32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572]
    rationals = [number for value in matrix for number in (value, 10000)]
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50707, "B", 4, (1, 1, 0, 0), True),
        (50708, "s", 0, "Test", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50714, "H", 1, 0, True),
        (50717, "I", 1, 65535, True),
        (50721, "2i", 9, rationals, True),
        (50728, "2I", 3, (1, 2, 1, 1, 1, 2), True),
        (50778, "H", 1, 21, True),
        (274, "H", 1, orientation, True),
        (271, "s", 0, "Maker", True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags, rowsperstrip=height)


@pytest.mark.parametrize("orientation", [1, 6])
def test_raw_files_are_developed_upright_with_their_white_balance(tmp_path, orientation):
    pytest.importorskip("rawpy")
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("a.dng", "b.DNG"):
        write_dng(folder / name, orientation)
    out = tmp_path / "out"
    out.mkdir()
    content = develop(files_to_develop(folder), 60, out)
    assert list(content["views"]) == ["a", "b"]
    shown = read_photograph(out / "a.jpg").astype(float)
    info = read_info(out / "a.jpg")
    assert (info.height > info.width) == (orientation == 6)
    # Left becomes up when the camera was turned.
    first, second = (
        (shown[20:-20, 20:100], shown[20:-20, 180:-20])
        if orientation == 1
        else (shown[20:100, 20:-20], shown[180:-20, 20:-20])
    )
    assert first.mean() > second.mean() + 40
    for part in (first, second):
        red, green, blue = part.reshape(-1, 3).mean(axis=0)
        assert max(red, green, blue) - min(red, green, blue) < 12


def test_a_damaged_raw_file_is_told_in_one_sentence(tmp_path):
    pytest.importorskip("rawpy")
    for name in ("a.nef", "b.nef"):
        (tmp_path / name).write_text("hello")
    with pytest.raises(InputError, match=r"a\.nef cannot be developed") as error:
        develop(files_to_develop(tmp_path), 60, tmp_path)
    assert "\n" not in str(error.value)
