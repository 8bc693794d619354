"""Settings of a training: the `baseline` section of the configuration, checked and typed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headstyle.base.errors import InputError


@dataclass(frozen=True)
class RefineSettings:
    """Settings of adding and removing splats (gsplat's strategies)."""

    start: int
    """Refinement begins after this iteration."""
    stop: int
    """From this iteration on, no splat is added, removed or reset."""
    every: int
    """Iterations between refinements."""
    reset_opacity_every: int
    """Iterations between resets of the opacities to twice `cull_opacity`."""
    cull_opacity: float
    """Splats below this opacity are removed. The strategy `mcmc` moves them onto other splats."""
    densify_gradient: float
    """Splats whose mean absolute image gradient exceeds this are split or duplicated."""
    densify_size: float
    """Splats larger than this fraction of the scene's extent are split, others duplicated."""


@dataclass(frozen=True)
class LearningRates:
    """Adam's step sizes. Those of the means are relative to the scene's extent."""

    means: float
    """Step size of the positions at the start."""
    means_final: float
    """Step size of the positions at the end."""
    scales: float
    """Step size of the logarithms of the scales."""
    quats: float
    """Step size of the orientations."""
    opacities: float
    """Step size of the logits of the opacities."""
    sh0: float
    """Step size of the constant harmonic."""
    shN: float  # noqa: N815 (gsplat's name)
    """Step size of the higher harmonics."""
    decay: float = 1.0
    """Final step size of all but the positions, relative to its start."""


@dataclass(frozen=True)
class TrainingSettings:
    """The `baseline` section of the configuration. Avatars override some of the settings."""

    iterations: int
    """Number of iterations."""
    sh_degree: int
    """Highest degree of the spherical harmonics, 0 to 3."""
    sh_degree_every: int
    """Iterations after which the degree in use rises by one; 0 uses all degrees at once."""
    ssim_weight: float
    """w in the loss (1 - w) L1 + w (1 - SSIM), in [0, 1]."""
    scale_regularization: float
    """Weight of the penalty on elongated splats; 0 for none."""
    scale_max_ratio: float
    """Ratio of a splat's longest to its shortest axis above which the penalty applies."""
    alpha_weight: float
    """Weight of |alpha - mask|."""
    min_initial_splats: int
    """Smallest number of splats at the start."""
    max_splats: int | None
    """Largest number of splats; None sets no limit."""
    holdout: int | tuple[str, ...]
    """Views held out for evaluation: every n-th one, or those of these names; 0 for none."""
    refine: RefineSettings | None
    """Settings of the refinement. None keeps the number of splats constant."""
    learning_rates: LearningRates
    """Step sizes of the optimizers."""
    background: str = "random"
    """What the foregrounds are composited on: `random` (a color for each iteration), `black` or
    `white`."""
    strategy: str = "default"
    """`default` adds splats where image gradients are large. `mcmc` adds them onto splats that it
    draws by opacity (Kheradmand et al. 2024)."""
    opacity_regularization: float = 0.0
    """Weight of the mean opacity."""
    size_regularization: float = 0.0
    """Weight of the mean extent of the splats, relative to the scene's."""
    sh_regularization: float = 0.0
    """Weight of the mean square of the harmonics above the constant one."""
    dropout: float = 0.0
    """Part of the splats that each iteration leaves out, in [0, 1)."""
    exposure_rate: float = 0.0
    """Adam's step size of the exposure of each training view; 0 for no exposures."""
    selection_every: int = 0
    """Every n-th training view selects the iteration whose splats are kept; 0 keeps the last."""
    checkpoint_every_s: float = 0.0
    """Seconds between checkpoints; 0 for none."""
    save_iterations: tuple[int, ...] = ()
    """Iterations after which the scene is saved as a file of its own."""
    checkpoint_iterations: tuple[int, ...] = ()
    """Iterations after which the training's state is saved, from which another one may go on."""
    cuda_graphs: bool = False
    """Whether a GPU replays recorded iterations where possible."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrainingSettings":
        """Settings from the `baseline` section, with its `refine` and `learning_rates`.

        Raises:
            InputError: the strategy is `mcmc` and the number of splats has no limit.
        """
        section = dict(config)
        section["refine"] = RefineSettings(**section["refine"])
        section["learning_rates"] = LearningRates(**section["learning_rates"])
        for key in ("save_iterations", "checkpoint_iterations"):
            section[key] = tuple(section.get(key, ()))
        if not isinstance(section["holdout"], int):
            section["holdout"] = tuple(section["holdout"])
        settings = cls(**section)
        if settings.strategy == "mcmc" and settings.max_splats is None:
            raise InputError(
                "baseline.strategy mcmc grows to baseline.max_splats, which is null; set it"
            )
        return settings

    def without_refinement(self) -> "TrainingSettings":
        """The same settings with a constant number of splats."""
        return replace(self, refine=None)
