"""The consistency metrics, one module each, found by their names.

To add a metric, write `headstyle/consistency/metrics/NAME.py` with a subclass of `Metric` called
NAME, and list NAME in the config under `metrics.names`. Declare its settings in the module as
`NAME.setting` (see `headstyle.base.settings`); in the config they stand under `metrics.NAME`.
The report calls a metric by its NAME, and takes lower values for better ones, unless
`headstyle/report/labels.py` says more about it.
"""

import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstyle.base.errors import InputError
from headstyle.base.settings import class_named
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene, mean_over_overlap

if TYPE_CHECKING:
    import torch

__all__ = [
    "Metric",
    "PairBatch",
    "Scene",
    "available_metrics",
    "load_metrics",
    "mean_over_overlap",
    "metric_class",
    "metric_paths",
    "required_weights",
]


def available_metrics() -> list[str]:
    """Names of all metrics, in alphabetical order."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name != "base")


def metric_paths() -> dict[str, Path]:
    """The module of each metric, by its name."""
    return {name: Path(__path__[0], f"{name}.py") for name in available_metrics()}


def metric_class(name: str) -> type[Metric]:
    """The class of a metric.

    Raises:
        InputError: there is no metric of this name.
    """
    if name not in available_metrics():
        raise InputError(
            f"metrics.names: {name!r} is not a metric; choose from {', '.join(available_metrics())}"
        )
    # mypy refuses an abstract class, as it could be instantiated. Only its subclasses are.
    return class_named(name, __name__, Metric)  # type: ignore[type-abstract]


def load_metrics(settings: Mapping[str, Any], device: "torch.device") -> list[Metric]:
    """The metrics of `settings["names"]`, their weights loaded.

    Raises:
        InputError: an unknown name or a missing file of weights.
    """
    return [metric_class(name)(settings, device) for name in settings["names"]]


def required_weights(settings: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Files of weights that each metric of `settings["names"]` will load, all of them present.

    Raises:
        InputError: an unknown name or a missing file, with where it was looked for.
    """
    return {name: metric_class(name).weights(settings) for name in settings["names"]}
