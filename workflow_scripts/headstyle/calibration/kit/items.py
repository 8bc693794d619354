"""What is in a kit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstyle.base.errors import InputError
from headstyle.base.settings import laid_over
from headstyle.calibration import traps as image_traps
from headstyle.calibration.cases import Case, Settings, all_cases, settings_from_config
from headstyle.calibration.ladders import LADDERS
from headstyle.calibration.scenes import NO_EDIT
from headstyle.calibration.trained.cases import (
    NO_TRAP,
    TRUE_EDITS,
    TrainedScene,
    TrainedSettings,
    trained_settings,
    unknown_names,
)

IMAGES, TRAINED = "images", "trained"
"""Families of items: disturbed photographs of true edits, and avatars trained on such edits."""
OURS = ("headline", "rmse", "ciede2000", "lpips_mini")
"""Our metrics that stand beside the one that is certified."""


@dataclass(frozen=True)
class KitSettings:
    """What a kit is made of."""

    images: Settings
    """Heads, prompts, ladders and traps of the photographs."""
    trained: TrainedSettings
    """The same of the trained avatars."""
    seed: int
    """Seed of the items' names."""


@dataclass(frozen=True)
class Item:
    """One scene that a metric is to score."""

    family: str
    """`images` or `trained`."""
    subject: str
    prompt: str
    ladder: str
    """Name of the ladder, or `none` for consistent views."""
    level: float
    """0 for consistent views."""
    seed: int
    trap: str = NO_TRAP


def kit_settings(config: Mapping[str, Any]) -> KitSettings:
    """The settings of a whole configuration: `metric_kit` laid over `calibration`.

    Raises:
        InputError: a ladder or trap does not exist.
    """
    section, base = config["metric_kit"], config["calibration"]
    shared = {key: section[key] for key in ("heads", "prompts", "rig", "levels", "traps")}
    shared |= {"trap_ladders": section["trap_ladders"], "seeds": [section["seed"]]}
    images = settings_from_config(
        {**base, **shared, "metrics": OURS, "capture_prompts": []}, config["metrics"]
    )
    changes = {**section["trained"], "seeds": [section["seed"]], "metrics": OURS}
    trained = trained_settings(
        {**config, "calibration": {"trained": laid_over(base["trained"], changes)}}
    )
    known = {*image_traps.TRAPS, *LADDERS}
    asked = {*images.traps, *images.trap_ladders}
    if unknown := [*sorted(asked - known), *unknown_names(trained)]:
        raise InputError(f"metric_kit names {unknown[0]!r}, which is no ladder or trap; remove it")
    return KitSettings(images, trained, section["seed"])


def image_items(case: Case) -> Iterator[Item]:
    """The items of one head with one prompt: consistent views, ladders, and traps."""
    settings, seed = case.settings, case.settings.seeds[0]
    whose = (IMAGES, case.subject, case.prompt)
    yield Item(*whose, TRUE_EDITS, 0, seed)
    for ladder in case.ladders():
        for level in range(1, settings.levels + 1):
            yield Item(*whose, ladder, level, seed)
    for name in settings.traps:
        if image_traps.TRAPS[name].needs_edit and case.prompt == NO_EDIT:
            continue
        yield Item(*whose, TRUE_EDITS, 0, seed, name)
        # Undoing the edit would undo the ladder too.
        if name != "nothing_done":
            for ladder in settings.trap_ladders:
                yield Item(*whose, ladder, settings.levels / 2, seed, name)


def trained_items(scene: TrainedScene) -> Iterator[Item]:
    """The avatars of one head with one prompt."""
    for rung in scene.rungs():
        whose = (TRAINED, scene.subject, scene.prompt)
        yield Item(*whose, rung.ladder, rung.level, rung.seed, rung.trap)


def kit_cases(settings: KitSettings) -> list[Case]:
    """The heads with their prompts whose photographs are disturbed."""
    return all_cases(settings.images, [])


def named_items(settings: KitSettings) -> dict[str, Item]:
    """All items by their names, which are drawn by the kit's seed and tell nothing."""
    items: list[Item] = []
    for case in kit_cases(settings):
        items += image_items(case)
    for scene in settings.trained.scenes():
        items += trained_items(scene)
    order = np.random.default_rng(settings.seed).permutation(len(items))
    named = {f"i{place:04d}": item for place, item in zip(order.tolist(), items, strict=True)}
    return dict(sorted(named.items()))


def amounts(settings: KitSettings, items: Sequence[Item]) -> list[float]:
    """How inconsistent each item is, in the units of its ladder."""
    largest = {IMAGES: settings.images.largest, TRAINED: settings.trained.largest}
    levels = {IMAGES: settings.images.levels, TRAINED: settings.trained.levels}
    return [
        0.0
        if item.ladder == TRUE_EDITS
        else largest[item.family][item.ladder] * item.level / levels[item.family]
        for item in items
    ]
