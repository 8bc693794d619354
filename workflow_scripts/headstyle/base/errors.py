"""Errors a user can act on."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Found = TypeVar("Found")


class InputError(ValueError):
    """Bad input. The message is one sentence: which file or key, what is wrong, the next move."""


def first_line(error: BaseException) -> str:
    """What an error of a library says, as far as it fits into a sentence; never empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def all_found(searches: Iterable[Callable[[], list[Found]]]) -> list[Found]:
    """What all searches find.

    Raises:
        InputError: some failed; one line for each, so that all can be mended at once.
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
