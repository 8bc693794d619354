"""Stylization of an avatar: the study's modified Instruct-GS2GS.

Every few thousand iterations all views are rendered and edited; between those iterations the
splats are trained on the edits. What the study changed in Instruct-GS2GS: an edit takes all views
at once with one noise, and an iteration averages the loss over a view and its neighbors.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.cameras import Cameras
from headstyle.editing.base import Editor, Instruction, View
from headstyle.errors import InputError
from headstyle.images import RgbaImage
from headstyle.rendering import Splats, render_views
from headstyle.seeds import derived_seed
from headstyle.stage import progress
from headstyle.training import SplatTrainer, TrainingSettings

PACKAGES = (
    *("torch", "gsplat", "numba", "numpy", "opencv-python-headless"),
    *("diffusers", "transformers"),
)
"""Packages whose versions can change an avatar."""


@dataclass(frozen=True)
class ThesisSchedule:
    """The study's schedule: all views are edited together, and neighbors share an iteration."""

    iterations: int
    edit_every: int

    @property
    def cycles(self) -> int:
        """How often all views are edited."""
        return -(-self.iterations // self.edit_every)

    @property
    def record_every(self) -> int:
        """Iterations between rows of the training's history, of which there are about 100."""
        return max(1, self.iterations // 100)

    def cycle_starting_at(self, iteration: int) -> int | None:
        """The cycle of edits that starts at an iteration, or None."""
        cycle, since = divmod(iteration, self.edit_every)
        return cycle if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """The views whose losses are averaged: view i mod M and its neighbors."""
        view = iteration % len(neighbors)
        return [view, *neighbors[view]]


PACKAGES = (
    "torch",
    "gsplat",
    "numba",
    "numpy",
    "opencv-python-headless",
    "diffusers",
    "transformers",
)
"""Packages whose versions can change an avatar."""
SCHEDULES = {"thesis": ThesisSchedule}


def make_schedule(stylization: Mapping[str, Any]) -> ThesisSchedule:
    """The schedule of the config's section `stylization`.

    Raises:
        InputError: there is no such schedule.
    """
    name = stylization["schedule"]
    if name not in SCHEDULES:
        raise InputError(f"stylization.schedule is {name!r}; choose one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name](stylization["iterations"], stylization["edit_every"])


def make_instructions(
    prompt: str,
    text: str,
    strength: Mapping[str, float],
    editing: Mapping[str, Any],
    cycles: int,
    seed: int,
) -> list[Instruction]:
    """What the views are edited with in each cycle.

    In cycle k the guidance scales are s_P + k times the text increment and s_I + k times the image
    increment, and the noise level is drawn from its range.

    Args:
        prompt: Identifier of the prompt.
        text: The instruction, with the pronoun filled in.
        strength: `text_guidance` s_P and `image_guidance` s_I of the first cycle.
        editing: The config's section `editing`.
        cycles: How many instructions to make.
        seed: The avatar's seed. All cycles share its noise.
    """
    low, high = editing["noise_level"]
    return [
        Instruction(
            prompt=prompt,
            text=text,
            text_guidance=strength["text_guidance"] + k * editing["text_guidance_increment"],
            image_guidance=strength["image_guidance"] + k * editing["image_guidance_increment"],
            noise_level=float(
                np.random.default_rng(derived_seed(seed, "noise level", k)).uniform(low, high)
            ),
            cycle=k,
            seed=seed,
        )
        for k in range(cycles)
    ]


def avatar_settings(
    baseline: Mapping[str, Any], stylization: Mapping[str, Any]
) -> TrainingSettings:
    """How an avatar is trained: as its baseline, except for what stylization sets.

    All harmonics are in use from the start, and splats are refined by the baseline's thresholds
    from the first to the last iteration. Opacities are never reset, which is meant for scenes that
    start from points: after a reset near the end the avatar would not become opaque again.
    """
    settings = TrainingSettings.from_config(baseline)
    iterations, refine_every = stylization["iterations"], stylization["refine_every"]
    refine = None
    if refine_every and settings.refine is not None:
        refine = replace(
            settings.refine,
            start=0,
            stop=iterations,
            every=refine_every,
            reset_opacity_every=iterations + 1,
        )
    # Edits that differ from view to view must show, not be explained as exposure.
    return replace(
        settings, iterations=iterations, sh_degree_every=0, refine=refine, exposure_rate=0.0
    )


def stylize(
    trainer: SplatTrainer,
    editor: Editor,
    schedule: ThesisSchedule,
    instructions: Sequence[Instruction],
    photographs: Mapping[str, RgbaImage],
    neighbors: Sequence[Sequence[int]],
    on_edits: Callable[[Instruction, Mapping[str, RgbaImage]], None],
) -> None:
    """Train the splats on edits of their own renders; `trainer.splats` becomes the avatar.

    Args:
        trainer: Holds the baseline's splats, with fresh optimizers.
        editor: Edits all views at once.
        schedule: When views are edited, and which views form an iteration.
        instructions: One per cycle.
        photographs: The unedited views by name, which every edit is conditioned on.
        neighbors: For each view the indices of its neighbors, itself excluded.
        on_edits: Called with each cycle's instruction and edits, by view name.
    """
    for iteration in progress(range(schedule.iterations), "stylization"):
        cycle = schedule.cycle_starting_at(iteration)
        if cycle is not None:
            views = views_to_edit(trainer.splats, trainer.cameras, photographs)
            images = editor.edit(views, instructions[cycle])
            edits = {view.name: image for view, image in zip(views, images, strict=True)}
            trainer.replace_targets(edits)
            on_edits(instructions[cycle], edits)
        batch = schedule.batch(iteration, neighbors)
        loss = trainer.step(batch)
        if trainer.iteration % schedule.record_every == 0:
            trainer.record(loss, batch)


def views_to_edit(
    splats: Splats, cameras: Cameras, photographs: Mapping[str, RgbaImage]
) -> list[View]:
    """Each view's photograph beside what the splats look like from there now."""
    return [
        View(name, photographs[name], image) for name, image, *_ in render_views(splats, cameras)
    ]


def read_neighbors(path: str | Path, names: Sequence[str]) -> list[list[int]]:
    """Indices of each view's neighbors from `adjacency.csv`, in the order of `names`.

    Raises:
        InputError: the file is missing, or a view is not in it.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
            table = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
            return [
                [j for j, other in enumerate(names) if j != i and int(table[name][other])]
                for i, name in enumerate(names)
            ]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run camera_adjacency") from None
    except KeyError as error:
        raise InputError(f"{path} has no view {error}; run camera_adjacency again") from None
    except (ValueError, IndexError) as error:
        raise InputError(f"{path} is not an adjacency table ({error}); make it again") from None


def describe_run(
    instructions: Sequence[Instruction],
    schedule: ThesisSchedule,
    editor: Editor,
    device: str,
) -> dict[str, Any]:
    """What `run.json` says beside names and settings; the same for every run of the same avatar.

    Args:
        instructions: One per cycle.
        schedule: When they applied.
        editor: Which editor was used.
        device: Where the avatar was made.
    """
    return {
        "prompt": instructions[0].prompt,
        "prompt_text": instructions[0].text,
        "avatar_seed": instructions[0].seed,
        "cycles": [
            {
                "cycle": instruction.cycle,
                "iteration": instruction.cycle * schedule.edit_every,
                "text_guidance": instruction.text_guidance,
                "image_guidance": instruction.image_guidance,
                "noise_level": instruction.noise_level,
            }
            for instruction in instructions
        ],
        "editor": editor.describe(),
        "device": device,
        "versions": {name: installed_version(name) for name in PACKAGES},
    }


def installed_version(package: str) -> str | None:
    """Version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
