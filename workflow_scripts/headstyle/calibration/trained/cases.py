"""Which avatars are trained: each scene with its ladders and traps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from headstyle.base.adjacency import grid_adjacency
from headstyle.base.images import RgbaImage
from headstyle.base.seeds import derived_seed
from headstyle.base.settings import laid_over
from headstyle.calibration.ladders import LADDERS, climbed, fits
from headstyle.calibration.scenes import EditedViews, RigSettings, procedural_views

TRUE_EDITS = "none"
"""The ladder of avatars that are trained on true edits, which is level 0 of all ladders."""
NO_TRAP = "none"


@dataclass(frozen=True)
class Trap:
    """A harmless change. A score must not see it."""

    iterations: int = 1
    """Factor of the training's length."""
    refine_every: int | None = None
    """Iterations between refinements, which add splats; None keeps the setting."""
    frames: float = 1.0
    """Factor of the size of the frames that are scored."""
    every_view: int = 1
    """Every how many views are scored."""
    strength: float = 1.0
    """Strength of the true edit."""


TRAPS: Mapping[str, Trap] = MappingProxyType(
    {
        "trained_longer": Trap(iterations=2),
        "more_splats": Trap(refine_every=25),
        "larger_frames": Trap(frames=1.5),
        "fewer_views": Trap(every_view=2),
        "weaker_edit": Trap(strength=0.6),
        "stronger_edit": Trap(strength=1.3),
    }
)
"""All traps by name."""


@dataclass(frozen=True)
class TrainedSettings:
    """The section `calibration.trained` of the configuration."""

    heads: tuple[int, ...]
    """Seeds of the procedural heads. The first half chooses the constants, the second reports."""
    prompts: tuple[str, ...]
    """Edits; the heads take them in turns."""
    seeds: tuple[int, ...]
    """Seeds of the disturbances and of the training."""
    levels: int
    """Number of levels above the true edits."""
    largest: Mapping[str, float]
    """Amount of each ladder at its highest level."""
    traps: tuple[str, ...]
    """Names of the traps."""
    trap_ladders: tuple[str, ...]
    """Traps are set on true edits, and on the middle level of these ladders."""
    rig: RigSettings
    """How the heads are photographed."""
    baseline: Mapping[str, Any]
    """The config's section `baseline`, as changed for the calibration."""
    stylization: Mapping[str, Any]
    """The config's section `stylization`, as changed for the calibration."""
    metrics: Mapping[str, Any]
    """The config's section `metrics`, with the names to calibrate."""

    def scenes(self) -> list["TrainedScene"]:
        """One scene per head."""
        count = len(self.prompts)
        return [
            TrainedScene(head, self.prompts[i % count], self) for i, head in enumerate(self.heads)
        ]

    def half_of(self, subject: str) -> str:
        """`fit` for the first half of the heads, else `held_out`."""
        fit = self.heads[: len(self.heads) // 2]
        return "fit" if subject in {f"head{head}" for head in fit} else "held_out"


@dataclass(frozen=True)
class Rung:
    """One avatar: on which edits it is trained, and which trap is set."""

    ladder: str
    """Name of the ladder, or `none` for true edits."""
    level: float
    """0 for true edits."""
    seed: int
    trap: str = NO_TRAP

    @property
    def name(self) -> str:
        """As its files are called."""
        return f"{self.ladder}_{self.level:g}_{self.seed}_{self.trap}"


@dataclass(frozen=True)
class TrainedScene:
    """A head with one prompt."""

    head: int
    """Seed of the procedural head."""
    prompt: str
    """An operator of `headstyle.capture.operators`."""
    settings: TrainedSettings

    @property
    def subject(self) -> str:
        """Name of the head."""
        return f"head{self.head}"

    @property
    def name(self) -> str:
        """As its folder is called."""
        return f"{self.subject}_{self.prompt}"

    @cached_property
    def views(self) -> EditedViews:
        """The true edits, photographed."""
        return self.photographed(1.0)

    def photographed(self, strength: float) -> EditedViews:
        """The true edits at some strength."""
        return procedural_views(self.head, self.prompt, self.settings.rig, strength=strength)

    @cached_property
    def adjacency(self) -> Any:
        """Which views are neighbors on the rig. Shape `(C, C)`, bool."""
        names, columns = self.views.cameras.names, self.settings.rig.columns
        places = {n: (float(i // columns), float(i % columns)) for i, n in enumerate(names)}
        return grid_adjacency(names, places)

    @property
    def neighbors(self) -> list[list[int]]:
        """The indices of each view's neighbors."""
        return [np.flatnonzero(row).tolist() for row in self.adjacency]

    def rungs(self) -> Iterator[Rung]:
        """All avatars, the most telling ones first, so that a stopped run has a whole picture."""
        settings = self.settings
        ladders = [name for name in settings.largest if fits(name, self.prompt)]
        for seed in settings.seeds:
            yield Rung(TRUE_EDITS, 0, seed)
            for level in _spread(settings.levels):
                yield from (Rung(ladder, level, seed) for ladder in ladders)
        first, middle = settings.seeds[0], settings.levels / 2
        for trap in settings.traps:
            yield Rung(TRUE_EDITS, 0, first, trap)
            yield from (Rung(ladder, middle, first, trap) for ladder in settings.trap_ladders)
        yield from (Rung(ladder, middle, first) for ladder in settings.trap_ladders if middle % 1)

    def edits(self, rung: Rung, views: EditedViews, cycle: int) -> Sequence[RgbaImage]:
        """The edits of one cycle: the true ones, disturbed anew in each cycle."""
        if rung.ladder == TRUE_EDITS:
            return views.edited
        amount = self.settings.largest[rung.ladder] * rung.level / self.settings.levels
        key = derived_seed(rung.seed, self.subject, self.prompt, rung.ladder, cycle)
        return climbed(views, rung.ladder, amount, np.random.default_rng(key)).edited

    def sections(self, trap: Trap) -> dict[str, Any]:
        """The sections `baseline` and `stylization` of an avatar under a trap."""
        changed: dict[str, Any] = dict(self.settings.stylization)
        baseline = self.settings.baseline
        for key in ("iterations", "edit_every"):
            changed[key] *= trap.iterations
        if trap.refine_every is not None:
            changed["refine_every"] = trap.refine_every
            most = baseline.get("max_splats")
            baseline = laid_over(baseline, {"max_splats": most and 2 * most})
        return {"baseline": baseline, "stylization": changed}


def trained_settings(config: Mapping[str, Any]) -> TrainedSettings:
    """The settings of a whole configuration."""
    section = config["calibration"]["trained"]
    names = {key: tuple(section[key]) for key in ("heads", "prompts", "seeds", "traps")}
    return TrainedSettings(
        **names,
        trap_ladders=tuple(section["trap_ladders"]),
        levels=section["levels"],
        largest=dict(section["largest"]),
        rig=RigSettings(**section["rig"]),
        baseline=laid_over(config["baseline"], section["baseline"]),
        stylization=laid_over(config["stylization"], section["stylization"]),
        metrics={**config["metrics"], "names": list(section["metrics"])},
    )


def unknown_names(settings: TrainedSettings) -> list[str]:
    """Ladders and traps that do not exist."""
    known = {*LADDERS, *TRAPS}
    asked = [*settings.largest, *settings.traps, *settings.trap_ladders]
    return sorted(set(asked) - known)


def _spread(levels: int) -> list[int]:
    """Levels from coarse to fine: the highest, the middle, then the others."""
    order = [levels, (levels + 1) // 2]
    return order + [level for level in range(1, levels + 1) if level not in order]
