"""The cases of the calibration: each head or capture with each prompt, its ladders and traps."""

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
    """A capture and its trained baseline."""

    name: str
    """Name of the subject."""
    views: Path
    """Folder that holds `cameras.json`."""
    baseline: Path
    """Folder that holds `renders` and `depth`."""


@dataclass(frozen=True)
class Settings:
    """The `calibration` section of the configuration, and the settings of its metrics."""

    heads: tuple[int, ...]
    """Seeds of the procedural heads."""
    prompts: tuple[str, ...]
    """Edits of the heads."""
    capture_prompts: tuple[str, ...]
    """Edits of the captures."""
    seeds: tuple[int, ...]
    """Seeds of the ladders' random numbers."""
    levels: int
    """Number of levels above the consistent level 0."""
    largest: Mapping[str, float]
    """Amount of each ladder at its highest level. Its keys are the ladders that are used."""
    traps: tuple[str, ...]
    """Names of the traps."""
    trap_ladders: tuple[str, ...]
    """Traps are applied to consistent views, and to the middle level of these ladders."""
    capture_views: int
    """Number of views that are used of a capture."""
    neighbors: int
    """Number of neighbors that each view is compared with."""
    rig: RigSettings
    """How the heads are photographed."""
    metrics: Mapping[str, Any]
    """The configuration's `metrics` section, with the names of the metrics to calibrate."""

    def only(self, metric: str) -> "Settings":
        """The same settings with only one metric."""
        return replace(self, metrics={**self.metrics, "names": [metric]})


@dataclass(frozen=True)
class Case:
    """One head or capture with one prompt."""

    source: int | Capture
    """Seed of a procedural head, or a capture."""
    prompt: str
    """Name of the edit."""
    settings: Settings
    """Settings of the calibration."""

    @property
    def subject(self) -> str:
        """Name of the head or capture."""
        return f"head{self.source}" if isinstance(self.source, int) else self.source.name

    @cached_property
    def views(self) -> EditedViews:
        """The consistent views."""
        return self.photographed({})

    def photographed(self, how: Mapping[str, Any]) -> EditedViews:
        """The consistent views. Procedural heads are photographed with the given changes."""
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
        """The views of the latest trap, because a trap is applied several times in a row."""
        return {}

    def ladders(self) -> list[str]:
        """Names of the ladders that apply to the prompt."""
        return [ladder for ladder in self.settings.largest if fits(ladder, self.prompt)]

    def rung(
        self, ladder: str, level: float, seed: int, views: EditedViews, scale: float = 1.0
    ) -> EditedViews:
        """Views at one level of a ladder. Amounts in pixels are multiplied by `scale`."""
        amount = self.settings.largest[ladder] * level / self.settings.levels
        amount *= scale if LADDERS[ladder].units == "px" else 1
        rng = np.random.default_rng(derived_seed(seed, self.subject, self.prompt, ladder))
        return climbed(views, ladder, amount, rng)

    def trapped(self, name: str, ladder: str | None) -> EditedViews:
        """Views after a trap: consistent ones, or those at the middle level of a ladder."""
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
        """Each applicable trap with each ladder that it is applied to (None: consistent views)."""
        for trap in self.settings.traps:
            if applies(trap, self.views):
                yield trap, None
                # Undoing the edit would undo the ladder too.
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
    """All cases, ordered by head."""
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
