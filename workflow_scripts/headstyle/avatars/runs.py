"""The work on one avatar, with its state on disk, and on several that are edited together."""

import json
import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstyle.avatars.files import AvatarFolder, Order
from headstyle.avatars.references import with_references
from headstyle.avatars.schedules import Edit, make_schedule
from headstyle.avatars.stylization import (
    Recipe,
    avatar_settings,
    describe_run,
    stylize,
)
from headstyle.avatars.subject import Subject
from headstyle.base.errors import InputError
from headstyle.base.files import whole_folder, write_json
from headstyle.base.images import RgbaImage, read_rgba, write_image
from headstyle.base.seeds import avatar_seed
from headstyle.editing.base import Editor, Instruction, View
from headstyle.editing.editors import editor_kind
from headstyle.editing.registry import avatar_editing
from headstyle.losses.perceptual import make_perceptual_loss
from headstyle.radiance.scenes import restore_trainer, scene_of, scene_size, trainer_state
from headstyle.training.baseline import write_splat_history
from headstyle.training.checkpoints import (
    UNREADABLE,
    read_state,
    write_state,
)

logger = logging.getLogger("headstyle")

STATE_FILE = "training.safetensors"
WRITERS = 4
"""Threads that write images during the training."""


@dataclass
class Request:
    """Views of one avatar that wait to be edited."""

    views: list[View]
    instructions: list[Instruction]


