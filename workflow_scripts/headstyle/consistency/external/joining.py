"""Join the values of metrics that were computed elsewhere to the study's tables."""

from collections.abc import Collection, Sequence

import pandas as pd

from headstyle.base.study import BASELINE
from headstyle.consistency.external.reading import PAIR, SCENE, SHUFFLED, VALUE, read_external
from headstyle.consistency.external.settings import External


def join_external(
    metrics: Sequence[External],
    views: pd.DataFrame,
    pairs: pd.DataFrame,
    elsewhere: Collection[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The study's tables with further metrics.

    A view has the mean over its pairs. The excess of a pair is its value minus that of the same
    pair of the subject's baseline, where the file has it. The ceiling is the column shuffled.

    Args:
        metrics: The metrics.
        views: All scenes' views.csv: subject, prompt, strength, view and more.
        pairs: All scenes' pairs.csv: subject, prompt, strength, target, source and more.
        elsewhere: Subjects that belong to other tables. Their rows are passed over.

    Returns:
        `views` with `{metric}`, and `{metric}_excess` and `{metric}_ceiling` where they are known.
        A table of the pairs with the same columns; a metric that is given per view is not in it.
        Sentences about what is missing, with the names.

    Raises:
        InputError: see `read_external`.
    """
    scenes, sentences = views[SCENE].drop_duplicates(), list[str]()
    by_pair = pairs[[*SCENE, *PAIR]].drop_duplicates()
    for metric in metrics:
        values, gaps = read_external(metric, scenes, pairs, views, elsewhere)
        sentences += gaps
        keys = [name for name in values if name not in (VALUE, SHUFFLED)]
        values = _with_excess(values, keys).rename(
            columns={
                VALUE: metric.name,
                "excess": f"{metric.name}_excess",
                SHUFFLED: f"{metric.name}_ceiling",
            }
        )
        if "target" in keys:
            by_pair = by_pair.merge(values, on=keys, how="left")
            values = values.drop(columns="source").rename(columns={"target": "view"})
            values = values.groupby([*SCENE, "view"], sort=False).mean().reset_index()
        views = views.merge(values, on=[*SCENE, "view"], how="left")
    return views, by_pair, sentences


def _with_excess(values: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The values with the column excess where the file has baselines."""
    baseline = values.loc[values["prompt"] == BASELINE]
    if baseline.empty:
        return values
    same = ["subject", *(name for name in keys if name not in SCENE)]
    floor = baseline[[*same, VALUE]].rename(columns={VALUE: "floor"})
    joined = values.merge(floor, on=same, how="left")
    return joined.assign(excess=joined[VALUE] - joined["floor"]).drop(columns="floor")
