"""The leaderboard and the page of the ratings, used in a browser."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from headstyle.leaderboard.methods import Method
from headstyle.leaderboard.page import Board, board_page
from headstyle.leaderboard.ranking import Resampling, rank
from headstyle.leaderboard.ratings.answers import read_answers
from headstyle.leaderboard.ratings.page import Item, ratings_page

SQUARE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='2' height='3'%3E"
    "%3Crect width='2' height='3' fill='{}'/%3E%3C/svg%3E"
)


def opened(browser, path: Path, width: int = 1400):
    """The page, and what it complained about."""
    page, complaints = browser.new_page(viewport={"width": width, "height": 900}), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"file://{path}")
    return page, complaints


def test_a_person_rates_and_the_file_says_what_they_saw_whatever_the_sides(browser, tmp_path):
    """The green head is always preferred; in the key it is `good`, on either side."""
    items = [
        Item(str(n), "A", "P1", *(("good", "bad") if n % 2 else ("bad", "good")))
        for n in range(1, 7)
    ]
    clips = {
        ("good", "A", "P1"): [SQUARE.format("green")] * 2,
        ("bad", "A", "P1"): [SQUARE.format("red")] * 2,
    }
    (tmp_path / "ratings.html").write_text(ratings_page(items, clips, {("A", "P1"): "<b>text"}))
    page, complaints = opened(browser, tmp_path / "ratings.html", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#rater").fill('=cmd|"x"')
    page.locator("#start button").click()
    assert not page.locator("#start").is_visible()
    for _ in items:
        assert page.locator("#text").inner_text().strip('"“”') == "<b>text"
        is_left = "green" in page.locator("#picture-0").get_attribute("src")
        assert page.locator("#next").is_disabled()
        page.locator(f"input[name=choice][value={'left' if is_left else 'right'}]").check()
        page.locator(f"input[name=rating-{0 if is_left else 1}][value='3']").check()
        page.locator(f"input[name=rating-{1 if is_left else 0}][value='0']").check()
        page.locator("#next").click()
    assert page.locator("#end").is_visible()
    with page.expect_download() as download:
        page.locator("#download").click()
    path = tmp_path / "answers.csv"
    download.value.save_as(path)
    assert "'=cmd" in path.read_text()
    key = {item.item: item for item in items}
    answers = read_answers([path], key)
    assert {answer.item for answer in answers} == set(key)
    for answer in answers:
        side = "left" if key[answer.item].left == "good" else "right"
        assert answer.choice == side
        assert getattr(answer, side) == 3
        assert answer.rater == '=cmd|"x"'
    assert complaints == []
    page.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Path:
    names = [f"method-{n}" for n in range(6)]
    random = np.random.default_rng(0)
    values = pd.DataFrame(
        [
            (name, "A", "P1", str(unit), place / 10 + random.normal(0, 0.02))
            for place, name in enumerate(names)
            for unit in range(20)
        ],
        columns=["method", "subject", "prompt", "unit", "headline"],
    )
    ranking = rank(values, "headline", higher_is_better=True, resampling=Resampling(50))
    scenes = values.groupby(["method", "subject", "prompt"])["headline"].mean().reset_index()
    scenes = scenes.assign(edit_strength=10.0, sharpness=0.5)
    published = pd.DataFrame(
        [("A", "P1", "low", 0.1, 3)], columns=["subject", "prompt", "strength", "rmse", "quality"]
    )
    methods = [Method(name, "made:thesis", "a sentence of a usual length " * 3) for name in names]
    shown = {("A", "P1"): dict.fromkeys(names, SQUARE.format("green"))}
    rankings = {"headline": ranking, "rmse": ranking}
    path = tmp_path_factory.mktemp("board") / "leaderboard.html"
    path.write_text(board_page(Board(methods, rankings, scenes, published, shown, Resampling())))
    return path


@pytest.mark.parametrize("width", [1400, 390])
def test_the_leaderboard_fits_the_window_and_sorts(browser, board, width):
    page, complaints = opened(browser, board, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = "#standings tbody tr:first-child .who b"
    assert page.locator(first).inner_text() == "method-5"
    page.locator("#standings th:nth-child(3) button").click()
    assert page.locator(first).inner_text() == "method-0"
    assert complaints == []
    page.close()


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_leaderboard_follows_light_and_dark(browser, board, scheme, is_dark):
    page, _ = opened(browser, board)
    page.emulate_media(color_scheme=scheme)
    channels = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")
    assert (sum(map(int, channels)) < 200) == is_dark
    page.close()
