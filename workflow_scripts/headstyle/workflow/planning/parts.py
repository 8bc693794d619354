"""A large study planned part by part: each has some of the subjects, and the rest has the tables.

A run of all parts and then of the rest makes what one run of the study makes.
"""

import re
from collections.abc import Sequence

REST = "rest"
FORM = re.compile(r"([1-9]\d*)/([1-9]\d*)|rest")
"""The third of twenty parts is `3/20`; `rest` is what belongs to no single subject."""


def subjects_of_part(subjects: Sequence[str], part: str | None) -> list[str]:
    """The subjects that a part plans, in their order.

    Args:
        subjects: All subjects of the study.
        part: Such as `3/20`; None and `rest` have all subjects.
    """
    if part is None or part == REST:
        return list(subjects)
    number, count = map(int, part.split("/"))
    start, end = ((k * len(subjects)) // count for k in (number - 1, number))
    return list(subjects[start:end])
