"""The card of a metric: what it sees of a kit, beside our own metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pandas as pd

from headstyle.base.errors import InputError
from headstyle.base.tables.frames import read_table
from headstyle.calibration.kit.answers import read_answers
from headstyle.calibration.kit.folders import KIT, check_sums
from headstyle.calibration.kit.items import IMAGES, OURS, TRAINED
from headstyle.calibration.tables import (
    calibration_table,
    ladder_steps,
    oriented,
    spearman,
    trap_table,
)
from headstyle.calibration.trained.cases import NO_TRAP, TRUE_EDITS
from headstyle.calibration.traps import TRAPS

ORDERS, ORDERS_WITHIN, ORDERS_SOME = "orders", "orders within a scene", "orders some kinds"
DOES_NOT_ORDER, REWARDS_BLUR = "does not order", "rewards blur"
WITHIN, ACROSS = 0.9, 0.8
"""Mean rank correlations from which a metric orders within a scene, and across all."""
OFTEN = 0.9
"""Share of the scenes in which blur must pay, to say that a metric rewards it."""
TRUTHS: Mapping[str, int] = MappingProxyType({"truth_psnr": -1, "truth_lpips_mini": 1})
"""Distances to the true edit, with 1 where higher is farther."""
TRAP_COLUMNS = ("trap", "ladder", "metric", "scenes", "mean_steps", "low_steps", "high_steps")
"""Columns of `trap_table` where no item has a trap."""
DIRECTIONS: Mapping[str, str] = MappingProxyType({"headline": "higher"})
"""Which values of ours mean more consistent views; lower, if it is not here."""


@dataclass(frozen=True)
class Card:
    """What a kit says of a metric and of ours."""

    metric: str
    """Its name."""
    verdicts: pd.DataFrame
    """One row per metric and family: metric, family, verdict, within, across, worst_ladder and
    worst_across, blur_within, blur_steps, moved_by, undefined, seconds, and the rank correlations
    with the distance to the true edit."""
    ladders: pd.DataFrame
    """Per family: the columns of `calibration_table`."""
    traps: pd.DataFrame
    """Per family: the columns of `trap_table`."""


def certify(folder: Path, answers: Path, name: str, direction: str) -> Card:
    """Judge a metric by the values that it gave to a kit.

    Args:
        folder: What `make_kit` wrote.
        answers: The CSV of the metric's values.
        name: What the metric is called.
        direction: `lower` or `higher`: which values mean more consistent views.

    Raises:
        InputError: the kit or the CSV is damaged or incomplete, or the name is one of ours.
    """
    if name in OURS or not name.strip():
        raise InputError(f"the name {name!r} is empty or one of ours; give the metric another one")
    check_sums(folder / "kit")
    levels = read_table(folder / "hidden" / "levels.csv", KIT, ["item", "family"])
    ours = read_table(folder / "hidden" / "ours.csv", KIT, ["item", *OURS])
    found = read_answers(answers, list(levels["item"]))
    rows = levels.merge(ours, on="item").merge(
        found.rename(columns={"value": name, "seconds": f"{name}_seconds"}), on="item"
    )
    return judged(rows, name, direction)


def judged(rows: pd.DataFrame, name: str, direction: str) -> Card:
    """The card of items that all metrics have scored.

    Args:
        rows: One row per item: what it is (levels.csv), one column per metric of `OURS` and one
            called `name`; optionally `{metric}_seconds`.
        name: The metric.
        direction: Its direction.
    """
    metrics = [name, *OURS]
    facing = oriented(rows, {**DIRECTIONS, name: direction})
    verdicts, ladders, traps = [], [], []
    for family, part in facing.groupby("family", sort=False):
        plain = part[part["trap"] == NO_TRAP]
        climbs = _on_ladders(plain)
        largest = cast("dict[str, float]", climbs.groupby("ladder")["amount"].max().to_dict())
        table = calibration_table(climbs, metrics, largest)
        steps = {
            m: step if step > 0 else np.nan for m, step in ladder_steps(climbs, metrics).items()
        }
        moved = trap_table(_beside_traps(part), steps, metrics)
        moved = moved.reindex(columns=list(TRAP_COLUMNS)) if moved.empty else moved
        ladders.append(table.assign(family=family))
        traps.append(moved.assign(family=family))
        for metric in metrics:
            own = table[table["metric"] == metric].set_index("ladder")
            row: dict[str, Any] = {"metric": metric, "family": family}
            row |= _verdict(own, moved[moved["metric"] == metric], _blur(part, climbs, metric))
            row["undefined"] = int(part[metric].isna().sum())
            seconds = part.get(f"{metric}_seconds")
            row["seconds"] = np.nan if seconds is None else float(seconds.median())
            if family == TRAINED:
                row |= {
                    f"with_{truth}": spearman(sign * plain[truth], plain[metric])
                    for truth, sign in TRUTHS.items()
                }
            verdicts.append(row)
    together = [pd.concat(tables, ignore_index=True) for tables in (ladders, traps)]
    return Card(name, pd.DataFrame(verdicts), *(_first(table, "family") for table in together))


def _on_ladders(rows: pd.DataFrame) -> pd.DataFrame:
    """The items on ladders, each ladder with its scene's consistent views as level 0."""
    keys = ["subject", "prompt", "seed"]
    floors = rows[rows["ladder"] == TRUE_EDITS]
    climbs = rows[rows["ladder"] != TRUE_EDITS]
    each = climbs[[*keys, "ladder"]].drop_duplicates()
    floors = each.merge(floors.drop(columns="ladder"), on=keys)
    return pd.concat([floors[climbs.columns], climbs], ignore_index=True)


