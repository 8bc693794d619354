"""The files of one avatar: its outputs, the state of an interrupted job, and the claim of a job.

During the work, an avatar's state lies in `.partial` beside its outputs, where Snakemake deletes
nothing. It holds the edits of finished cycles and the splats at the end of the last cycle. At the
end it holds all outputs in `finished`, from where they are moved to their places. So a job can
continue an interrupted one. A job can also make avatars for later jobs, which only move the
outputs.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError, result_in_folder
from headstyle.base.files import read_json
from headstyle.base.locks import FileLock, try_lock

OUTPUTS = {
    "splats": "splats.ply",
    "edits": "edits",
    "renders": "renders",
    "depth": "depth",
    "history": "history.tsv",
    "run": "run.json",
    "timings": "timings.json",
}
"""What an avatar's folder holds in the end; `splats` is the scene in any representation."""


SCENE_FILES = {"splats": "splats.ply", "nerf": "field.safetensors"}
"""The file of a scene in each representation."""


@dataclass(frozen=True)
class Order:
    """One avatar to make: its names and all settings that affect it."""

    subject: str
    """Name of the subject."""
    prompt: str
    """Identifier of the prompt."""
    strength: str
    """Name of the strength."""
    params: dict[str, Any]
    """`prompt_text`, `strength`, `editing`, `stylization`, `baseline`, `seed`, `library`; `after`
    of an avatar that starts from another one; `nerf` of one that is a radiance field."""
    folder: Path
    """Where its outputs are."""

    @property
    def name(self) -> str:
        """As its folder is called."""
        return f"{self.prompt}_{self.strength}"

    @property
    def scene_file(self) -> str:
        """Name of the file with its scene."""
        return SCENE_FILES["nerf" if self.params.get("nerf") else "splats"]

    def task(self, inputs: str) -> str:
        """Digest of all that affects the avatar. `inputs` is the digest of its input files."""
        names = [self.subject, self.prompt, self.strength]
        text = json.dumps([names, self.params, inputs], sort_keys=True, default=dict)
        return hashlib.sha256(text.encode()).hexdigest()


class AvatarFolder:
    """The state of one unfinished avatar. It belongs to one task, the digest of all settings."""

    def __init__(
        self, folder: str | Path, task: str, scene_file: str = SCENE_FILES["splats"]
    ) -> None:
        self.names = OUTPUTS | {"splats": scene_file}
        """What the folder holds in the end."""
        self.outputs = Path(folder)
        self.state = self.outputs / ".partial"
        self.task = task

    @property
    def edits(self) -> Path:
        """Edits of the cycles so far, `cycle{k}/{view}.png`."""
        return self.state / "edits"

    @property
    def checkpoint(self) -> Path:
        """Folder of the latest checkpoint of the training."""
        return self.state / "checkpoint"

    @property
    def finished(self) -> Path:
        """Folder of all outputs before they are moved to their places."""
        return self.state / "finished"

    def begin(self) -> None:
        """Keep the state of the same task; delete the state of any other task."""
        marker = self.state / "task"
        if marker.is_file() and marker.read_text(encoding="ascii") == self.task:
            for leftover in list(self.state.rglob(".*.partial-*")):
                _remove(leftover)
            return
        if self.state.exists():
            for path in self.state.iterdir():
                # The lock stays, for it may be held.
                if path.name != ".lock":
                    _remove(path)
        self.state.mkdir(parents=True, exist_ok=True)
        marker.write_text(self.task, encoding="ascii")

    def is_finished(self) -> bool:
        """Whether all outputs wait to be moved to their places."""
        marker = self.state / "task"
        return (
            marker.is_file()
            and marker.read_text(encoding="ascii") == self.task
            and all((self.finished / name).exists() for name in self.names.values())
        )

    def was_delivered_since(self, before: int | None) -> bool:
        """Whether the outputs are in their places, and not those of before.

        Args:
            before: What `delivered_at` said then.
        """
        if delivered_at(self.outputs) in (None, before):
            return False
        try:
            return bool(read_json(self.outputs / OUTPUTS["run"]).get("task") == self.task)
        except InputError:
            return False

    def deliver(self, outputs: Mapping[str, str | Path]) -> None:
        """Move the outputs to their places and delete the state.

        Args:
            outputs: Where each of `OUTPUTS` belongs.
        """
        for key, name in self.names.items():
            place = Path(outputs[key])
            _remove(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.finished / name, place)
        shutil.rmtree(self.state, ignore_errors=True)

    def claim(self) -> FileLock | None:
        """Claim the making of this avatar for this process, or None if another one makes it.

        Returns:
            The claim. It lasts until `release()`, or until nothing refers to it.
        """
        while True:
            self.state.mkdir(parents=True, exist_ok=True)
            # A process that delivers the avatar may delete the folder at any moment.
            with suppress(FileNotFoundError):
                return try_lock(self.state / ".lock")


def delivered_at(folder: str | Path) -> int | None:
    """When an avatar's outputs came to their places [ns since the epoch]; None if they did not.

    Only to be compared for equality: a clock may be set back during a run.
    """
    try:
        return (Path(folder) / OUTPUTS["run"]).stat().st_mtime_ns
    except OSError:
        return None


def digest_of_files(paths: Iterable[str | Path]) -> str:
    """One digest of the contents of files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
        except OSError as error:
            again = result_in_folder(path).if_wrong
            raise InputError(f"{path} cannot be read ({error}); {again}") from None
    return digest.hexdigest()


def read_plan(path: str | Path, subject: str) -> tuple[list[Order], dict[str, int | None]]:
    """All avatars of a subject that this run of the workflow makes, and what there was of them.

    Returns:
        The orders, none where there is no plan; and for each of their names what `delivered_at`
        said when the run began.
    """
    path = Path(path)
    if not path.is_file():
        return [], {}
    orders, before = [], {}
    for entry in read_json(path):
        if entry["subject"] == subject:
            delivered = entry.pop("delivered_at")
            order = Order(**entry | {"folder": Path(entry["folder"])})
            orders.append(order)
            before[order.name] = delivered
    return orders, before


def check_renders(names: Sequence[str], renders: str | Path) -> None:
    """Check that a baseline shows every view.

    Raises:
        InputError: it was trained on other views.
    """
    missing = [name for name in names if not (Path(renders) / f"{name}.png").is_file()]
    if missing:
        raise InputError(
            f"{renders} lacks the view{'s' if len(missing) > 1 else ''} {', '.join(missing)}, "
            "which the subject's cameras have; train the baseline again"
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
