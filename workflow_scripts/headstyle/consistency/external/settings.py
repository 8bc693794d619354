"""The entries of `metrics.external`: which file holds a metric, and how its values are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError

_ENDINGS = ("_excess", "_ceiling", "_sd", "_ci_low", "_ci_high")
"""Endings of columns that the tables derive from a metric."""
_TAKEN = (
    *("subject", "prompt", "strength", "view", "views", "target", "source", "neighbours"),
    *("pairs_used", "pairs_left_out", "overlap", "coverage", "quality", "sharpness"),
    *("edit_strength", "edit_strength_ssim"),
)


@dataclass(frozen=True)
class External:
    """One metric that was computed elsewhere."""

    name: str
    """Its column in the tables."""
    path: str
    """The CSV file of its values."""
    direction: str
    """Which values mean more consistent views: `lower` or `higher`."""
    label: str = ""
    """What people call it; empty takes the name."""
    unit: str = ""
    """Its unit or range, in words."""
    range: tuple[float, float] | None = None
    """The least and the largest value that it can have."""
    symmetric: bool = False
    """Whether a pair that is given one way only counts for both ways."""
    partial: bool = False
    """Whether avatars, pairs and values may be missing."""

    @property
    def key(self) -> str:
        """The key of the configuration that describes it."""
        return f"metrics.external.{self.name}"


def external_metrics(entries: Mapping[str, Mapping[str, Any]]) -> list[External]:
    """The metrics of the section `metrics.external`, in its order."""
    found = []
    for name, entry in entries.items():
        values = dict(entry)
        if values.get("range") is not None:
            low, high = values["range"]
            values["range"] = (float(low), float(high))
        found.append(External(name=name, **values))
    return found


def check_external(entries: Mapping[str, Mapping[str, Any]], measured: list[str]) -> None:
    """Check names, ranges and paths before any job starts.

    Args:
        entries: The section `metrics.external`.
        measured: Names of headstyle's own metrics.

    Raises:
        InputError: a name is taken, a range is empty, or a file does not exist.
    """
    for metric in external_metrics(entries):
        is_taken = metric.name in measured or metric.name in _TAKEN
        if is_taken or metric.name.endswith(_ENDINGS):
            raise InputError(
                f"{metric.key}: the tables use the name {metric.name} for something else; rename it"
            )
        if metric.range is not None and metric.range[0] >= metric.range[1]:
            raise InputError(f"{metric.key}.range is empty; put the smaller number first")
        if not Path(metric.path).is_file():
            raise InputError(
                f"{metric.key}.path {metric.path} does not exist; create it or correct the path"
            )
