"""The files of answers that the page gives, and its key."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from headstyle.base.errors import InputError, given_by, result_of
from headstyle.base.tables.rows import read_rows, write_cells
from headstyle.leaderboard.ratings.page import BEST, WORST, Item

CHOICES = {"left": 1.0, "equal": 0.5, "right": 0.0}
"""What an answer counts for the left side."""
_KEY = tuple(field.name for field in fields(Item))
_COLUMNS = ("rater", "item", "choice", "left", "right")
_ORIGIN = given_by("the config key leaderboard.ratings.answers")


@dataclass(frozen=True)
class Answer:
    """What one person said of one item."""

    rater: str
    item: str
    choice: str
    """A key of `CHOICES`."""
    left: int
    """Rating of the left side, from `WORST` to `BEST`."""
    right: int


def write_key(path: str | Path, items: Sequence[Item]) -> None:
    """Write which methods stand behind each item."""
    write_cells(path, [_KEY, *(astuple(item) for item in items)])


def read_key(path: str | Path) -> dict[str, Item]:
    """The items by their number.

    Raises:
        InputError: the file is missing or damaged.
    """
    rows = read_rows(path, result_of("write_ratings_page"), _KEY)
    return {row["item"]: Item(*(row[name] for name in _KEY)) for row in rows}


def read_answers(paths: Sequence[str | Path], key: Mapping[str, Item]) -> list[Answer]:
    """The answers of all files.

    Raises:
        InputError: a file is missing, an item is unknown, a cell is not allowed, or a person
            answered an item twice.
    """
    answers: dict[tuple[str, str], Answer] = {}
    for path in paths:
        for number, row in enumerate(read_rows(path, _ORIGIN, _COLUMNS), start=2):
            answer = _answer(row, f"{path}, row {number}", key)
            if (answer.rater, answer.item) in answers:
                raise InputError(
                    f"{path}, row {number}: {answer.rater!r} answered the item {answer.item} twice;"
                    " remove one row, or give two people two names"
                )
            answers[answer.rater, answer.item] = answer
    return list(answers.values())


def _answer(row: Mapping[str, str], where: str, key: Mapping[str, Item]) -> Answer:
    if row["item"] not in key:
        raise InputError(
            f"{where}: the item {row['item']!r} is not in the key; the answers are of another page"
        )
    if row["choice"] not in CHOICES:
        raise InputError(f"{where}: the choice is {row['choice']!r}; allowed: {', '.join(CHOICES)}")
    allowed = [str(value) for value in range(WORST, BEST + 1)]
    for side in ("left", "right"):
        if row[side] not in allowed:
            raise InputError(
                f"{where}: the rating {side} is {row[side]!r}; allowed: {', '.join(allowed)}"
            )
    # The page puts an apostrophe before what a spreadsheet would run.
    rater = row["rater"].removeprefix("'")
    return Answer(rater, row["item"], row["choice"], int(row["left"]), int(row["right"]))
