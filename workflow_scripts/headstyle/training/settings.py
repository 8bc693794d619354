"""How a scene is trained: the `baseline` section of the configuration, checked and typed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headstyle.base.errors import InputError


@dataclass(frozen=True)
class RefineSettings:
    """When splats are added and removed (gsplat's strategies)."""

    start: int
    """First iteration that refines, exclusive."""
    stop: int
    """No splat is added, removed or reset from this iteration on."""
    every: int
    """Iterations between refinements."""
    reset_opacity_every: int
    """Iterations between resets of the opacities to twice `cull_opacity`."""
    cull_opacity: float
    """Splats below this opacity are removed; the strategy `mcmc` moves them to others."""
    densify_gradient: float
    """Splats whose mean absolute image gradient exceeds this are split or duplicated."""
    densify_size: float
    """Splats larger than this fraction of the scene's extent are split, others duplicated."""


@dataclass(frozen=True)
class LearningRates:
    """Adam's step sizes; those of the means are per unit of the scene's extent."""

    means: float
    means_final: float
    scales: float
    quats: float
    opacities: float
    sh0: float
    shN: float  # noqa: N815 (gsplat's name)
    decay: float = 1.0
    """All but those of the means end at this part of their start."""


@dataclass(frozen=True)
class TrainingSettings:
    """The `baseline` section of the configuration; avatars replace what differs."""

    iterations: int
    sh_degree: int
    sh_degree_every: int
    """Iterations after which the degree in use rises by one; 0 uses all degrees at once."""
    ssim_weight: float
    scale_regularization: float
    scale_max_ratio: float
    alpha_weight: float
    min_initial_splats: int
    max_splats: int | None
    holdout_every: int
    refine: RefineSettings | None
    """None keeps the splats' number."""
    learning_rates: LearningRates
    strategy: str = "default"
    """`default` grows where image gradients are large, `mcmc` (Kheradmand et al. 2024) by luck."""
    opacity_regularization: float = 0.0
    """Weight of the mean opacity."""
    size_regularization: float = 0.0
    """Weight of the mean extent of the splats, relative to the scene's."""
    sh_regularization: float = 0.0
    """Weight of the mean square of the harmonics above the constant one."""
    dropout: float = 0.0
    """Part of the splats left out of each iteration."""
    exposure_rate: float = 0.0
    """Adam's step size of the color correction of each training view; 0 for none."""
    selection_every: int = 0
    """Every n-th training view chooses the iteration whose splats are kept; 0 keeps the last."""
    checkpoint_every_s: float = 0.0
    """Seconds between checkpoints; 0 for none."""
    cuda_graphs: bool = False
    """Whether a GPU replays recorded iterations where it can."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrainingSettings":
        """Settings from the `baseline` section, with its `refine` and `learning_rates`.

        Raises:
            InputError: the strategy is `mcmc` and the number of splats has no limit.
        """
        section = dict(config)
        section["refine"] = RefineSettings(**section["refine"])
        section["learning_rates"] = LearningRates(**section["learning_rates"])
        settings = cls(**section)
        if settings.strategy == "mcmc" and settings.max_splats is None:
            raise InputError(
                "baseline.strategy mcmc grows to baseline.max_splats, which is null; set it"
            )
        return settings

    def without_refinement(self) -> "TrainingSettings":
        """The same settings for a scene whose number of splats stays."""
        return replace(self, refine=None)
