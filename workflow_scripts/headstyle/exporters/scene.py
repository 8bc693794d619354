"""A scene's folder in the results: its cameras, images, splats and depth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.errors import InputError

# From a scene's folder up to its subject's: `avatars/{avatar}` lies two folders below.
_LEVELS = 3


@dataclass(frozen=True)
class SceneFolder:
    """One scene of a subject, such as `results/A/baseline` or `results/A/avatars/P1_high`."""

    folder: Path
    """The scene's own folder."""
    views: Path
    """The subject's folder of views, with `cameras.json` in it."""

    @property
    def splats(self) -> Path:
        """The scene's splats.

        Raises:
            InputError: the scene has none.
        """
        return self._needed("splats.ply", "splats")

    @property
    def renders(self) -> Path:
        """The folder of the scene's renders. Raises as `splats`."""
        return self._needed("renders", "renders")

    @property
    def depth(self) -> Path:
        """The folder of the scene's depth maps. Raises as `splats`."""
        return self._needed("depth", "depth maps")

    @property
    def images(self) -> Path:
        """The folder of the images that show the scene: the views of a baseline, else renders."""
        return self.views if self.folder.name == "baseline" else self.renders

    def cameras(self) -> Cameras:
        """The cameras of all views."""
        return read_cameras(self.views / "cameras.json")

    def image(self, view: str) -> Path:
        """The image of a view.

        Raises:
            InputError: it is missing.
        """
        path = self.images / f"{view}.png"
        if not path.is_file():
            raise InputError(f"{path} does not exist; run the workflow again, which makes it")
        return path

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Sparse points of the foreground `(N, 3)` and their RGB colors; none if not known.

        Raises:
            InputError: the file is damaged.
        """
        path = self.views / "points.npz"
        if not path.is_file():
            return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
        try:
            with np.load(path, allow_pickle=False) as content:
                colors = np.asarray(content["colors"]).astype(np.uint8)
                return np.asarray(content["positions"], dtype=np.float64), colors
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read as sparse points ({error}); run downscale_views again"
            ) from None

    def _needed(self, name: str, what: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise InputError(
                f"{self.folder} has no {what} ({name}); run `snakemake --cores all {path}`, which"
                " makes them"
            )
        return path


def find_scene(path: str | Path) -> SceneFolder:
    """The scene that a folder of results is; a subject's own folder is its baseline.

    Raises:
        InputError: it is not a folder, or no folder of views lies beside it.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; name a scene such as results/A/baseline")
    if (path / "views" / "cameras.json").is_file() and (path / "baseline").is_dir():
        path = path / "baseline"
    for place in [path, *path.absolute().parents][:_LEVELS]:
        views = place / "views"
        if (views / "cameras.json").is_file():
            return SceneFolder(path, views)
    raise InputError(
        f"{path} is no scene of a study, as no views/cameras.json lies in it or above it; name a"
        " scene such as results/A/baseline"
    )
