"""Stylization of an avatar: the loop of the study's modified Instruct-GS2GS and related methods.

At some iterations, views are rendered and edited; between them, the splats are trained on the
edits. The study changed two things in Instruct-GS2GS. All views are edited at once with one noise,
and an iteration averages the loss over a view and its neighbors. `headstyle.avatars.schedules`
holds the differences between the methods.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstyle.avatars.schedules import Edit, Schedule, all_edits
from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.base.progress import progress
from headstyle.base.seeds import derived_seed
from headstyle.editing.base import Editor, Instruction
from headstyle.radiance.scenes import Trainer
from headstyle.rendering.renderer import RendersItself, Splats, render, straight_alpha
from headstyle.training.trainer import TrainingSettings

PACKAGES = (
    *("torch", "gsplat", "numba", "numpy", "opencv-python-headless"),
    *("diffusers", "transformers"),
)
"""Packages whose versions can change an avatar."""

# A row of the history renders the iteration's views again. Rows in a long training, and in a short
# one the iterations between two rows.
HISTORY_ROWS, SHORT_STEP = 100, 5


@dataclass(frozen=True)
class Recipe:
    """The instruction, settings and seed of one avatar's edits."""

    prompt: str
    """Identifier of the prompt."""
    text: str
    """The instruction, with the pronoun filled in."""
    text_guidance: float
    """s_P of the first cycle."""
    image_guidance: float
    """s_I of the first cycle."""
    text_guidance_increment: float
    """Added to s_P in each cycle after the first."""
    image_guidance_increment: float
    """Added to s_I in each cycle after the first."""
    noise_level: tuple[float, float]
    """Range from which noise levels are drawn."""
    seed: int
    """The avatar's seed."""
    guidances: tuple[str, ...] = ("text_guidance", "image_guidance")
    """Those guidances that the editor has. The others are 0."""

    @classmethod
    def from_config(
        cls,
        prompt: str,
        text: str,
        strength: Mapping[str, float],
        editing: Mapping[str, Any],
        seed: int,
    ) -> "Recipe":
        """The recipe of one of the config's `strengths` and its section `editing`."""
        low, high = editing["noise_level"]
        return cls(
            prompt=prompt,
            text=text,
            # An editor that lacks a guidance reads none.
            text_guidance=strength.get("text_guidance", 0.0),
            image_guidance=strength.get("image_guidance", 0.0),
            **{
                f"{guidance}_increment": editing[f"{guidance}_increment"]
                if guidance in strength
                else 0.0
                for guidance in ("text_guidance", "image_guidance")
            },
            noise_level=(low, high),
            seed=seed,
            guidances=tuple(strength),
        )

    def instructions(self, edit: Edit, names: Sequence[str]) -> list[Instruction]:
        """One instruction per view of an edit.

        In cycle k the guidance scales are s_P + k times the text increment and s_I + k times the
        image increment. A shared noise is the same in all cycles, as in the study.

        Args:
            edit: Which views are edited, and whether they share their noise.
            names: Names of all views.
        """
        return [self._instruction(edit, names[view]) for view in edit.views]

    def _instruction(self, edit: Edit, view: str) -> Instruction:
        of_the_view = () if edit.shared_noise else (view,)
        draw = np.random.default_rng(
            derived_seed(self.seed, "noise level", edit.number, *of_the_view)
        )
        return Instruction(
            prompt=self.prompt,
            text=self.text,
            text_guidance=self.text_guidance + edit.cycle * self.text_guidance_increment,
            image_guidance=self.image_guidance + edit.cycle * self.image_guidance_increment,
            noise_level=float(draw.uniform(*self.noise_level)),
            cycle=edit.cycle,
            seed=self.seed
            if edit.shared_noise
            else derived_seed(self.seed, "noise", edit.number, view),
        )


def avatar_settings(
    baseline: Mapping[str, Any], refine_every: int, iterations: int
) -> TrainingSettings:
    """Settings of an avatar's training: those of the baseline, with the changes of stylization.

    All harmonics are used from the start. Splats are refined by the baseline's thresholds from the
    first to the last iteration. Opacities are never reset. A reset is meant for scenes that start
    from points; after a late reset the avatar would not become opaque again.
    """
    settings = TrainingSettings.from_config(baseline)
    refine = None
    if refine_every and settings.refine is not None:
        refine = replace(
            settings.refine,
            start=0,
            stop=iterations,
            every=refine_every,
            reset_opacity_every=iterations + 1,
        )
    return replace(
        settings,
        iterations=iterations,
        sh_degree_every=0,
        refine=refine,
        # Exposures would hide differences between the edits of different views.
        exposure_rate=0.0,
        # New edits arrive until the end, so the step sizes must not decay.
        learning_rates=replace(settings.learning_rates, decay=1.0),
        # Batches of several views keep a GPU busy, and the editor needs its memory.
        cuda_graphs=False,
    )