@dataclass
class AvatarRun:
    """The work on one avatar, from its baseline to its outputs. It resumes an interrupted one."""

    order: Order
    subject: Subject
    editor: Editor
    files: AvatarFolder
    seconds: dict[str, float] = field(default_factory=dict)
    """Time that this process spent in each phase."""

    def __post_init__(self) -> None:
        params, names = self.order.params, self.subject.cameras.names
        stylization = params["stylization"]
        seed = avatar_seed(
            params["seed"], self.order.subject, self.order.prompt, self.order.strength
        )
        self.recipe = Recipe.from_config(
            self.order.prompt, params["prompt_text"], params["strength"], params["editing"], seed
        )
        self.schedule = make_schedule(stylization, seed)
        settings = avatar_settings(
            params["baseline"], stylization["refine_every"], self.schedule.iterations
        )
        self.files.begin()
        perceptual = make_perceptual_loss(stylization, seed, self.subject.device)
        self.trainer = self.subject.trainer(settings, params.get("nerf"), perceptual, seed)
        self.resumed_at = self._resume()
        self._saved_at = self.trainer.iteration
        self._edit: Edit | None = None
        self._names = names
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        self._loop = stylize(self.trainer, self.schedule, self.subject.neighbors)

    def advance(self, images: Sequence[RgbaImage] | None = None) -> Request | None:
        """Train until views are to be edited.

        Args:
            images: The edited views of the last request.

        Returns:
            The views to edit next, or None when the training is complete.
        """
        started = time.monotonic()
        edits = None if images is None else self._received(images)
        while True:
            try:
                edit = self._loop.send(edits)
            except StopIteration:
                self._settle()
                self.trainer.check_scene()
                self._save()
                self._spent("train", started)
                return None
            self._save_when_due(edit)
            edits = self._kept(edit)
            if edits is None:
                self._edit = edit
                request = self._request(edit)
                self._spent("train", started)
                return request

    def finish(self) -> None:
        """Write all outputs to the folder from which `AvatarFolder.deliver` moves them."""
        started = time.monotonic()
        names, trainer = self.files.names, self.trainer
        with whole_folder(self.files.finished) as folder:
            shutil.copytree(self.files.edits, folder / names["edits"], copy_function=_link)
            places = (folder / names[key] for key in ("splats", "renders", "depth"))
            self.subject.write(trainer, *places)
            write_splat_history(folder / names["history"], trainer.history)
            write_json(folder / names["run"], self.described())
            self._spent("write", started)
            write_json(folder / names["timings"], self.timings())
        self._writer.shutdown()

    def described(self) -> dict[str, Any]:
        """The contents of `run.json`: everything that affected the avatar, without times."""
        order, params = self.order, self.order.params
        return {
            "subject": order.subject,
            "strength": order.strength,
            **({"after": params["after"]} if "after" in params else {}),
            "seed": params["seed"],
            "task": self.files.task,
            **scene_size(scene_of(self.trainer)),
            "views": list(self._names),
            **describe_run(
                self.recipe, self.schedule, self._names, self.editor, self.subject.device
            ),
            **{key: params[key] for key in ("editing", "stylization", "baseline", "library")},
            **({"nerf": params["nerf"]} if "nerf" in params else {}),
        }

    def timings(self) -> dict[str, Any]:
        """The contents of `timings.json`: times and machine, which differ from run to run."""
        device, peak = torch.device(self.subject.device), None
        if device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(device)
        return {
            "seconds": {phase: round(value, 3) for phase, value in self.seconds.items()},
            "resumed_at_iteration": self.resumed_at,
            "editor": self.editor.describe_machine(),
            "splats": {"device": str(device), "peak_memory_bytes": peak},
        }

    def spent_editing(self, seconds: float) -> None:
        """Add to the time that editing took."""
        self.seconds["edit"] = self.seconds.get("edit", 0.0) + seconds

    def _spent(self, phase: str, since: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - since

    def _request(self, edit: Edit) -> Request:
        names = [self._names[view] for view in edit.views]
        if edit.cycle == 0 and (edit.iteration == 0 or edit.references):
            renders = self.subject.renders
        else:
            renders = self.subject.renders_of(self.trainer, names)
        views = [View(name, self.subject.photographs[name], renders[name]) for name in names]
        if edit.references:
            self._settle()
            views = with_references(
                edit,
                views,
                self.subject.cameras,
                self.subject.depths if edit.warped else {},
                self.files.edits / f"cycle{edit.cycle}",
                editor_kind(self.order.params["editing"]).takes_references,
            )
        return Request(views, self.recipe.instructions(edit, self._names))

    def _received(self, images: Sequence[RgbaImage]) -> dict[str, RgbaImage]:
        """The edits, rounded as in their files. The files are written during the training."""
        edit = self._edit
        assert edit is not None
        self._settle()
        for view, image in zip(edit.views, images, strict=True):
            # Rounded to a file, such an edit would be black, and the avatar trained on it.
            if not np.isfinite(image).all():
                raise InputError(
                    f"{self.order.name}, iteration {edit.iteration}: the edit of the view"
                    f" {self._names[view]} has values that are not finite; set editing.dtype to"
                    " float32, or choose another strength"
                )
        # Train on the rounded edits, so that a resumed avatar trains on the same images.
        edits = {
            self._names[view]: _as_written(image)
            for view, image in zip(edit.views, images, strict=True)
        }
        folder = self.files.edits / f"cycle{edit.cycle}"
        whole = len(edits) == len(self._names)
        self._writing = self._writer.submit(_write_images, folder, edits, whole)
        name, count = self.order.name, len(edits)
        logger.info("%s, iteration %d: %d views edited", name, edit.iteration, count)
        return edits

    def _settle(self) -> None:
        """Wait until all edits are written."""
        if self._writing is not None:
            self._writing.result()

    def _kept(self, edit: Edit) -> dict[str, RgbaImage] | None:
        """The edits that an interrupted process finished, if all views are there."""
        folder = self.files.edits / f"cycle{edit.cycle}"
        if len(edit.views) < len(self._names) or not folder.is_dir():
            return None
        if self.trainer.iteration > (self.resumed_at or 0) or self._edit is not None:
            return None
        logger.info("%s: the edits of cycle %d were kept", self.order.name, edit.cycle)
        return {name: read_rgba(folder / f"{name}.png") for name in self._names}

    def _save_when_due(self, edit: Edit) -> None:
        iteration = self.trainer.iteration
        if iteration > self._saved_at and (
            iteration - self._saved_at >= self.schedule.checkpoint_every
        ):
            self._settle()
            self._save()

    def _save(self) -> None:
        """Write a checkpoint: the training's state and its target images."""
        tensors, described = trainer_state(self.trainer)
        with whole_folder(self.files.checkpoint) as folder:
            write_state(folder / STATE_FILE, tensors, described)
            latest = self.files.edits / "cycle0"
            if self.schedule.checkpoint_every and latest.is_dir():
                # Later edits replace these files one by one.
                shutil.copytree(latest, folder / "targets")
        self._saved_at = self.trainer.iteration

    def _resume(self) -> int | None:
        """Resume from the checkpoint if there is a valid one, and return its iteration."""
        path = self.files.checkpoint / STATE_FILE
        if not path.is_file():
            return None
        try:
            tensors, described = read_state(path)
        except UNREADABLE as error:
            logger.warning("%s cannot be read (%s): starting anew", path, error)
            return None
        restore_trainer(self.trainer, tensors, described)
        targets = sorted((self.files.checkpoint / "targets").glob("*.png"))
        self.trainer.replace_targets({target.stem: read_rgba(target) for target in targets})
        logger.info("%s resumes after iteration %d", self.order.name, self.trainer.iteration)
        return self.trainer.iteration


def make_together(runs: Sequence[AvatarRun]) -> dict[str, InputError]:
    """Make avatars whose views share batches and one editor.

    Returns:
        The errors of failed avatars by name. They do not affect the other avatars.
    """
    failed: dict[str, InputError] = {}
    waiting = _advanced([(run, None) for run in runs], failed)
    while waiting:
        started = time.monotonic()
        views = [view for _, request in waiting for view in request.views]
        instructions = [i for _, request in waiting for i in request.instructions]
        images = iter(runs[0].editor.edit(views, instructions))
        each = (time.monotonic() - started) / len(views)
        edited = []
        for run, request in waiting:
            run.spent_editing(each * len(request.views))
            edited.append((run, [next(images) for _ in request.views]))
        waiting = _advanced(edited, failed)
    return failed


def _advanced(
    edited: Iterable[tuple[AvatarRun, Sequence[RgbaImage] | None]], failed: dict[str, InputError]
) -> list[tuple[AvatarRun, Request]]:
    """The avatars that wait for further edits. The others are finished or have failed."""
    waiting = []
    for run, images in edited:
        try:
            request = run.advance(images)
            if request is None:
                run.finish()
            else:
                waiting.append((run, request))
        except InputError as error:
            failed[run.order.name] = error
    return waiting


def make_in_turns(orders: Iterator[Callable[[], AvatarRun]]) -> dict[str, InputError]:
    """Make avatars on two devices: one is edited while another one is trained.

    Args:
        orders: Functions that start an avatar. Each is called when its turn comes.

    Returns:
        The errors of failed avatars by name.
    """
    failed: dict[str, InputError] = {}
    under_way: deque[tuple[AvatarRun, Future[list[RgbaImage]]]] = deque()

    def edited(run: AvatarRun, request: Request) -> list[RgbaImage]:
        started = time.monotonic()
        images = run.editor.edit(request.views, request.instructions)
        run.spent_editing(time.monotonic() - started)
        return images

    with ThreadPoolExecutor(1) as editing:

        def submit(run: AvatarRun, images: Sequence[RgbaImage] | None) -> None:
            for waiting, request in _advanced([(run, images)], failed):
                under_way.append((waiting, editing.submit(edited, waiting, request)))

        starts = iter(orders)
        for start in starts:
            submit(start(), None)
            # Work on two at a time. The trainings share a device, so a third one would only wait.
            while len(under_way) > 1:
                run, future = under_way.popleft()
                submit(run, future.result())
        while under_way:
            run, future = under_way.popleft()
            submit(run, future.result())
    return failed


def _write_images(folder: Path, images: Mapping[str, RgbaImage], whole: bool) -> None:
    """Write `{name}.png` into a folder. If `whole`, the folder then holds no other files."""
    place = whole_folder(folder) if whole else nullcontext(folder)
    with place as inside, ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda name: write_image(inside / f"{name}.png", images[name]), images))


def _as_written(image: RgbaImage) -> RgbaImage:
    """The image as it is after writing it with 8 bits and reading it again."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8).astype(np.float32) / np.float32(255)


def _link(source: str, target: str) -> None:
    """Make a hard link to a file, or a copy if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def described_editing(editing: Mapping[str, Any]) -> str:
    """Key of the editor's settings. Avatars with equal keys share an editor."""
    return json.dumps(avatar_editing(editing), sort_keys=True)
