"""Which settings are tried, one after the other, until enough views have a pose.

Each attempt changes one thing of the best attempt so far, so that gains add up. An attempt is the
best if it poses more views than all before it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headstyle.posing.registration import reconstruction
from headstyle.posing.registration.reconstruction import Settings

logger = logging.getLogger("headstyle.posing.attempts")

AS_CONFIGURED = "as_configured"
"""The name of the first attempt."""
MORE_VIEWS = "more_views"
"""The name of the attempt with photographs that the choice of views had left out."""
_LARGER = 1.5
# Long side beyond which features grow in number but no longer in use [px].
_LARGEST_PX = 3200


@dataclass(frozen=True)
class Plan:
    """With which views and settings to estimate the poses."""

    views: tuple[str, ...]
    """Views in a fixed order; those that were brought in stand at the end."""
    max_image_size_px: int
    """Long side at which features are found [px]."""
    sharing: str
    """`per_capture` or `per_view`."""
    settings: Settings


@dataclass(frozen=True)
class Attempt:
    """A plan, and what came of it."""

    name: str
    plan: Plan
    found: reconstruction.Mapping | None
    """None where no two views start a model."""

    @property
    def posed(self) -> int:
        """Number of views that have a pose."""
        return len(self.found.registered) if self.found else 0

    @property
    def record(self) -> dict[str, Any]:
        """The attempt's entry in poses.json."""
        error = self.found and round(self.found.mean_reprojection_error_px, 4)
        return {
            "attempt": self.name,
            "views": len(self.plan.views),
            "registered": self.posed,
            "points": self.found.points if self.found else 0,
            "mean_reprojection_error_px": error,
        }


Change = Callable[[Plan, int], Plan]
"""From a plan and the photographs' largest side [px] to another plan, or the same one."""


def _larger_images(plan: Plan, largest_px: int) -> Plan:
    size = min(round(_LARGER * plan.max_image_size_px), largest_px, _LARGEST_PX)
    return replace(plan, max_image_size_px=max(plan.max_image_size_px, size))


def _with_settings(**changes: Any) -> Change:
    return lambda plan, _: replace(plan, settings=replace(plan.settings, **changes))


def _more_features(plan: Plan, _: int) -> Plan:
    settings = replace(
        plan.settings, max_features=2 * plan.settings.max_features, faint_features=True
    )
    return replace(plan, settings=settings)


def _other_sharing(plan: Plan, _: int) -> Plan:
    other = "per_view" if plan.sharing == "per_capture" else "per_capture"
    return replace(plan, sharing=other)


def _other_mapper(plan: Plan, _: int) -> Plan:
    other = "global" if plan.settings.mapper == "incremental" else "incremental"
    return replace(plan, settings=replace(plan.settings, mapper=other))


CHANGES: Mapping[str, Change] = {
    "fewer_matches": _with_settings(few_matches=True),
    "larger_images": _larger_images,
    "more_features": _more_features,
    "guided_matching": _with_settings(guided_matching=True),
    "other_mapper": _other_mapper,
    "other_camera_sharing": _other_sharing,
    "affine_features": _with_settings(affine_features=True),
}
"""What each attempt but `more_views` changes."""


def try_in_turn(
    first: Plan,
    names: Sequence[str],
    enough: int,
    run: Callable[[Plan], reconstruction.Mapping | None],
    more_views: Callable[[Attempt], Sequence[str]],
    largest_px: int,
) -> tuple[Attempt, list[Attempt]]:
    """Run the first plan, and others until `enough` views have a pose.

    Args:
        first: The plan of the configuration.
        names: The attempts to make after it, `more_views` or of `CHANGES`.
        enough: Number of posed views with which no other attempt is made.
        run: Estimates the poses of a plan.
        more_views: Views to bring in after an attempt, possibly none.
        largest_px: Long side of the largest photograph.

    Returns:
        The best attempt, and all of them in order. An attempt that would change nothing is left
        out.
    """
    best = Attempt(AS_CONFIGURED, first, run(first))
    attempts = [best]
    _log(best, None)
    for name in names:
        if best.posed >= enough:
            break
        if name == MORE_VIEWS:
            plan = replace(best.plan, views=(*best.plan.views, *more_views(best)))
        else:
            plan = CHANGES[name](best.plan, largest_px)
        if plan == best.plan:
            continue
        attempt = Attempt(name, plan, run(plan))
        attempts.append(attempt)
        _log(attempt, best)
        if attempt.posed > best.posed:
            best = attempt
    return best, attempts


def _log(attempt: Attempt, before: Attempt | None) -> None:
    gain = "" if before is None else f" ({attempt.posed - before.posed:+d} against the best before)"
    error = attempt.found.mean_reprojection_error_px if attempt.found else float("nan")
    logger.info(
        "attempt %s: %d of %d views posed%s, %d points, mean reprojection error %.2f px",
        attempt.name,
        attempt.posed,
        len(attempt.plan.views),
        gain,
        attempt.found.points if attempt.found else 0,
        error,
    )