def stylize(
    trainer: Trainer,
    schedule: Schedule,
    neighbors: Sequence[Sequence[int]],
) -> Generator[Edit, Mapping[str, RgbaImage] | None, None]:
    """Train a scene on edits of its own renders, so that it becomes the avatar.

    This is a generator. It yields the views to edit next and is sent the edits by view name. So the
    caller can edit several avatars together. It starts at `trainer.iteration`.

    Args:
        trainer: Trainer with the baseline's splats and new optimizers. Old optimizer states would
            make the edits fade.
        schedule: Iterations at which views are edited, and the views of each iteration.
        neighbors: The indices of each view's neighbors, without the view itself.
    """
    short_step = min(SHORT_STEP, schedule.iterations // 20)
    record_every = max(1, schedule.iterations // HISTORY_ROWS, short_step)
    for iteration in progress(range(trainer.iteration, schedule.iterations), "stylization"):
        edit = schedule.edit_before(iteration, len(neighbors))
        if edit is not None:
            edited = yield edit
            assert edited is not None, "whoever runs this sends the edits"
            trainer.replace_targets(edited)
        batch = schedule.batch(iteration, neighbors)
        loss = trainer.step(batch)
        if trainer.iteration % record_every == 0:
            trainer.record(loss, batch)


def render_images(
    splats: Splats | RendersItself | dict[str, Tensor], cameras: Cameras
) -> Iterator[tuple[str, RgbaImage]]:
    """Render a scene from each camera. Yields name and image with straight alpha."""
    if isinstance(splats, RendersItself):
        yield from ((name, image) for name, image, *_ in splats.rendered_views(cameras))
        return
    device = splats["means"].device
    poses = torch.as_tensor(cameras.world_to_camera, dtype=torch.float32).to(device)
    intrinsics = torch.as_tensor(cameras.intrinsics, dtype=torch.float32).to(device)
    for i, name in enumerate(cameras.names):
        width, height = cameras.sizes[i].tolist()
        with torch.no_grad():
            rendering = render(splats, poses[i : i + 1], intrinsics[i : i + 1], width, height)
        yield name, straight_alpha(rendering.colors[0], rendering.alphas[0])


def describe_run(
    recipe: Recipe, schedule: Schedule, names: Sequence[str], editor: Editor, device: str
) -> dict[str, Any]:
    """The entries of `run.json` beside names and settings. They are equal in all runs of an avatar.

    Args:
        recipe: Recipe of the edits.
        schedule: Schedule of the edits.
        names: Names of the views.
        editor: Description of the editor.
        device: Device of the training.
    """
    return {
        "prompt": recipe.prompt,
        "prompt_text": recipe.text,
        "avatar_seed": recipe.seed,
        "iterations": schedule.iterations,
        "edits": [_described(recipe, edit, names) for edit in all_edits(schedule, len(names))],
        "editor": editor.describe(),
        "device": device,
        "versions": {name: installed_version(name) for name in PACKAGES},
    }


def _described(recipe: Recipe, edit: Edit, names: Sequence[str]) -> dict[str, Any]:
    instructions = recipe.instructions(edit, names)
    first = instructions[0]
    references = "the most alike" if edit.warped else [names[view] for view in edit.references]
    noise: dict[str, Any]
    if edit.shared_noise:
        whole = len(edit.views) == len(names)
        chosen = "all" if whole else [names[view] for view in edit.views]
        noise = {"views": chosen, "noise_level": first.noise_level, "noise_seed": first.seed}
    else:
        pairs = list(zip([names[view] for view in edit.views], instructions, strict=True))
        noise = {
            "noise_level": {view: i.noise_level for view, i in pairs},
            "noise_seed": {view: i.seed for view, i in pairs},
        }
    return {
        "cycle": edit.cycle,
        "iteration": edit.iteration,
        **{guidance: getattr(first, guidance) for guidance in recipe.guidances},
        **noise,
        **({"references": references} if references else {}),
    }


def installed_version(package: str) -> str | None:
    """Version of a package, or None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
