"""Settings of a radiance field and of its training: the `nerf` section of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstyle.base.errors import InputError

FIELD_SUFFIX = ".safetensors"
"""Of files that hold a radiance field."""


ONLY_SPLATS = (
    "representation is nerf, and this target is a file of splats; ask for renders, depth or a film,"
    " or set representation to splats"
)
"""What is told where a target needs splats and scenes are radiance fields."""
LEAST_PATCH_PX = 32
"""Smallest patches that the networks of LPIPS take [px]."""
# Settings of the section `baseline` that only splats have, and the value that is none.
SPLATS_ALONE: dict[str, Any] = {
    "selection_every": 0,
    "save_iterations": [],
    "checkpoint_iterations": [],
}


@dataclass(frozen=True)
class GridSettings:
    """A multi-resolution hash grid (Müller et al. 2022) with two features per entry."""

    levels: int
    """Number of grids."""
    log2_entries: int
    """Base-2 logarithm of the entries of each grid."""
    coarsest: int
    """Cells per side of the first grid."""
    finest: int
    """Cells per side of the last grid."""


@dataclass(frozen=True)
class NerfSettings:
    """The `nerf` section of the configuration."""

    iterations: int
    """Iterations of the baseline."""
    rays: int
    """Rays of an iteration of the baseline."""
    edit_rays: int
    """Rays of an iteration of an avatar."""
    patch_px: int
    """Side of the square patches in which an avatar's rays come [px]; 1 for single rays."""
    samples: int
    """Samples of the field on a ray."""
    proposal_samples: tuple[int, ...]
    """Samples of each proposal network on a ray, in their order. Each proposes the next ones'."""
    grid: GridSettings
    """Grid of the field."""
    proposal_grid: GridSettings
    """Grid of each proposal network; `finest` doubles from one to the next."""
    hidden: int
    """Width of the field's hidden layers."""
    proposal_hidden: int
    """Width of the proposal networks' hidden layer."""
    sh_degree: int
    """Highest degree of the functions of the direction that colors depend on, 0 to 3."""
    appearance: int
    """Numbers per training view that its colors depend on; 0 for none."""
    margin: float
    """Rays start within the masks and this far around them, as a part of the image's long side."""
    anywhere: float
    """Part of the rays that start anywhere in the images, in [0, 1]."""
    box_margin: float
    """How far the field's box reaches beyond the sparse points, as a part of their extent."""
    learning_rate: float
    """Adam's step size at the start of a baseline, and in avatars throughout."""
    learning_rate_final: float
    """Adam's step size at the end of a baseline."""
    alpha_weight: float
    """Weight of (alpha - mask)^2."""
    distortion_weight: float
    """Weight of the distortion loss, which makes surfaces thin (Barron et al. 2022)."""
    proposal_every: int
    """The proposal networks are trained in every n-th iteration, and in all of the first tenth."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "NerfSettings":
        """Settings from the `nerf` section.

        Raises:
            InputError: rays do not fill patches, or a grid's finest level is below its coarsest.
        """
        section = dict(config)
        for key in ("grid", "proposal_grid"):
            grid = section[key] = GridSettings(**section[key])
            if grid.finest < grid.coarsest:
                raise InputError(
                    f"nerf.{key}.finest is {grid.finest}, below coarsest ({grid.coarsest}); raise"
                    f" nerf.{key}.finest"
                )
        section["proposal_samples"] = tuple(section["proposal_samples"])
        settings = cls(**section)
        if settings.edit_rays % settings.patch_px**2:
            raise InputError(
                f"nerf.edit_rays is {settings.edit_rays}, which is no multiple of the"
                f" {settings.patch_px**2} rays of a patch; set it to a multiple of"
                " nerf.patch_px squared"
            )
        return settings


def check_representation(
    config: Mapping[str, Any], subjects: Mapping[str, Mapping[str, str]]
) -> None:
    """Check that nothing that only splats can do is asked of radiance fields.

    Args:
        config: The configuration.
        subjects: The rows of the subjects table.

    Raises:
        InputError: something is; the message names the key.
    """
    if config["representation"] != "nerf":
        return
    settings = NerfSettings.from_config(config["nerf"])
    if config["stylization"]["lpips_weight"] and settings.patch_px < LEAST_PATCH_PX:
        raise InputError(
            f"stylization.lpips_weight is set, and LPIPS needs patches of {LEAST_PATCH_PX} px;"
            f" set nerf.patch_px to {LEAST_PATCH_PX}, or stylization.lpips_weight to 0"
        )
    for key, none in SPLATS_ALONE.items():
        if config["baseline"][key] != none:
            raise InputError(
                f"baseline.{key} is set, which works only for splats; set it to {none}, or"
                " representation to splats"
            )
    if "refit_residual" in config["metrics"]["names"]:
        raise InputError(
            "metrics.names has refit_residual, which refits splats, and representation is nerf;"
            " take it out, or set representation to splats"
        )
    for subject in config["study"]["subjects"]:
        if subjects[subject].get("splats"):
            raise InputError(
                f"subject {subject}: the subjects table names known splats, and representation is"
                " nerf; leave the cell splats empty, or set representation to splats"
            )
