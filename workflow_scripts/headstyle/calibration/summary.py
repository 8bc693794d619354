"""The whole calibration: from settings to tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from headstyle.calibration.cases import Capture, Settings, all_cases
from headstyle.calibration.runs import score_cases
from headstyle.calibration.scoring import read_ladders, read_seconds, read_traps
from headstyle.calibration.tables import (
    calibration_table,
    ladder_steps,
    oriented,
    trap_table,
)
from headstyle.consistency.metrics import metric_class

HALVES = ("fit", "held_out")
"""Halves of the cases: the headline score's constants were chosen on `fit`, not on `held_out`."""


@dataclass(frozen=True)
class Calibration:
    """All tables of a calibration."""

    metrics: pd.DataFrame
    """How well each metric detects each kind of ladder, per half, with the metric's seconds."""
    traps: pd.DataFrame
    """How far each trap moves each metric, per half."""
    scores: pd.DataFrame
    """Every score on every ladder."""


def calibrate(
    settings: Settings,
    captures: Sequence[Capture],
    fit: Mapping[str, Sequence[Any]],
    folder: Path,
    processes: int,
) -> Calibration:
    """Score all cases that are not in the folder yet, and evaluate the metrics.

    Args:
        settings: Settings of the calibration.
        captures: Captures whose baselines are scored too.
        fit: Heads and prompts on which the headline's constants were chosen; see `half_of`.
        folder: Folder of the scores of each case.
        processes: Number of cases that are scored at the same time.
    """
    cases = [
        case
        for case in all_cases(settings, list(captures))
        if half_of(case.subject, case.prompt, fit)
    ]
    score_cases(cases, folder, processes)
    metrics = settings.metrics["names"]
    directions = {name: metric_class(name).direction for name in metrics}
    raw = read_ladders(cases, folder)
    ladders = oriented(raw, directions)
    traps = oriented(read_traps(cases, folder), directions)
    judged, trapped = [], []
    for half in HALVES:
        own = ladders[_halves(ladders, fit) == half]
        if own.empty:
            continue
        judged.append(calibration_table(own, metrics, settings.largest).assign(half=half))
        own_traps = traps[_halves(traps, fit) == half]
        steps = ladder_steps(own, metrics)
        trapped.append(trap_table(own_traps, steps, metrics).assign(half=half))
    seconds = read_seconds(cases, folder)
    table = _first(pd.concat(judged, ignore_index=True), "half")
    return Calibration(
        metrics=table.assign(seconds=table["metric"].map(seconds)),
        traps=_first(pd.concat(trapped, ignore_index=True), "half"),
        scores=raw,
    )


def half_of(subject: str, prompt: str, fit: Mapping[str, Sequence[Any]]) -> str:
    """The half that a head or capture with a prompt belongs to: `fit`, `held_out`, or empty.

    The fit half has the fit heads with the fit prompts. The held-out half has all other heads and
    captures, with all prompts. Fit heads with other prompts belong to neither half. So the halves
    share no head, and the held-out half has prompts that the fit half lacks.
    """
    if subject not in [f"head{head}" for head in fit["heads"]]:
        return "held_out"
    return "fit" if prompt in fit["prompts"] else ""


def _halves(table: pd.DataFrame, fit: Mapping[str, Sequence[Any]]) -> NDArray[np.str_]:
    keys = zip(table["subject"], table["prompt"], strict=True)
    return np.array([half_of(*key, fit) for key in keys])


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table[[column, *(name for name in table if name != column)]]
