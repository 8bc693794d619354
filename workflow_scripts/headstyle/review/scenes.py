"""What there is to see of each subject in 3D: scenes of splats, and pictures of each view.

A viewer gets positions in a frame of its own: the point that the cameras look at is the origin, and
the cameras are 10 units away. Viewers keep covariances in few bits, which this size suits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from numpy.typing import NDArray

from headstyle.base.adjacency import meeting_point
from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.errors import InputError, first_line, result_of
from headstyle.base.tables.ply import read_ply_tables
from headstyle.rendering.quantized import SH0
from headstyle.rendering.renderer import Splats
from headstyle.rendering.spherical_harmonics import sh_bases
from headstyle.rendering.splats import read_ply
from headstyle.training.checkpoints import UNREADABLE, read_state

MODES = ("color", "depth", "alpha")
"""What the color of a splat may show in every scene."""
INCONSISTENCY = "inconsistency"
"""Beginning of the names of measured properties, which some scenes can show, too."""
_MEASURED = "inconsistency.ply"
_MAPPED = result_of("map_inconsistency")
_RADIUS = 10.0
_DEPTH_COLORS, _MEASURED_COLORS = "viridis_r", "inferno"
_HIGHEST_PERCENT = 99
_CHECKPOINT = "training.safetensors"


@dataclass(frozen=True)
class Step:
    """A state of a scene: the end of its training, or a moment before."""

    name: str
    """As a reader calls it, such as `iteration 3000` or `end`."""
    path: Path
    """A PLY, or the checkpoint of a training that runs."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that a cloud is made of."""
        is_end = self.path.name == "splats.ply"
        return (self.path, self.path.with_name(_MEASURED)) if is_end else (self.path,)


@dataclass(frozen=True)
class Frame:
    """The frame of the viewer: `(position - center) * scale`."""

    center: NDArray[np.float64]
    """The point of the world that becomes the origin. Shape `(3,)`."""
    scale: float

    @classmethod
    def of_cameras(cls, cameras: Cameras) -> "Frame":
        """The frame in which the cameras stand around the origin."""
        center = meeting_point(cameras)
        distance = float(np.median(np.linalg.norm(cameras.centers - center, axis=1)))
        return cls(center, _RADIUS / distance if distance > 0 else 1.0)

    def moved(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """Positions `(..., 3)` of the world in the viewer's frame."""
        moved: NDArray[np.float64] = (np.asarray(positions, np.float64) - self.center) * self.scale
        return moved


@dataclass(frozen=True)
class Cloud:
    """Splats as a viewer takes them, in its frame."""

    centers: NDArray[np.float32]
    """Shape `(N, 3)`."""
    covariances: NDArray[np.float32]
    """Shape `(N, 3, 3)`."""
    opacities: NDArray[np.float32]
    """In [0, 1]. Shape `(N, 1)`."""
    colors: NDArray[np.float32]
    """As the middle of the rig sees them, in [0, 1]. Shape `(N, 3)`."""
    depths: NDArray[np.float32]
    """Distance from the middle of the rig. Shape `(N,)`."""
    measured: Mapping[str, NDArray[np.float32]]
    """How much the views disagree where each splat is, by the property's name. Shape `(N,)` each;
    empty where nobody measured."""

    def __len__(self) -> int:
        return len(self.centers)

    def modes(self) -> tuple[str, ...]:
        """The modes that this scene has."""
        return (*MODES, *self.measured)

    def highest(self, mode: str) -> float:
        """The value of a measured property from which on splats are brightest."""
        return max(float(np.percentile(self.measured[mode], _HIGHEST_PERCENT)), 1e-9)

    def shown(self, mode: str) -> NDArray[np.float32]:
        """Colors in [0, 1] for a mode. Shape `(N, 3)`.

        Depth is bright where near. Alpha is white, for a black background. Inconsistency is dark
        where views agree, and brightest from its 99th percentile on.
        """
        if mode == "alpha":
            return np.ones_like(self.colors)
        if mode == "depth":
            low, high = np.percentile(self.depths, [100 - _HIGHEST_PERCENT, _HIGHEST_PERCENT])
            return _mapped(_DEPTH_COLORS, (self.depths - low) / max(high - low, 1e-9))
        if mode in self.measured:
            return _mapped(_MEASURED_COLORS, self.measured[mode] / self.highest(mode))
        return self.colors


def subjects_in(folder: Path) -> list[str]:
    """Subjects of a results folder whose cameras are known; sorted."""
    return sorted(path.parents[1].name for path in folder.glob("*/views/cameras.json"))


def scenes_in(subject: Path) -> dict[str, list[Step]]:
    """The scenes of a subject by name, the baseline first, each with its states in time order."""
    folders = {"baseline": subject / "baseline"}
    folders |= {path.name: path for path in sorted(subject.glob("avatars/*")) if path.is_dir()}
    found = {name: _steps(folder) for name, folder in folders.items()}
    return {name: steps for name, steps in found.items() if steps}


def pictures_in(subject: Path, scene: str) -> dict[str, Path]:
    """Folders of pictures of the views: the photographs, the edits of each cycle, the renders."""
    folder = _scene_folder(subject, scene)
    found = {"photographs": subject / "views"}
    # While an avatar is made, its edits lie elsewhere.
    for edits in (folder / ".partial" / "edits", folder / "edits"):
        cycles = [path for path in edits.glob("cycle*") if path.name[5:].isdigit()]
        for path in sorted(cycles, key=lambda path: int(path.name[5:])):
            found[f"edits of cycle {path.name[5:]}"] = path
    if (folder / "renders").is_dir():
        found["renders"] = folder / "renders"
    return found


def cameras_in(subject: Path) -> Cameras:
    """The cameras of a subject.

    Raises:
        InputError: they are missing or damaged, or there are none.
    """
    cameras = read_cameras(subject / "views" / "cameras.json")
    if not len(cameras):
        raise InputError(f"{subject}/views/cameras.json has no view; name another folder")
    return cameras


def middle_of(cameras: Cameras) -> NDArray[np.float64]:
    """The mean of the cameras' places. Shape `(3,)`."""
    middle: NDArray[np.float64] = cameras.centers.mean(axis=0)
    return middle


def read_cloud(step: Step, cameras: Cameras, frame: Frame) -> Cloud:
    """Read a scene for a viewer.

    Raises:
        InputError: its file is missing or damaged.
    """
    splats, measured = _read(step)
    arrays = {name: value.detach().cpu().numpy() for name, value in splats.items()}
    means = arrays["means"].astype(np.float64)
    rays = means - middle_of(cameras)
    distances = np.linalg.norm(rays, axis=1)
    directions = rays / np.maximum(distances, 1e-12)[:, None]
    return Cloud(
        frame.moved(means).astype(np.float32),
        _covariances(arrays["quats"], arrays["scales"] + np.log(frame.scale)),
        (1 / (1 + np.exp(-arrays["opacities"].astype(np.float64)))).astype(np.float32)[:, None],
        _colors(arrays["sh0"], arrays["shN"], directions),
        (distances * frame.scale).astype(np.float32),
        measured,
    )


def _scene_folder(subject: Path, scene: str) -> Path:
    return subject / "baseline" if scene == "baseline" else subject / "avatars" / scene


def _steps(folder: Path) -> list[Step]:
    saved = [path for path in folder.glob("iterations/*.ply") if path.stem.isdigit()]
    steps = [Step(f"iteration {int(p.stem)}", p) for p in sorted(saved, key=lambda p: int(p.stem))]
    for running in (
        folder.with_name(f"{folder.name}.checkpoint") / _CHECKPOINT,
        folder / ".partial" / "checkpoint" / _CHECKPOINT,
    ):
        if running.is_file():
            steps.append(Step("latest checkpoint", running))
    if (folder / "splats.ply").is_file():
        steps.append(Step("end of the training", folder / "splats.ply"))
    return steps


def _read(step: Step) -> tuple[Splats, Mapping[str, NDArray[np.float32]]]:
    """Splats, and what was measured of these splats."""
    if step.path.suffix == ".safetensors":
        return _read_checkpoint(step.path), {}
    splats = read_ply(step.path)
    measured = [file for file in step.files[1:] if file.is_file()]
    if not measured:
        return splats, {}
    table = read_ply_tables(measured[0], _MAPPED).get("vertex")
    # Of a training that was repeated, the values belong to other splats.
    if table is None or len(table) != len(splats["means"]):
        return splats, {}
    names = [name for name in table.dtype.names or () if name.startswith(INCONSISTENCY)]
    return splats, {name: np.nan_to_num(table[name].astype(np.float32)) for name in names}


def _read_checkpoint(path: Path) -> Splats:
    try:
        tensors, _ = read_state(path)
        names = ("means", "scales", "quats", "opacities", "sh0", "shN")
        return torch.nn.ParameterDict({name: tensors[f"splats.{name}"] for name in names})
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read ({first_line(error)}); wait for the next checkpoint"
        ) from None


