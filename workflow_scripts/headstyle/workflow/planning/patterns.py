"""Regular expressions for wildcards that stand for one of many names."""

import re
from collections.abc import Iterable

Tree = dict[str, "Tree"]
"""Names letter by letter; the key "" says that a name ends here."""


def any_of(names: Iterable[str], without: str = "none") -> str:
    """A pattern for exactly these names.

    `A|B|C` is tried from its start for each file, so planning would take the square of the number
    of subjects. Here names share their first letters, as in `S(?:0|1(?:0|1)?)`.

    Args:
        names: The names, in any order.
        without: The pattern where there are no names.
    """
    tree: Tree = {}
    for name in names:
        branch = tree
        for letter in name:
            branch = branch.setdefault(letter, {})
        branch[""] = {}
    return _pattern(tree) if tree else without


def _pattern(tree: Tree) -> str:
    start = ""
    while len(tree) == 1 and "" not in tree:
        ((letter, tree),) = tree.items()
        start += re.escape(letter)
    branches = [
        re.escape(letter) + _pattern(below) for letter, below in sorted(tree.items()) if letter
    ]
    if not branches:
        return start
    return f"{start}(?:{'|'.join(branches)}){'?' if '' in tree else ''}"
