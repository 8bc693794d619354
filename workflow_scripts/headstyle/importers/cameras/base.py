"""What a format of cameras is: how it is recognized, read and written."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.importers.lenses import Lens

Sizes = Mapping[str, tuple[int, int]]
"""Width and height [px] of images by the names that cameras give them."""


MOST_BYTES = 512 * 2**20
"""A larger file is none of cameras."""


@dataclass(frozen=True)
class GivenPose:
    """A view's known lens and pose."""

    lens: Lens
    world_to_camera: NDArray[np.float64]
    """OpenCV. Shape `(4, 4)`."""


@dataclass(frozen=True)
class Companions:
    """Files that a data set names beside its images, by the images' names in it."""

    masks: Mapping[str, Path] = field(default_factory=dict)
    depths: Mapping[str, Path] = field(default_factory=dict)
    depth_scale: float = 1.0
    """World units per unit of the depth files."""
    points: Path | None = None
    """A PLY, or a folder with a COLMAP model."""
    points_scale: float = 1.0
    """World units per unit of the points."""

    @property
    def files(self) -> list[Path]:
        """All of them, whether they are there or not."""
        return [*self.masks.values(), *self.depths.values(), *filter(None, [self.points])]


class CameraFormat(ABC):
    """A way to store cameras. To add one, write a module with a subclass into this folder."""

    label: ClassVar[str]
    """What messages call it."""
    axes: ClassVar[str] = "opencv"
    """Camera axes that files of this format keep: `opencv` or `opengl`."""
    rank: ClassVar[int] = 0
    """Formats are asked in the order of their ranks."""

    @abstractmethod
    def find(self, path: Path) -> Path | None:
        """The file or folder of this format that a path means, or None.

        Args:
            path: An existing file or folder; a folder may hold the cameras further below.
        """

    @abstractmethod
    def names(self, place: Path) -> list[str]:
        """Names of the images that have a camera, as the file gives them, in its order.

        Raises:
            InputError: the file cannot be read.
        """

    @abstractmethod
    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        """The lens and the OpenCV pose of some images.

        Args:
            place: From `find`.
            sizes: The images to read, by their names in the file, with their size in pixels, which
                counts where the file does not give any.

        Raises:
            InputError: an image's camera is incomplete or of a kind that is not supported; says
                which image.
        """

    def images(self, place: Path) -> list[Path]:
        """The images to take where a whole data set is given for a folder of images.

        An empty list, as here, means all that lie below the data set's folder. A format has its own
        list if its data sets hold other images, too, or those of several scenes.
        """
        return []

    def companions(self, place: Path) -> Companions:
        """Masks, metric depth and points that come with the cameras; here none.

        Raises:
            InputError: the file cannot be read.
        """
        return Companions()

    @abstractmethod
    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        """Write cameras by image name, so that `read` gives them back.

        Raises:
            InputError: the format cannot hold such a lens.
        """


def poses_of_cameras(cameras: Cameras) -> dict[str, GivenPose]:
    """Pinhole cameras as lenses and poses, by view."""
    poses = {}
    for i, view in enumerate(cameras.names):
        matrix = cameras.intrinsics[i]
        params = (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
        width, height = cameras.sizes[i].tolist()
        lens = Lens("PINHOLE", width, height, params)
        poses[view] = GivenPose(lens, cameras.world_to_camera[i])
    return poses


def check_bytes(path: Path) -> None:
    """Raise an InputError where a file is larger than any file of cameras."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(
            f"{path} has {size / 2**20:,.0f} MiB, more than the {MOST_BYTES / 2**20:,.0f} that"
            " cameras can take; name the file of cameras"
        )


def check_names(names: Iterable[str], place: Path) -> None:
    """Raise an InputError where two cameras have one name: nobody knows which is an image's."""
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(
                f"{place} has {count} cameras called {name!r}; give the photographs different"
                " names, also those in different folders, and export the cameras again"
            )


def read_json_of_user(path: Path) -> Any:
    """Content of a JSON file that is not ours, in UTF-8, UTF-16 or UTF-32, with or without a byte
    order mark.

    Raises:
        InputError: the file is missing, is not JSON, or is too large.
    """
    try:
        check_bytes(path)
        # Bytes: the module finds the encoding, such as the UTF-16 that Windows' shell writes.
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; correct the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); export it again") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deep to be cameras; export it again") from None


def is_json(path: Path) -> bool:
    """Whether a path is a file called as JSON."""
    return path.suffix.lower() == ".json" and path.is_file()


def number(entry: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """A finite number of an entry.

    Raises:
        ValueError: it is missing or is not a finite number; the message names the key.
    """
    value = entry.get(key, default)
    if value is None:
        raise ValueError(f"{key} is missing")
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = float("nan")
    if isinstance(value, bool) or not np.isfinite(found):
        raise ValueError(f"{key} is {value!r}, not a number")
    return found


def positive(entry: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """A number above zero of an entry. Raises as `number`."""
    found = number(entry, key, default)
    if found <= 0:
        raise ValueError(f"{key} is {found:g}, not above 0")
    return found


def world_to_camera(camera_to_world: ArrayLike) -> NDArray[np.float64]:
    """The inverse of a rigid transform `(3, 4)` or `(4, 4)`, its rotation made exact.

    Raises:
        ValueError: it is not rigid.
    """
    matrix = np.array(camera_to_world, dtype=np.float64)
    rotation = matrix[:3, :3]
    if (
        matrix.shape not in ((3, 4), (4, 4))
        or not np.isfinite(matrix).all()
        or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    ):
        raise ValueError("its transform is not a rigid 4x4 transform")
    if np.linalg.det(rotation) < 0:
        raise ValueError("its transform mirrors, which no camera does")
    # The nearest rotation: files often carry few digits.
    left, _, right = np.linalg.svd(rotation)
    inverse = np.eye(4)
    inverse[:3, :3] = (left @ right).T
    inverse[:3, 3] = -inverse[:3, :3] @ matrix[:3, 3]
    return inverse
