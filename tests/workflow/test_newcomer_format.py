"""A newcomer adds a format of cameras: one file, and its scenes can be scored."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from foreign_folder import write_scene
from study import ROOT

FORMAT = '''
"""Cameras in a table: name, width, height, focal length, and the pose in one row."""

import numpy as np

from headstyle.base.errors import InputError
from headstyle.importers.cameras.base import CameraFormat, GivenPose
from headstyle.importers.lenses import Lens


class TableOfCameras(CameraFormat):
    """`.cams`: one line per image, its name and 15 numbers."""

    label = "a .cams table"

    def find(self, path):
        return path if path.suffix == ".cams" else None

    def names(self, place):
        return [line.split()[0] for line in place.read_text().splitlines()]

    def read(self, place, sizes):
        poses = {}
        for line in place.read_text().splitlines():
            name, *numbers = line.split()
            if name in sizes:
                if len(numbers) != 15:
                    raise InputError(f"{place}: {name!r} has {len(numbers)} numbers; write 15")
                width, height, focal, *pose = map(float, numbers)
                matrix = np.eye(4)
                matrix[:3] = np.reshape(pose, (3, 4))
                params = (focal, focal, width / 2, height / 2)
                poses[name] = GivenPose(Lens("PINHOLE", int(width), int(height), params), matrix)
        return poses

    def write(self, place, poses):
        lines = []
        for name, pose in poses.items():
            lens = pose.lens
            numbers = [lens.width, lens.height, lens.params[0], *pose.world_to_camera[:3].ravel()]
            lines.append(" ".join([name, *map(repr, map(float, numbers))]))
        place.write_text("\\n".join(lines))
'''

SCORE = """
import sys
from pathlib import Path

from headstyle.importers.cameras import camera_formats
from headstyle.importers.cameras.base import poses_of_cameras
from headstyle.importers.scenes import SceneFiles, read_scene
from foreign_folder import sphere_rig

folder = Path(sys.argv[1])
[kind] = [kind for kind in camera_formats() if kind.label == "a .cams table"]
kind.write(folder / "mine.cams", poses_of_cameras(sphere_rig()))
scene = read_scene(SceneFiles(folder / "renders", folder / "mine.cams", folder / "depth"))
print(scene.explained)
"""


def test_a_format_of_cameras_is_one_file(tmp_path):
    library = tmp_path / "library"
    shutil.copytree(
        ROOT / "workflow_scripts/headstyle", library / "headstyle",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    (library / "headstyle/importers/cameras/tables.py").write_text(FORMAT)
    write_scene(tmp_path / "mine")
    paths = [library, Path(__file__).parents[1] / "support"]
    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(tmp_path / "mine")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert float(done.stdout) > 0.5
