"""A run in 3D, in the browser. The only module that knows viser.

The browser draws the splats, so this machine needs no GPU.
"""

import socket
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.report.pictures import BACKDROP, cutout, shown_view
from headstyle.review.scenes import (
    Cloud,
    Frame,
    Step,
    cameras_in,
    pictures_in,
    read_cloud,
    scenes_in,
    subjects_in,
    written,
    written_files,
)

NOT_INSTALLED = (
    "headstyle view needs the package viser; run `pip install 'headstyle[view]'` and the same"
    " command again"
)
POLL_S = 2.0
"""Time between two looks at the files with `--follow` [s]."""
_PICTURE_PX = 256
_PORTS = 1 << 16
_MOST_KEPT = 8
"""Scenes that are kept in memory, so that going back to one is quick."""
_FRUSTUM = 0.9
_START = 0.75
"""Where visitors begin, relative to the camera in front."""


@dataclass(frozen=True)
class _Subject:
    """One subject as the viewer shows it."""

    folder: Path
    cameras: Cameras

    @cached_property
    def frame(self) -> Frame:
        return Frame.of_cameras(self.cameras)


class Viewer:
    """A server that shows one results folder."""

    def __init__(self, folder: str | Path, host: str, port: int) -> None:
        """Start to serve.

        Args:
            folder: The results folder.
            host: Address to listen on; `127.0.0.1` lets only this machine in.
            port: First port to try; where it is taken, the next free one. 0 is any free one.

        Raises:
            InputError: viser is not installed, the address cannot be used, or the folder has no
                subject to show.
        """
        try:
            import viser
        except ImportError:
            raise InputError(NOT_INSTALLED) from None
        self.folder = Path(folder)
        self._lock = threading.RLock()
        # What is shown, so that a callback that changes nothing sends nothing.
        self._drawn: dict[str, Any] = {}
        self._frusta: dict[str, Any] = {}
        # The picture of each camera, and when it was written.
        self._pictured: dict[str, tuple[Path, float]] = {}
        self._clouds: dict[tuple[Any, ...], Cloud] = {}
        self._seen: dict[Path, float] = {}
        names = self._subjects()
        _check_address(host, port)
        self.server = viser.ViserServer(
            host=host, port=port, label=f"headstyle: {self.folder.name}", verbose=False
        )
        self._add_controls(names)
        self.refresh()

    @property
    def address(self) -> str:
        """Where a browser finds the viewer."""
        return f"http://{self.server.get_host()}:{self.server.get_port()}"

    def refresh(self) -> None:
        """Bring the browser to what the controls say and the files hold.

        What cannot be read is told in the browser, and the last good scene stays.
        """
        with self._lock:
            try:
                self._refresh()
            except InputError as error:
                self.told.content = f"**{error}**"

    def _refresh(self) -> None:
        subject = self._subject()
        scenes = scenes_in(subject.folder)
        if not scenes:
            raise InputError(f"{subject.folder} has no splats now; wait for those that are made")
        _offer(self.scene, list(scenes))
        scene = self.scene.value
        steps, pictures = scenes[scene], pictures_in(subject.folder, scene)
        # Who looks at the latest state goes on to the next one.
        was_last = self.step.value == self._drawn.get("steps", 0) - 1
        is_other = self._drawn.get("scene") != scene
        _limit(self.step, len(steps) - 1, at_end=was_last or is_other)
        _limit(self.pictures, len(pictures) - 1)
        step = steps[self.step.value]
        chosen, folder = list(pictures.items())[self.pictures.value]
        cloud = self._cloud(subject, step)
        _offer(self.mode, list(cloud.modes()))
        mode = self.mode.value
        self._draw_cameras(subject, folder)
        self._draw_splats(cloud, mode)
        self._drawn |= {"scene": scene, "steps": len(steps)}
        scale = f" Brightest from {cloud.highest(mode):.3g}." if mode in cloud.measured else ""
        self.told.content = (
            f"{len(cloud):,} splats, {step.name}.{scale} The cameras show the {chosen}. "
            "Zoom out to see the cameras; click one to look through it."
        )

    def follow(self) -> None:
        """Show what a run replaces, as soon as it is there; returns never."""
        while True:
            time.sleep(POLL_S)
            self.look_again()

    def look_again(self) -> bool:
        """Read again what was written since the last look; tells whether there was anything."""
        with self._lock:
            try:
                _offer(self.subject, self._subjects())
            except InputError as error:
                self.told.content = f"**{error}**"
                return False
            found = written_files(self.folder / self.subject.value)
            if found == self._seen:
                return False
            self._seen = found
            self.refresh()
            return True

    def cameras(self) -> dict[str, Any]:
        """The camera of each view in the browser, by the view's name."""
        return dict(self._frusta)

    def stop(self) -> None:
        """Stop serving."""
        self.server.stop()

    def _subjects(self) -> list[str]:
        names = [name for name in subjects_in(self.folder) if scenes_in(self.folder / name)]
        if not names:
            raise InputError(
                f"{self.folder} has no subject with splats to show; name the results_dir of a run"
                " whose train_baseline has begun"
            )
        return names

    def _subject(self) -> _Subject:
        name = self.subject.value
        if self._drawn.get("subject") != name:
            self._subject_shown = _Subject(self.folder / name, cameras_in(self.folder / name))
            self._drawn = {"subject": name}
            self._place_visitors()
        return self._subject_shown

    def _add_controls(self, names: list[str]) -> None:
        gui = self.server.gui
        gui.configure_theme(show_share_button=False, show_logo=False)
        self.told = gui.add_markdown("")
        self.subject: Any = gui.add_dropdown("Subject", names)
        self.scene: Any = gui.add_dropdown("Scene", ["baseline"])
        self.mode: Any = gui.add_dropdown(
            "Show",
            ["color"],
            hint="color, depth from the middle of the rig, alpha, or where the views disagree",
        )
        self.step: Any = gui.add_slider(
            "Training", 0, 1, 1, 0, hint="saved states, the last at the end"
        )
        self.pictures: Any = gui.add_slider(
            "Pictures", 0, 1, 1, 0, hint="photographs, edits of each cycle, renders"
        )
        self.with_cameras: Any = gui.add_checkbox("Cameras", True)
        for control in (self.subject, self.scene, self.mode, self.step, self.pictures):
            control.on_update(lambda _: self.refresh())
        self.with_cameras.on_update(lambda _: self._show_cameras())

    def _cloud(self, subject: _Subject, step: Step) -> Cloud:
        key = (subject.folder, step, *map(written, step.files))
        if key not in self._clouds:
            self._clouds = dict(list(self._clouds.items())[-_MOST_KEPT:])
            self._clouds[key] = read_cloud(step, subject.cameras, subject.frame)
        return self._clouds[key]

    def _draw_splats(self, cloud: Cloud, mode: str) -> None:
        if self._drawn.get("cloud") is cloud and self._drawn.get("mode") == mode:
            return
        parts = (cloud.centers, cloud.covariances, cloud.shown(mode), cloud.opacities)
        with self.server.atomic():
            if "splats" in self.__dict__:
                self.splats.set_gaussians(*parts)
            else:
                self.splats: Any = self.server.scene.add_gaussian_splats("/splats", *parts)
            if self._drawn.get("mode") != mode:
                is_dark = mode == "alpha" or mode in cloud.measured
                color = np.array((0, 0, 0) if is_dark else BACKDROP, np.uint8)
                self.server.scene.set_background_image(np.tile(color, (2, 2, 1)), format="png")
        self._drawn |= {"cloud": cloud, "mode": mode}

    def _draw_cameras(self, subject: _Subject, folder: Path) -> None:
        if self._drawn.get("rig") is not subject:
            self._add_cameras(subject)
            self._drawn["rig"] = subject
        for name, frustum in self._frusta.items():
            path = folder / f"{name}.png"
            state = (path, written(path))
            if self._pictured.get(name) != state:
                frustum.image = np.asarray(cutout(path, _PICTURE_PX)) if state[1] else None
                self._pictured[name] = state

    def _add_cameras(self, subject: _Subject) -> None:
        for earlier in self._frusta.values():
            earlier.remove()
        cameras = subject.cameras
        places = subject.frame.moved(cameras.centers)
        self._frusta, self._pictured = {}, {}
        for i, name in enumerate(cameras.names):
            frustum: Any = self.server.scene.add_camera_frustum(
                f"/cameras/{i}",
                _vertical_angle(cameras, i),
                cameras.sizes[i, 0] / cameras.sizes[i, 1],
                scale=_FRUSTUM,
                color=(0, 114, 178),
                wxyz=_wxyz(cameras.world_to_camera[i, :3, :3].T),
                position=places[i],
                visible=self.with_cameras.value,
            )
            frustum.on_click(_look_through)
            self._frusta[name] = frustum

    def _show_cameras(self) -> None:
        with self._lock:
            for frustum in self._frusta.values():
                frustum.visible = self.with_cameras.value

    def _place_visitors(self) -> None:
        """Let new visitors begin in front of the head, nearer than the pictures of the cameras."""
        subject = self._subject_shown
        cameras = subject.cameras
        front = cameras.index(shown_view(cameras))
        up = -cameras.world_to_camera[:, 1, :3].mean(axis=0)
        start = self.server.initial_camera
        self.server.scene.set_up_direction(up / max(np.linalg.norm(up), 1e-9))
        start.position = subject.frame.moved(cameras.centers[front]) * _START
        start.look_at = np.zeros(3)
        start.fov = _vertical_angle(cameras, front) / _START


