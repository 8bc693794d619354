"""A job that makes avatars of one subject: its own, and those of jobs that have not started.

Weights are loaded and photographs are encoded once for all of them. Parallel jobs share the work:
each claims the avatars that it makes.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from headstyle.avatars.files import AvatarFolder, Order
from headstyle.avatars.runs import (
    AvatarRun,
    described_editing,
    make_in_turns,
    make_together,
)
from headstyle.avatars.schedules import all_edits, make_schedule
from headstyle.avatars.subject import Subject
from headstyle.base.adjacency import read_neighbors
from headstyle.base.cameras import read_cameras
from headstyle.base.errors import InputError
from headstyle.base.images import read_views
from headstyle.base.locks import FileLock
from headstyle.base.settings import laid_over
from headstyle.editing.base import Editor
from headstyle.editing.memory import exact_device
from headstyle.editing.registry import checked_editor, make_editor
from headstyle.radiance.scenes import read_scene

logger = logging.getLogger("headstyle")

TOGETHER = 4
"""Avatars that are in the making at once where their views share batches."""
LOOK_AGAIN_S = 1.0
"""Seconds between checks of an avatar that another job makes."""


@dataclass(frozen=True)
class Claim:
    """An avatar that no other process makes as long as the lock is held."""

    order: Order
    """Names and settings of the avatar."""
    files: AvatarFolder
    lock: FileLock


@dataclass
class Job:
    """The inputs and the machine of a job, which makes avatars from them."""

    subject: Subject
    """Inputs that all avatars of the subject share."""
    inputs: str
    """Digest of the input files."""
    machine: Mapping[str, Any]
    """The settings of the machine in the config's section `editing`."""
    editor_device: str
    """Device of the editor."""
    before: Mapping[str, int | None] = field(default_factory=dict)
    """For each other avatar's name what `delivered_at` said when this run of the workflow began."""
    _editors: dict[str, Editor] = field(default_factory=dict)

    def make(self, own: Order, others: Sequence[Order] = (), most: int = 1) -> None:
        """Make the job's own avatar and others that no other job makes, at most `most` together.

        Raises:
            InputError: the job's own avatar failed for this reason.
        """
        files = AvatarFolder(own.folder, own.task(self.inputs), own.scene_file)
        expected, made = min(most, 1 + len(others)), 0
        failed: dict[str, InputError] = {}
        while not files.is_finished() or made < most:
            claims = (c for c in self._claims(own, others) if c.order.name not in failed)
            count = self._make_some(islice(claims, max(most - made, 1)), expected, failed)
            if own.name in failed:
                raise failed[own.name]
            made += count
            if count == 0:
                if files.is_finished():
                    return
                # Another job makes it; should that fail, it can be claimed here.
                time.sleep(LOOK_AGAIN_S)

    def _make_some(
        self, claims: Iterator[Claim], expected: int, failed: dict[str, InputError]
    ) -> int:
        """Make claimed avatars, together if this saves time, and return their number."""
        first = next(claims, None)
        if first is None:
            return 0
        held = [first]
        editor = self._editor(first.order, expected)
        apart = exact_device(self.editor_device) != exact_device(self.subject.device)
        stopped: dict[str, InputError] = {}
        try:
            if apart:

                def starts() -> Iterator[Callable[[], AvatarRun]]:
                    yield partial(self._run, first, expected)
                    for claim in claims:
                        held.append(claim)
                        yield partial(self._run, claim, expected)

                stopped = make_in_turns(starts())
            else:
                held += islice(claims, (TOGETHER if editor.shares_batches else 1) - 1)
                stopped = make_together([self._run(claim, expected) for claim in held])
        finally:
            for claim in held:
                claim.lock.release()
        for name, error in stopped.items():
            logger.warning("%s stopped: %s", name, error)
        failed |= stopped
        return len(held)

    def _claims(self, own: Order, others: Sequence[Order]) -> Iterator[Claim]:
        for order in (own, *others):
            files = AvatarFolder(order.folder, order.task(self.inputs), order.scene_file)

            def is_made(files: AvatarFolder = files, order: Order = order) -> bool:
                if order is not own and files.was_delivered_since(self.before.get(order.name)):
                    return True
                return files.is_finished()

            if is_made():
                continue
            lock = files.claim()
            if lock is None:
                continue
            # Another job may have made it between the check and the claim.
            if is_made():
                lock.release()
                continue
            yield Claim(order, files, lock)

    def _run(self, claim: Claim, expected: int) -> AvatarRun:
        params = claim.order.params
        logger.info("%s: %r", claim.order.name, params["prompt_text"])
        editor = self._editor(claim.order, expected)
        return AvatarRun(claim.order, self.subject, editor, claim.files)

    def _editor(self, order: Order, expected: int) -> Editor:
        """The editor of an avatar; avatars with the same settings share it."""
        editing = order.params["editing"]
        key = described_editing(editing)
        if key not in self._editors:
            made = make_editor(laid_over(editing, self.machine), self.editor_device)
            editor = checked_editor(made, editing)
            schedule = make_schedule(order.params["stylization"])
            edits = all_edits(schedule, len(self.subject.cameras))
            editor.expect(expected * sum(len(edit.views) for edit in edits))
            self._editors[key] = editor
        return self._editors[key]


def read_subject(
    cameras: str | Path,
    splats: str | Path,
    adjacency: str | Path,
    device: str,
    photographs: str | Path | None = None,
) -> Subject:
    """Read the inputs of a subject's avatars.

    Args:
        cameras: The cameras.
        splats: The scene from which avatars start.
        adjacency: The views' neighbors.
        device: Where splats are trained.
        photographs: Folder `{view}.png` of what is edited; by default that of `cameras`.

    Raises:
        InputError: a file is missing or damaged.
    """
    rig = read_cameras(cameras)
    views = read_views(Path(photographs or Path(cameras).parent), rig)
    return Subject(
        cameras=rig,
        photographs=dict(zip(rig.names, views, strict=True)),
        splats=read_scene(splats),
        neighbors=read_neighbors(adjacency, rig.names),
        device=device,
    )
