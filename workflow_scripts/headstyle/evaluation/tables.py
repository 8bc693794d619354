"""The table of all subjects' evaluations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from headstyle.base.errors import result_of
from headstyle.base.files import read_json
from headstyle.base.tables.frames import read_table
from headstyle.evaluation.scores import SCORES

KEYS = ("subject", "split", "region", "background")
"""What a row is of."""
FACTS = ("splats", "fps", "ply_bytes", "spz_bytes")
"""What holds for a whole subject."""
# Of a radiance field, which has no splats.
NONE = float("nan")
ALL = "all"
"""Name of the rows over all subjects."""
_ORIGIN = result_of("evaluate_baseline")


def summarize_evaluations(folders: Sequence[str | Path]) -> pd.DataFrame:
    """Means over the views of each subject, and over the subjects.

    Args:
        folders: Folders with `evaluation.csv` and `evaluation.json`.

    Returns:
        One row per subject, split, region and background, with `views`, the mean scores, and the
        numbers of `FACTS`. The rows `all` are means over the subjects, each subject counting once.

    Raises:
        InputError: a file is missing or damaged.
    """
    parts = []
    for folder in map(Path, folders):
        views = read_table(folder / "evaluation.csv", _ORIGIN, (*KEYS, *SCORES))
        facts: Mapping[str, Any] = read_json(folder / "evaluation.json", _ORIGIN)
        grouped = views.groupby(list(KEYS), sort=False)
        means = grouped[list(SCORES)].mean()
        means.insert(0, "views", grouped.size())
        parts.append(means.reset_index().assign(**{key: facts.get(key, NONE) for key in FACTS}))
    table = pd.concat(parts, ignore_index=True)
    numbers = ["views", *SCORES, *FACTS]
    overall = table.groupby(list(KEYS[1:]), sort=False)[numbers].mean().reset_index()
    overall.insert(0, "subject", ALL)
    return pd.concat([table, overall], ignore_index=True)[[*KEYS, *numbers]]
