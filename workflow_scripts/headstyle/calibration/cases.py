"""What is calibrated: every head and capture with every prompt, its ladders and its traps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.seeds import derived_seed
from headstyle.calibration.ladders import LADDERS, climbed, fits
from headstyle.calibration.scenes import (
    EditedViews,
    RigSettings,
    captured_views,
    procedural_views,
)
from headstyle.calibration.traps import TRAPS, Trap, applies


@dataclass(frozen=True)
class Capture:
    """A capture whose baseline is known."""

    name: str
    views: Path
    """Folder of `cameras.json`."""
    baseline: Path
    """Folder of `renders` and `depth`."""


@dataclass(frozen=True)
class Settings:
    """The `calibration` section of the configuration, and what belongs to it."""

    heads: tuple[int, ...]
    prompts: tuple[str, ...]
    capture_prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    levels: int
    largest: Mapping[str, float]
    """Amount of each ladder at its highest level; the ladders that are used."""
    traps: tuple[str, ...]
    trap_ladders: tuple[str, ...]
    """Traps are set on consistent views and halfway up these ladders."""
    capture_views: int
    neighbors: int
    rig: RigSettings
    metrics: Mapping[str, Any]
    """The configuration's `metrics` section, with the names of the metrics to calibrate."""

    def only(self, metric: str) -> "Settings":
        """The same for one metric alone."""
        return replace(self, metrics={**self.metrics, "names": [metric]})


@dataclass(frozen=True)
class Case:
    """One head or capture with one prompt."""

    source: int | Capture
    """Seed of a procedural head, or a capture."""
    prompt: str
    settings: Settings

    @property
    def subject(self) -> str:
        return f"head{self.source}" if isinstance(self.source, int) else self.source.name

    @cached_property
    def views(self) -> EditedViews:
        """The consistent views."""
        return self.photographed({})

    def photographed(self, how: Mapping[str, Any]) -> EditedViews:
        """The consistent views, procedural ones photographed in another way."""
        settings = self.settings
        if isinstance(self.source, int):
            return procedural_views(self.source, self.prompt, settings.rig, **how)
        return captured_views(
            self.source.name,
            self.source.views,
            self.source.baseline,
            self.prompt,
            settings.capture_views,
            settings.rig.long_side_px,
        )

    @cached_property
    def _latest(self) -> dict[str, EditedViews]:
        """The views of the latest trap, which is set several times in a row."""
        return {}

    def ladders(self) -> list[str]:
        """Names of the ladders that mean something for the prompt."""
        return [ladder for ladder in self.settings.largest if fits(ladder, self.prompt)]

    def rung(
        self, ladder: str, level: float, seed: int, views: EditedViews, scale: float = 1.0
    ) -> EditedViews:
        """Views at one level of a ladder; pixels are `scale` times as many as in the settings."""
        amount = self.settings.largest[ladder] * level / self.settings.levels
        amount *= scale if LADDERS[ladder].units == "px" else 1
        rng = np.random.default_rng(derived_seed(seed, self.subject, self.prompt, ladder))
        return climbed(views, ladder, amount, rng)

    def trapped(self, name: str, ladder: str | None) -> EditedViews:
        """Views with a trap set, consistent or halfway up a ladder."""
        trap = TRAPS[name]
        if name not in self._latest:
            self._latest.clear()
            self._latest[name] = self._changed(trap)
        views = self._latest[name]
        if ladder is not None:
            level = self.settings.levels / 2
            views = self.rung(ladder, level, self.settings.seeds[0], views, trap.scale)
        return trap.views(views) if trap.views is not None else views

    def trap_rungs(self) -> Iterator[tuple[str, str | None]]:
        """Every trap of the settings that applies, with what it is set on."""
        for trap in self.settings.traps:
            if applies(trap, self.views):
                yield trap, None
                # Undoing the edit undoes the ladder too.
                if trap != "nothing_done":
                    yield from ((trap, ladder) for ladder in self.settings.trap_ladders)

    def _changed(self, trap: Trap) -> EditedViews:
        if trap.photographed is None:
            return self.views
        if isinstance(self.source, int):
            return self.photographed({**trap.photographed, "scale": trap.scale})
        assert trap.captures is not None, "`applies` leaves other traps out"
        return trap.captures(self.views)


def all_cases(settings: Settings, captures: list[Capture]) -> list[Case]:
    """Every case, those of one head next to each other."""
    cases = [Case(head, prompt, settings) for head in settings.heads for prompt in settings.prompts]
    return cases + [
        Case(capture, prompt, settings)
        for capture in captures
        for prompt in settings.capture_prompts
    ]


def settings_from_config(section: Mapping[str, Any], metrics: Mapping[str, Any]) -> Settings:
    """The settings of the configuration's sections `calibration` and `metrics`."""
    rig = RigSettings(**section["rig"])
    names = {
        name: tuple(section[name])
        for name in ("heads", "prompts", "capture_prompts", "seeds", "traps", "trap_ladders")
    }
    return Settings(
        **names,
        levels=section["levels"],
        largest=dict(section["largest"]),
        capture_views=section["capture_views"],
        neighbors=section["neighbors"],
        rig=rig,
        metrics={**metrics, "names": list(section["metrics"])},
    )
