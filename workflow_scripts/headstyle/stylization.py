"""Stylization of an avatar: the study's modified Instruct-GS2GS.

Every few thousand iterations all views are rendered and edited; between those iterations the
splats are trained on the edits. What the study changed in Instruct-GS2GS: an edit takes all views
at once with one noise, and an iteration averages the loss over a view and its neighbors.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from headstyle.cameras import Cameras
from headstyle.editing.base import Editor, Instruction, View
from headstyle.errors import InputError
from headstyle.images import RgbaImage
from headstyle.rendering import Splats, render_views
from headstyle.seeds import derived_seed
from headstyle.stage import progress


class Trainer(Protocol):
    """What stylization needs of `headstyle.training.SplatTrainer`."""

    splats: Splats
    targets: Sequence[RgbaImage]

    def step(self, indices: list[int]) -> float:
        """Train on the given views together; returns the mean loss."""
        ...


@dataclass(frozen=True)
class ThesisSchedule:
    """The study's schedule: all views are edited together, and neighbors share an iteration."""

    iterations: int
    edit_every: int

    @property
    def cycles(self) -> int:
        """How often all views are edited."""
        return -(-self.iterations // self.edit_every)

    def cycle_starting_at(self, iteration: int) -> int | None:
        """The cycle of edits that starts at an iteration, or None."""
        cycle, since = divmod(iteration, self.edit_every)
        return cycle if since == 0 else None

    def batch(self, iteration: int, neighbors: Sequence[Sequence[int]]) -> list[int]:
        """The views whose losses are averaged: view i mod M and its neighbors."""
        view = iteration % len(neighbors)
        return [view, *neighbors[view]]


SCHEDULES = {"thesis": ThesisSchedule}


def make_schedule(stylization: Mapping[str, Any]) -> ThesisSchedule:
    """The schedule of the config's section `stylization`.

    Raises:
        InputError: there is no such schedule.
    """
    name = stylization["schedule"]
    if name not in SCHEDULES:
        raise InputError(
            f"stylization.schedule is {name!r}; choose one of {', '.join(SCHEDULES)}"
        )
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
    if low > high:
        raise InputError(f"editing.noise_level is [{low}, {high}]; put the smaller number first")
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


def stylize(
    trainer: Trainer,
    editor: Editor,
    schedule: ThesisSchedule,
    instructions: Sequence[Instruction],
    photographs: Sequence[RgbaImage],
    cameras: Cameras,
    neighbors: Sequence[Sequence[int]],
    on_edits: Callable[[int, list[RgbaImage]], None],
    on_step: Callable[[int, float], None],
) -> None:
    """Train the splats on edits of their own renders; in the end `trainer.splats` is the avatar.

    Args:
        trainer: Holds the baseline's splats, with fresh optimizers.
        editor: Edits all views at once.
        schedule: When views are edited, and which views form an iteration.
        instructions: One per cycle.
        photographs: The unedited views, in the cameras' order, which every edit is conditioned on.
        cameras: The views' cameras.
        neighbors: For each view the indices of its neighbors, itself excluded.
        on_edits: Called with the cycle and its edits.
        on_step: Called with each iteration and its loss.
    """
    for iteration in progress(range(schedule.iterations), "stylization"):
        cycle = schedule.cycle_starting_at(iteration)
        if cycle is not None:
            views = views_to_edit(trainer.splats, photographs, cameras)
            edits = editor.edit(views, instructions[cycle])
            on_edits(cycle, edits)
            trainer.targets = edits
        loss = trainer.step(schedule.batch(iteration, neighbors))
        on_step(iteration, loss)


def views_to_edit(
    splats: Splats, photographs: Sequence[RgbaImage], cameras: Cameras
) -> list[View]:
    """Each view's photograph beside what the splats look like from there now."""
    renders = render_views(splats, cameras)
    return [
        View(name, photograph, image)
        for photograph, (name, image, *_) in zip(photographs, renders, strict=True)
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
