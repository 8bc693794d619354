"""A large study planned part by part: each has some of the subjects, and the rest has the tables.

A run of all parts and then of the rest makes what one run of the study makes.
"""

from collections.abc import Sequence

from headstyle.base.errors import InputError

REST = "rest"
"""The part of what belongs to no single subject."""


def subjects_of_part(subjects: Sequence[str], part: str | None) -> list[str]:
    """The subjects that a part plans, in their order.

    Args:
        subjects: All subjects of the study.
        part: Such as `3/20` for the third of twenty; None and `rest` have all subjects.

    Raises:
        InputError: there is no such part.
    """
    if part is None or part == REST:
        return list(subjects)
    number, count = map(int, part.split("/"))
    if number > count:
        raise InputError(f"part is {part}; the last of {count} parts is {count}/{count}")
    start, end = ((k * len(subjects)) // count for k in (number - 1, number))
    return list(subjects[start:end])
