"""The settings of the section `rigged`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headstyle.base.errors import InputError
from headstyle.base.settings import Setting
from headstyle.training.settings import TrainingSettings

SETTINGS = (
    Setting(
        "training.iterations",
        30000,
        {"type": "integer", "minimum": 1},
        meaning="Iterations of the training.",
    ),
    Setting(
        "training.views_per_iteration",
        1,
        {"type": "integer", "minimum": 1},
        meaning="Pairs of a camera and a timestep whose losses an iteration averages.",
    ),
    Setting(
        "training.splats_per_triangle",
        1,
        {"type": "integer", "minimum": 1},
        meaning="Splats on each triangle at the start.",
    ),
    Setting(
        "training.max_splats",
        None,
        {"type": ["integer", "null"], "minimum": 1},
        meaning="Largest number of splats. null sets no limit. A triangle keeps one in any case.",
    ),
    Setting(
        "training.position_weight",
        0.01,
        {"type": "number", "minimum": 0},
        meaning="Weight of the loss on splats that are further than position_threshold from the "
        "centre of their triangle. 0 for none.",
    ),
    Setting(
        "training.position_threshold",
        1.0,
        {"type": "number", "exclusiveMinimum": 0},
        meaning="Distance that costs nothing, in units of the triangle's scale: the mean of an "
        "edge and the height above it.",
    ),
    Setting(
        "training.scale_weight",
        1.0,
        {"type": "number", "minimum": 0},
        meaning="Weight of the loss on splats that are larger than scale_threshold. 0 for none.",
    ),
    Setting(
        "training.scale_threshold",
        0.6,
        {"type": "number", "exclusiveMinimum": 0},
        meaning="Extent that costs nothing, in units of the triangle's scale.",
    ),
    Setting(
        "edited_timesteps",
        4,
        {"type": ["integer", "null"], "minimum": 1},
        meaning="Timesteps of the training whose views are edited for an avatar, evenly spread. "
        "null takes all.",
    ),
)


@dataclass(frozen=True)
class BindingSettings:
    """The part of the section `rigged` that says how splats are bound and kept near the mesh."""

    splats_per_triangle: int
    """Splats on each triangle at the start."""
    position_weight: float
    """Weight of `losses.position_loss`."""
    position_threshold: float
    """Its threshold, in units of the triangle's scale."""
    scale_weight: float
    """Weight of `losses.scale_loss`."""
    scale_threshold: float
    """Its threshold, in units of the triangle's scale."""
    views_per_iteration: int = 1
    """Pairs of a camera and a timestep whose losses an iteration averages."""

    @classmethod
    def from_config(cls, rigged: Mapping[str, Any]) -> "BindingSettings":
        """Settings from the section `rigged`."""
        return cls(**{name: rigged["training"][name] for name in cls.__dataclass_fields__})


def rigged_training(baseline: Mapping[str, Any], rigged: Mapping[str, Any]) -> TrainingSettings:
    """Settings of a rigged training: those of the baseline, with the changes for heads that move.

    A sequence's own splits say what is held out. Its cameras are in one studio, so that they have
    no exposures of their own.

    Raises:
        InputError: `baseline.strategy` is mcmc, which moves splats away from their triangles.
    """
    if baseline["strategy"] == "mcmc":
        raise InputError(
            "baseline.strategy is mcmc, which moves splats from one triangle to another; set it to"
            " default for heads that move"
        )
    kept = {"holdout": 0, "selection_every": 0, "exposure_rate": 0.0}
    settings = TrainingSettings.from_config({**baseline, **kept})
    return replace(
        settings,
        iterations=rigged["training"]["iterations"],
        max_splats=rigged["training"]["max_splats"],
        save_iterations=(),
        checkpoint_iterations=(),
    )
