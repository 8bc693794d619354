"""Errors a user can act on."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

logger = logging.getLogger("headstyle")

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
