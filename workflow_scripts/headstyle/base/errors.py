"""Errors a user can act on."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

logger = logging.getLogger("headstyle")

Found = TypeVar("Found")


class InputError(ValueError):
    """Bad input. The message is one sentence: which file or key, what is wrong, the next move."""


@dataclass(frozen=True)
class Origin:
    """Whose file a file is. Errors about the file tell by it what the user can do."""

    if_missing: str
    """The next move when the file does not exist."""
    if_wrong: str
    """The next move when the file cannot be used."""


def result_of(rule: str) -> Origin:
    """A file that a rule of the workflow makes; the user loses nothing by deleting it."""
    return Origin(
        f"run the workflow again, whose rule {rule} makes it",
        f"delete it and run the workflow again, whose rule {rule} makes it",
    )


def given_by(setting: str) -> Origin:
    """A file of the user's own, which a setting names; errors never ask to delete it.

    Args:
        setting: What names the file, such as `the config key summary.ratings`.
    """
    return Origin(
        f"create it or correct {setting}, which names it",
        f"correct the file, or name another one in {setting}",
    )


_FOLDERS = ("capture", "masks", "views", "renders", "depth", "edits", "sparse", "sequence")


def result_in_folder(path: str | Path) -> Origin:
    """A file in a folder that a rule makes as a whole.

    Deleting only the file would do nothing: Snakemake knows the folder, or the index in it.
    """
    parents = list(Path(path).parents)
    folder = next((parent for parent in parents if parent.name in _FOLDERS), parents[0])
    again = "and run the same command again, which makes it"
    return Origin(f"delete the folder {folder} {again}", f"delete the folder {folder} {again}")


RESULT = Origin("run the workflow again, which makes it", "delete it and run the workflow again")
"""A file that some rule of the workflow makes."""
USERS_FILE = given_by("the setting")
"""A file of the user's own, where the reader does not know which setting names it."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for use in a sentence; its type if there is none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def all_found(searches: Iterable[Callable[[], list[Found]]]) -> list[Found]:
    """Run all searches and join what they find.

    Raises:
        InputError: one or more searches failed. The message has one line for each of them, so that
            the user can correct all at once.
    """
    found: list[Found] = []
    problems: list[str] = []
    for search in searches:
        try:
            found += search()
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))
    return found


def fetched(what: str, fetch: Callable[[], Found]) -> Found:
    """The result of a download.

    Args:
        what: What is fetched, in words.
        fetch: Fetches it.

    Raises:
        InputError: it cannot be had, for whatever reason; or what `fetch` itself tells.
    """
    logger.info("%s", what)
    try:
        return fetch()
    except InputError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"{what} cannot be downloaded ({reason}); run `snakemake --cores 1 models` on a "
            "machine with a network and copy the caches that it names"
        ) from error