def _covariances(
    quats: NDArray[np.floating], log_scales: NDArray[np.floating]
) -> NDArray[np.float32]:
    w, x, y, z = (quats / np.linalg.norm(quats, axis=1, keepdims=True)).T.astype(np.float64)
    rotation = np.stack(
        [
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ],
        axis=1,
    ).reshape(-1, 3, 3)
    axes = rotation * np.exp(log_scales.astype(np.float64))[:, None, :]
    covariances: NDArray[np.float64] = axes @ axes.transpose(0, 2, 1)
    return covariances.astype(np.float32)


def _colors(
    sh0: NDArray[np.floating], shN: NDArray[np.floating], directions: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The colors of splats seen along unit directions `(N, 3)`."""
    degree = round(np.sqrt(shN.shape[1] + 1)) - 1
    bases = np.zeros((16, len(directions)))
    # Python's own version of the kernel takes arrays, too.
    sh_bases.py_func(degree, *directions.T, bases)
    colors = 0.5 + SH0 * sh0[:, 0].astype(np.float64)
    if degree:
        colors = colors + np.einsum("bn,nbc->nc", bases[1 : shN.shape[1] + 1], shN)
    clipped: NDArray[np.float32] = np.clip(colors, 0, 1).astype(np.float32)
    return clipped


def _mapped(name: str, values: NDArray[np.floating]) -> NDArray[np.float32]:
    colors: NDArray[np.float64] = colormaps[name](np.clip(values, 0, 1))
    return colors[:, :3].astype(np.float32)


def written_files(subject: Path) -> dict[Path, float]:
    """When each file and folder of pictures that a viewer may show was last written."""
    scenes = scenes_in(subject)
    paths = [path for steps in scenes.values() for step in steps for path in step.files]
    paths += [folder for scene in scenes for folder in pictures_in(subject, scene).values()]
    return {path: written(path) for path in paths}


def written(path: Path) -> float:
    """When a file was last written, 0 where there is none [s since the epoch]."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