def _beside_traps(rows: pd.DataFrame) -> pd.DataFrame:
    """The items with a trap, and those without one that they are compared with."""
    keys = ["subject", "prompt", "ladder", "level", "seed"]
    wanted = rows.loc[rows["trap"] != NO_TRAP, keys].drop_duplicates()
    return rows.merge(wanted, on=keys)


def _blur(rows: pd.DataFrame, climbs: pd.DataFrame, metric: str) -> tuple[float, float]:
    """How much a metric gains where all views are blurred alike, and in how many scenes.

    Returns:
        The mean gain in steps, where a step is the mean change per level in either direction; and
        the share of the scenes that gain. NaN where no item is blurred.
    """
    keys = ["subject", "prompt", "ladder"]
    beside = _beside_traps(rows)
    blurred = beside[beside["trap"] == "all_blurred"].set_index(keys)[metric]
    sharp = beside[beside["trap"] == NO_TRAP].set_index(keys)[metric]
    gains = (sharp.reindex(blurred.index) - blurred).dropna()
    top = climbs["level"].max()
    ends = climbs[climbs["level"].isin([0, top])].pivot_table(
        index=[*keys, "seed"], columns="level", values=metric
    )
    if gains.empty or ends.shape[1] < 2:
        return np.nan, np.nan
    step = float((ends[top] - ends[0]).abs().mean() / top)
    return float(gains.mean() / step) if step > 0 else np.nan, float((gains > 0).mean())


def _verdict(own: pd.DataFrame, traps: pd.DataFrame, blur: tuple[float, float]) -> dict[str, Any]:
    """The word for one metric on one family, with the numbers that it rests on.

    Args:
        own: The metric's rows of `calibration_table`, by ladder.
        traps: Its rows of `trap_table`.
        blur: From `_blur`.
    """
    kinds = own.drop(index="all")
    within, across = own.loc["all", ["spearman_within", "spearman_across"]].astype(float)
    worst = str(kinds["spearman_across"].idxmin())
    blurring = float(kinds["spearman_within"].get("local_blur", np.nan))
    gain, share = blur
    if blurring <= -0.5 or (gain > 1 and share >= OFTEN):
        word = REWARDS_BLUR
    elif within >= WITHIN:
        word = ORDERS if across >= ACROSS else ORDERS_WITHIN
    else:
        word = ORDERS_SOME if (kinds["spearman_within"] >= WITHIN).any() else DOES_NOT_ORDER
    return {
        "verdict": word,
        "within": within,
        "across": across,
        "worst_ladder": worst,
        "worst_across": float(kinds.loc[worst, "spearman_across"]),
        "smallest_level": float(own.loc["all", "smallest_level"]),
        "blur_within": blurring,
        "blur_steps": gain,
        "moved_by": _moved_by(traps),
    }


def _moved_by(traps: pd.DataFrame) -> str:
    """The traps that move a metric by more than one step in the mean, the farthest first."""
    means = traps.groupby("trap")["mean_steps"].mean()
    wrong = {
        trap: steps
        for trap, steps in means.items()
        if (abs(steps) > 1 and not _may_lower(str(trap))) or steps < -1
    }
    order = sorted(wrong, key=lambda trap: -abs(wrong[trap]))
    return ", ".join(f"{str(trap).replace('_', ' ')} {wrong[trap]:+.1f}" for trap in order)


def _may_lower(trap: str) -> bool:
    return trap in TRAPS and TRAPS[trap].may_lower


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table[[column, *(name for name in table if name != column)]]


FAMILIES: Mapping[str, str] = MappingProxyType(
    {IMAGES: "disturbed edits", TRAINED: "trained avatars"}
)
"""What people call the families."""
