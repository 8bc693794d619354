"""The table of methods, and the page on which they stand."""

import numpy as np
import pandas as pd
import pytest
from analytic import cameras_around
from headstyle.base.errors import InputError
from headstyle.leaderboard.board import gallery, higher_is_better, scene_means
from headstyle.leaderboard.methods import Method, read_methods
from headstyle.leaderboard.page import Board, board_page
from headstyle.leaderboard.ranking import Resampling, rank
from headstyle.leaderboard.scores import with_foreground
from PIL import Image
from study import ROOT

HEAD = "method\tfolder\twhat\tlink\tlicense\n"
SCHEDULES = ["thesis", "igs2gs", "in2n"]


def table(tmp_path, rows: str):
    path = tmp_path / "methods.tsv"
    path.write_text(HEAD + rows)
    return path


def test_the_shipped_table_has_the_entries_of_the_first_day():
    methods = {m.name: m for m in read_methods(ROOT / "config" / "methods.tsv", SCHEDULES)}
    assert {m.made for m in methods.values()} == {
        *SCHEDULES,
        *("views_alone", "true_edits", "baseline"),
    }
    assert [m.name for m in methods.values() if m.is_reference] == ["true-edits", "unedited"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "has no rows"),
        ("a\tmade:magic\t\t\t\n", "cannot make 'magic'; choose one of thesis"),
        ("a\tnowhere\t\t\t\n", "'nowhere' does not exist"),
        ("../a\tmade:thesis\t\t\t\n", "use letters, digits"),
        ("a\tmade:thesis\t\tjavascript:alert(1)\t\n", "begin it with https://"),
        ("a\tmade:thesis\t\t\t\na\tmade:in2n\t\t\t\n", "has the method a twice"),
    ],
)
def test_a_row_that_cannot_be_used_is_told(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read_methods(table(tmp_path, rows), SCHEDULES)


def test_renders_are_found_in_plain_folders_and_in_results_folders(tmp_path):
    for folder in ("plain/A/P1", "results/A/avatars/P1_low/renders"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "v0.png").touch()
    plain, results = (Method(name, str(tmp_path / name), "") for name in ("plain", "results"))
    assert plain.renders("A", "P1", "low") == tmp_path / "plain/A/P1"
    assert results.renders("A", "P1", "low") == tmp_path / "results/A/avatars/P1_low/renders"
    assert results.renders("A", "P1", "high") is None
    assert plain.renders("B", "P1", "low") is None


def test_renders_without_transparency_have_the_foreground_of_before():
    opaque, before = np.ones((2, 2, 4), np.float32), np.zeros((2, 2, 4), np.float32)
    before[0, 0, 3] = 1
    cut = np.ones((2, 2, 4), np.float32) * (1, 1, 1, 0.5)
    first, second = with_foreground([opaque, cut], [before, before])
    assert first[..., 3].sum() == 1
    assert (second == cut).all()


def test_the_directions_of_all_that_is_ranked_are_known():
    assert higher_is_better("headline")
    assert higher_is_better("truth_psnr")
    assert not higher_is_better("rmse")
    assert not higher_is_better("truth_lpips_mini")


def test_the_page_escapes_all_that_others_write_and_loads_nothing():
    evil = "<script>alert(1)</script>"
    methods = [
        Method("a", "made:thesis", evil, 'https://example.org/?a=1&b="2"', evil),
        Method("unedited", "made:baseline", "nothing"),
    ]
    pairs = pd.DataFrame(
        [
            (method.name, "A", evil, target, "v9", 1.0, value + int(target[1]) / 10)
            for method, value in zip(methods, (0.4, 0.9), strict=True)
            for target in ("v0", "v1")
        ],
        columns=["method", "subject", "prompt", "target", "source", "overlap", "rmse"],
    )
    views = pairs.rename(columns={"target": "view"}).assign(edit_strength=1.0, sharpness=1.0)
    units = pairs.assign(unit=pairs["target"])
    ranking = rank(units, "rmse", higher_is_better=False, unranked=["unedited"])
    scenes = scene_means(pairs, views, ["rmse"])
    published = pd.DataFrame(
        [("A", "P1", "low", 0.1, 3)], columns=["subject", "prompt", "strength", "rmse", "quality"]
    )
    shown = {("A", evil): {"a": "data:image/webp;base64,AAAA"}}
    board = Board(methods, {"rmse": ranking}, scenes, published, shown, Resampling())
    html = board_page(board)
    assert evil not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "default-src 'none'" in html
    assert 'href="https://example.org/?a=1&amp;b=&quot;2&quot;"' in html
    assert ">ref.<" in html
    assert 'src="http' not in html


def test_pictures_stand_in_the_order_of_subjects_and_prompts(tmp_path):
    rig = cameras_around([-12, 0, 17], [(8, 12)] * 3)
    for name in rig.names:
        Image.new("RGBA", (8, 12), "red").save(tmp_path / f"{name}.png")
    scenes = [
        {"subject": subject, "prompt": prompt, "renders": str(tmp_path)}
        for subject in "AB"
        for prompt in ("P3", "P4")
    ]
    found = gallery({"mine": scenes}, {"A": rig, "B": rig})
    assert list(found) == [("A", "P3"), ("A", "P4"), ("B", "P3"), ("B", "P4")]
