"""The pictures that changed most from one run to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from headstyle.base.errors import InputError
from headstyle.report.pictures import cutout

COLORS = "cividis"
_COMPARED_PX = 128
_MOST_OF_A_SCENE = 2


@dataclass(frozen=True)
class Changed:
    """A render that both runs have, and how much it changed."""

    scene: str
    """The scene's folder relative to the results."""
    view: str
    """The view's name."""
    first: Path
    second: Path
    rmse: float
    """Root mean square difference of the colors on a gray backdrop, in [0, 1]."""


def most_changed(
    first: Path, second: Path, most: int, notes: list[str]
) -> tuple[list[Changed], int, int]:
    """The renders that changed most, at most two of a scene.

    Args:
        first, second: The results folders.
        most: How many to return.
        notes: Renders that cannot be read are told here.

    Returns:
        The renders, the most changed first; how many renders both runs have; how many of them
        differ.
    """
    found, compared = [], 0
    for path in sorted(first.rglob("renders/*.png")):
        place = path.relative_to(first)
        other = second / place
        if any(part.startswith(".") for part in place.parts) or not other.is_file():
            continue
        try:
            compared += 1
            if path.read_bytes() == other.read_bytes():
                continue
            rmse = float(np.sqrt(np.mean(difference(path, other, _COMPARED_PX) ** 2)))
        except (InputError, OSError) as error:
            notes.append(str(error))
            continue
        found.append(Changed(place.parents[1].as_posix(), path.stem, path, other, rmse))
    found.sort(key=lambda changed: (-changed.rmse, changed.scene, changed.view))
    return _varied(found, most), compared, len(found)


def difference(first: Path, second: Path, long_side_px: int) -> NDArray[np.float64]:
    """Difference of two pictures' colors, in [-1, 1]; the second is brought to the first's size."""
    a = cutout(first, long_side_px)
    b = cutout(second, long_side_px).resize(a.size, Image.Resampling.BOX)
    pixels: list[NDArray[np.float64]] = [np.asarray(p, np.float64) / 255 for p in (a, b)]
    return pixels[1] - pixels[0]


def amount_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square of a difference over the channels, in [0, 1]. Shape `(H, W)`."""
    amount: NDArray[np.float64] = np.sqrt(np.mean(values**2, axis=2))
    return amount


def heat_map(values: NDArray[np.float64], highest: float) -> Image.Image:
    """A map of `amount_of`, dark for 0 and bright from `highest` on."""
    colors = colormaps[COLORS](np.clip(amount_of(values) / highest, 0, 1))[..., :3]
    return Image.fromarray(np.rint(colors * 255).astype(np.uint8))


def _varied(found: Sequence[Changed], most: int) -> list[Changed]:
    counts: dict[str, int] = {}
    chosen = []
    for changed in found:
        counts[changed.scene] = counts.get(changed.scene, 0) + 1
        if counts[changed.scene] <= _MOST_OF_A_SCENE:
            chosen.append(changed)
    return chosen[:most]
