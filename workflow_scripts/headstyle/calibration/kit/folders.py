"""The folders of a kit: how an item is written and read."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headstyle.base.cameras import OPENGL_FROM_OPENCV, Cameras, read_cameras, write_cameras
from headstyle.base.errors import InputError, Origin
from headstyle.base.files import read_json, whole_file, whole_folder, write_json
from headstyle.base.images import RgbaImage, read_rgba
from headstyle.base.tables.rows import read_rows, write_cells

DEPTH_UNIT_M = 2e-5
"""Depth of one step of a 16-bit PNG [m]. 0 is no surface, so depth ends at 1.31 m."""
SUMS = "SHA256SUMS"
KIT = Origin(
    "name a folder that `snakemake metric_kit` wrote, or make the kit again",
    "the kit is damaged: unpack it or make it again",
)


@dataclass(frozen=True)
class Shown:
    """What a metric sees of one item."""

    cameras: Cameras
    images: Sequence[RgbaImage]
    """The views to score, straight alpha. Shape `(H, W, 4)` each."""
    unedited: Sequence[RgbaImage]
    """The same views before the edit. Shape `(H, W, 4)` each."""
    depths: Sequence[NDArray[np.float32]]
    """z in the camera [m], 0 where there is no surface. Shape `(H, W)` each."""
    pairs: Sequence[tuple[str, str]]
    """Names (target, source) of the views that are compared."""


def write_item(kit: Path, name: str, shown: Shown) -> None:
    """Write an item's folder, and the folder of its geometry if the kit lacks it."""
    geometry = _write_geometry(kit / "geometry", shown)
    with whole_folder(kit / "items" / name) as folder:
        for view, image in zip(shown.cameras.names, shown.images, strict=True):
            _write_webp(folder / "images" / f"{view}.webp", image)
        write_cameras(folder / "cameras.json", shown.cameras)
        write_json(folder / "transforms.json", _transforms(shown.cameras, geometry))
        write_cells(folder / "pairs.csv", [["target", "source"], *map(list, shown.pairs)])
        write_json(folder / "item.json", {"item": name, "geometry": geometry})


def read_item(kit: Path, name: str) -> Shown:
    """What `write_item` wrote, after rounding to its files.

    Raises:
        InputError: a file is missing or cannot be read.
    """
    folder = kit / "items" / name
    cameras = read_cameras(folder / "cameras.json")
    geometry = kit / "geometry" / read_json(folder / "item.json", KIT)["geometry"]
    pairs = read_rows(folder / "pairs.csv", KIT, ("target", "source"))
    return Shown(
        cameras,
        [read_rgba(folder / "images" / f"{view}.webp") for view in cameras.names],
        [read_rgba(geometry / "unedited" / f"{view}.webp") for view in cameras.names],
        [read_depth_png(geometry / "depth" / f"{view}.png") for view in cameras.names],
        [(row["target"], row["source"]) for row in pairs],
    )


def read_depth_png(path: Path) -> NDArray[np.float32]:
    """A depth map of a kit [m]. Shape `(H, W)`.

    Raises:
        InputError: the file is missing or is no image.
    """
    steps = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if steps is None:
        raise InputError(f"{path} cannot be read as a depth map; {KIT.if_wrong}")
    return (steps * DEPTH_UNIT_M).astype(np.float32)


def write_sums(kit: Path) -> int:
    """Write the checksums of all files of a kit, in the format of `sha256sum`; their number."""
    # What begins with a dot is the workflow's own.
    files = sorted(
        path
        for path in kit.rglob("*")
        if path.is_file() and path != kit / SUMS and not path.name.startswith(".")
    )
    lines = [f"{_digest(path)}  {path.relative_to(kit).as_posix()}\n" for path in files]
    with whole_file(kit / SUMS) as partial:
        partial.write_text("".join(lines), encoding="utf-8")
    return len(files)


def check_sums(kit: Path) -> int:
    """Check all files of a kit against their checksums; their number.

    Raises:
        InputError: the checksums are missing, or a file is missing or was changed.
    """
    path = kit / SUMS
    if not path.is_file():
        raise InputError(f"{path} does not exist; {KIT.if_missing}")
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        digest, _, name = line.partition("  ")
        file = kit / name
        if not file.is_file():
            raise InputError(f"{file} is missing; {KIT.if_wrong}")
        if _digest(file) != digest:
            raise InputError(f"{file} is not as it was made; {KIT.if_wrong}")
    return len(lines)


def _write_geometry(folder: Path, shown: Shown) -> str:
    """Write depth and unedited views under a name made from their content, and return it."""
    depths = [_depth_steps(depth) for depth in shown.depths]
    digest = hashlib.sha256()
    for array in (*depths, *map(_pixels, shown.unedited)):
        digest.update(np.ascontiguousarray(array).tobytes())
    name = f"g{digest.hexdigest()[:10]}"
    if not (folder / name).exists():
        with whole_folder(folder / name) as made:
            (made / "depth").mkdir()
            views = zip(shown.cameras.names, depths, shown.unedited, strict=True)
            for view, depth, image in views:
                cv2.imwrite(str(made / "depth" / f"{view}.png"), depth)
                _write_webp(made / "unedited" / f"{view}.webp", image)
    return name


def _transforms(cameras: Cameras, geometry: str) -> dict[str, object]:
    """The cameras as nerfstudio reads them: camera to world with OpenGL axes."""
    frames = []
    for i, view in enumerate(cameras.names):
        matrix = cameras.intrinsics[i]
        pose = np.linalg.inv(cameras.world_to_camera[i]) @ OPENGL_FROM_OPENCV
        frames.append(
            {
                "file_path": f"images/{view}.webp",
                "depth_file_path": f"../../geometry/{geometry}/depth/{view}.png",
                **{"w": int(cameras.sizes[i, 0]), "h": int(cameras.sizes[i, 1])},
                **{"fl_x": matrix[0, 0], "fl_y": matrix[1, 1]},
                **{"cx": matrix[0, 2], "cy": matrix[1, 2]},
                "transform_matrix": pose.tolist(),
            }
        )
    return {"camera_model": "PINHOLE", "frames": frames}


def _depth_steps(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    steps = np.rint(depth.astype(np.float64) / DEPTH_UNIT_M)
    return np.clip(np.where(depth > 0, np.maximum(steps, 1), 0), 0, 65535).astype(np.uint16)


def _pixels(image: RgbaImage) -> NDArray[np.uint8]:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _write_webp(path: Path, image: RgbaImage) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Exact: also colors where alpha is 0, which a metric must not look at.
    Image.fromarray(_pixels(image)).save(path, lossless=True, exact=True, method=4)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kit_content(items: Mapping[str, str]) -> dict[str, object]:
    """What `kit.json` says: the items with their geometry, and the units of all files."""
    return {
        "format": "headstyle metric kit 1",
        "depth": "16-bit PNG, z in the camera, 0 where there is no surface",
        "depth_unit_m": DEPTH_UNIT_M,
        "images": "lossless WebP, sRGB with straight alpha; the background has no meaning",
        "cameras": "cameras.json: OpenCV axes, pixel centers at +0.5; transforms.json: nerfstudio",
        "answer": "CSV with the columns item and value; README.md says what else it may have",
        "items": [{"item": name, "geometry": geometry} for name, geometry in items.items()],
    }
