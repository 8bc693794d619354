"""Memory and time that jobs ask a scheduler for, from how much there is to compute.

Snakemake calls the functions made here once per job. What a job asks for grows with its attempt: a
job that was killed for its memory or time is given more (`retries` in the profile).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Resource = Callable[..., int]
"""For a rule's `resources`: from a job's wildcards and its attempt, counted from 1."""

IMAGE_BYTES = 16
"""Of a pixel: RGBA as float32."""
SPLAT_BYTES = 4 * 59 * 5
"""Of a splat in training: 59 numbers, their gradients and moments, and a copy."""
SPLATS_WITHOUT_LIMIT = 500_000
"""What a training that has no limit is expected to reach."""
VIEWS_OF_OTHERS = 60
"""Expected views of a scene whose views are not counted before it is read."""
ASPECT = 1.5
"""Long side of a view by its short side."""


@dataclass(frozen=True)
class Needs:
    """What there is to compute in a study."""

    views: Mapping[str, int]
    """Views of each subject."""
    view_pixels: float
    """Pixels of a view."""
    splats: int
    """Splats of a scene."""

    @classmethod
    def of_study(
        cls, config: Mapping[str, Any], photographs: Mapping[str, Sequence[str]]
    ) -> "Needs":
        """From the checked configuration and the photographs of the subjects that have some."""
        capture, most = config["capture"], config["photographs"]["max_views"]
        drawn = capture["grid_rows"] * capture["grid_columns"] + capture["line_views"]
        views = dict.fromkeys(config["study"]["subjects"], drawn)
        for subject, files in photographs.items():
            # Without photographs yet: they are going to be made from a video or from raw files.
            count = len(files) or VIEWS_OF_OTHERS
            views[subject] = min(count, most or count)
        size, side = config["images"]["size_px"], config["images"]["side"]
        return cls(
            views,
            size**2 * (ASPECT if side == "short" else 1 / ASPECT),
            config["baseline"]["max_splats"] or SPLATS_WITHOUT_LIMIT,
        )

    def memory(self, fixed_mb: float, *, images: float = 0, splats: float = 0) -> Resource:
        """Memory in MB: a fixed part, and copies of all views' images and of all splats.

        Args:
            fixed_mb: For libraries and networks [MB].
            images: Copies of all views that are held at once, as RGBA in float32.
            splats: Trainings of the scene that are held at once.
        """

        def memory_mb(wildcards: Any, attempt: int) -> int:
            pixels = self._views(wildcards) * self.view_pixels
            bytes_ = images * pixels * IMAGE_BYTES + splats * self.splats * SPLAT_BYTES
            return math.ceil(fixed_mb + bytes_ / 1e6) * attempt

        return memory_mb

    def minutes(
        self, fixed: float, *, per_view: float = 0, per_pair: float = 0, per_megapixel: float = 0
    ) -> Resource:
        """Running time in minutes, on a machine without a GPU.

        Args:
            fixed: However small the study [min].
            per_view: For each view [min].
            per_pair: For each pair of views [min].
            per_megapixel: For each million pixels of all views together [min].
        """

        def runtime_min(wildcards: Any, attempt: int) -> int:
            views = self._views(wildcards)
            grown = per_view * views + per_pair * views * (views - 1) / 2
            return (
                math.ceil(fixed + grown + per_megapixel * views * self.view_pixels / 1e6) * attempt
            )

        return runtime_min

    def _views(self, wildcards: Any) -> int:
        return self.views.get(getattr(wildcards, "subject", ""), VIEWS_OF_OTHERS)


def with_attempt(amount: float) -> Resource:
    """An amount that only grows with the attempt."""
    return lambda wildcards, attempt: math.ceil(amount) * attempt


def per_thread(mb: float) -> Resource:
    """Memory of a job that runs a process per thread [MB per thread]."""
    return lambda wildcards, threads, attempt: math.ceil(mb) * threads * attempt
