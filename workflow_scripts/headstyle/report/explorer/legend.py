"""The words of the page: kinds of disagreement, and why pixels are left out of a comparison."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of disagreement of the headline score."""

    name: str
    unit: str
    step: float
    """One step of the score, in the kind's unit."""
    meaning: str


@dataclass(frozen=True)
class Reason:
    """What a pixel of the target is."""

    name: str
    color: str
    meaning: str


@dataclass(frozen=True)
class Words:
    """What a page calls the things that it shows."""

    scene: str
    """One scene."""
    edited: str
    """The layer of a scene's renders."""
    before: str
    """The head before the edit."""
    excess: str
    """What a score adds to that of the head before the edit."""
    nothing: str
    """A sentence for a page without scenes."""


STUDY = Words(
    "avatar", "avatar", "baseline", "excess over the baseline", "This run has no avatars."
)
RENDERS = Words(
    "scene",
    "renders",
    "before the edit",
    "excess over the views before the edit",
    "No renders were scored.",
)

# The same order as `headstyle.consistency.parts.disagreement.TERMS` and the steps of the headline
# score; a test compares them. Its module needs torch, which the report's environment lacks.
KINDS = (
    Kind("color", "ΔE", 4.0, "colors differ after smoothing removed the texture"),
    Kind("place", "% of the head", 0.8, "details are displaced"),
    Kind("detail", "ΔE", 1.3, "textures differ although they are in place"),
    Kind("sharpness", "log ratio", 0.12, "one view is sharper than the other"),
    Kind("strength", "of the edit", 0.05, "one view is edited more strongly"),
)
# The order of `headstyle.report.explorer.pairs.REASONS`. Colors of Okabe and Ito, which people
# with any color vision tell apart.
REASONS = (
    Reason("background", "#00000000", "not the head"),
    Reason("counts", "#56b4e9", "both views show this surface: it is compared"),
    Reason("occluded", "#d55e00", "the source sees something nearer"),
    Reason("depth disagrees", "#f0e442", "the source sees something farther"),
    Reason("silhouette", "#7a7a7a", "a surface ends here, or the source's frame does"),
)