def _check_address(host: str, port: int) -> None:
    """Raise an InputError for an address that this machine lacks: viser would try without end."""
    if not 0 <= port < _PORTS:
        raise InputError(
            f"--port {port} is no port; choose one from 1 to {_PORTS - 1}, or 0 for any"
        )
    try:
        family = socket.getaddrinfo(host, None)[0][0]
        socket.create_server((host, 0), family=family).close()
    except OSError as error:
        raise InputError(
            f"--host {host} cannot be listened on ({error.strerror or error}); choose an address of"
            " this machine, such as 127.0.0.1"
        ) from None


def _offer(control: Any, options: list[str]) -> None:
    if list(control.options) != options:
        control.options = options


def _limit(slider: Any, highest: int, at_end: bool = False) -> None:
    """Let a slider go from 0 to `highest`; it is hidden where there is nothing to choose.

    With `at_end` it goes to its end; otherwise it stays where it is, if it can.
    """
    slider.visible = highest > 0
    if slider.max != max(highest, 1):
        slider.max = max(highest, 1)
    if slider.value != (wanted := highest if at_end else min(slider.value, highest)):
        slider.value = wanted


def _vertical_angle(cameras: Cameras, i: int) -> float:
    """Vertical angle of view of a camera [rad]."""
    return float(2 * np.arctan(cameras.sizes[i, 1] / (2 * cameras.intrinsics[i, 1, 1])))


def _wxyz(world_from_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    from viser.transforms import SO3

    return np.asarray(SO3.from_matrix(world_from_camera).wxyz, np.float64)


def _look_through(event: Any) -> None:
    """Bring the camera of the visitor who clicked a frustum to it."""
    with event.client.atomic():
        event.client.camera.wxyz = event.target.wxyz
        event.client.camera.position = event.target.position
