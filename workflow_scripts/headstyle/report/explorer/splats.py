"""Splats in a page: 14 bytes each, 19 with colors that depend on the direction.

Each property is a whole number between two bounds, with as many steps as can be seen. Splats that
are near each other in space lie near each other in the file, one property after another, and the
higher bytes of positions before the lower ones: so the numbers compress better. Harmonics above the
first degree are left out.
"""

import base64
import gzip
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.consistency.measuring import Comparison
from headstyle.consistency.splat_weights import seen_detail
from headstyle.rendering.renderer import Splats, render_views
from headstyle.rendering.splat_files import read_splats
from headstyle.report.pictures import evenly_spaced

_TAILS = {"means": 0.0, "opacities": 0.0, "quats": 0.0, "inconsistency": 1.0}
"""Part of the values on each side that the bounds cut off [%]."""
_STEPS = {
    "means": 65535,
    "scales": 127,
    "quats": 127,
    "opacities": 63,
    "sh0": 255,
    "sh1": 31,
    "inconsistency": 63,
}
"""Steps between the bounds of each property."""
_CELLS_BITS = 10
_DIRECTIONS = 3
"""Harmonics of the first degree, of each color channel."""
_CHECKED_VIEWS = 3
_CHECKED_PX = 64
"""Longest side of a view in which splats are compared with renders [px]."""
_SEEN_VIEWS = 12
"""Views in which splats are looked for that give little."""
_ALIKE = 0.5
"""Least correlation of colors. Splats of the demo have 0.83 and more with their own renders, and
0.29 at most where their world is turned by a right angle."""
_ON_HEAD = 0.9
_FLAT = 1e-3
"""Colors that vary less say nothing of where things are."""
_NOWHERE = np.array([1.0, 0.0, 1.0], np.float32)
"""A color that heads do not have, where there are no splats."""


def check_world(path: Path, comparison: Comparison, key: str) -> None:
    """Check that splats look like a scene's renders from its cameras.

    Programs that train splats often move and scale the world of the cameras that they are given.

    Args:
        path: File of the splats.
        comparison: The scene.
        key: Setting that names the file, for messages.

    Raises:
        InputError: they do not, or the file cannot be read.
    """
    cameras, splats = comparison.cameras, read_splats(path)
    chosen = evenly_spaced(cameras.names, _CHECKED_VIEWS)
    few = cameras.select(chosen)
    few = few.scaled(np.maximum(1, few.sizes * _CHECKED_PX // few.sizes.max()))
    alike = []
    for name, (_, drawn, _, _) in zip(chosen, render_views(splats, few), strict=True):
        size = (drawn.shape[1], drawn.shape[0])
        whole = comparison.images[cameras.index(name)]
        image = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
        on_head = image[..., 3] > _ON_HEAD
        shown = drawn[..., :3] * drawn[..., 3:] + (1 - drawn[..., 3:]) * _NOWHERE
        colors = np.stack([shown[on_head].ravel(), image[on_head][:, :3].ravel()])
        is_flat = colors.size == 0 or (colors.std(axis=1) < _FLAT).any()
        alike.append(0.0 if is_flat else float(np.corrcoef(colors)[0, 1]))
    if np.mean(alike) < _ALIKE:
        raise InputError(
            f"{path}: seen by the cameras, these splats do not look like the renders (correlation"
            f" of colors {np.mean(alike):.2f}, at least {_ALIKE} is needed); export them in the"
            f" world of the cameras, or leave {key} out"
        )


def packed_splats(
    splats: Splats,
    most: int,
    inconsistency: NDArray[np.float32] | None = None,
    cameras: Cameras | None = None,
) -> dict[str, Any]:
    """What the page's drawer reads.

    Args:
        splats: The scene.
        most: Largest number of splats. Those that give most to the details of the views are kept;
            without cameras, those that cover and hide the most.
        inconsistency: Mean color difference of each splat [dE00], 0 where no pair saw it. Shape
            `(N,)`.
        cameras: The rig.

    Returns:
        count: Splats that are kept.
        all: Splats of the scene.
        parts: Per property its name, its steps, how many numbers a splat has, and the bounds that 0
            and the number of steps stand for.
        data: The properties of `parts` in their order, each as numbers by splats, as gzip in
            base64. Numbers of more than 255 steps have two bytes: first the higher ones of all,
            then the lower ones.
    """
    arrays = {name: value.detach().cpu().numpy() for name, value in splats.items()}
    opacity = 1 / (1 + np.exp(-arrays["opacities"].astype(np.float64)))
    weight = opacity * np.exp(2 * arrays["scales"].astype(np.float64).mean(axis=1))
    if cameras is not None and len(opacity) > most:
        few = cameras.select(evenly_spaced(cameras.names, _SEEN_VIEWS))
        weight = seen_detail(splats, few)
    kept = np.sort(np.argsort(-weight, kind="stable")[:most])
    kept = kept[np.argsort(_along_curve(arrays["means"][kept]), kind="stable")]
    quats = arrays["quats"] / np.linalg.norm(arrays["quats"], axis=1, keepdims=True)
    columns = {
        "means": arrays["means"],
        "scales": arrays["scales"],
        # A rotation is the same with all signs turned.
        "quats": np.where(quats[:, :1] < 0, -quats, quats),
        "opacities": opacity[:, None],
        "sh0": arrays["sh0"][:, 0],
    }
    if arrays["shN"].shape[1] >= _DIRECTIONS:
        columns["sh1"] = arrays["shN"][:, :_DIRECTIONS].reshape(len(opacity), -1)
    if inconsistency is not None:
        columns["inconsistency"] = inconsistency[:, None]
    parts, planes = [], []
    for name, values in columns.items():
        part, content = _quantized(name, values[kept])
        parts.append(part)
        planes.append(content)
    content = gzip.compress(b"".join(planes), compresslevel=9, mtime=0)
    data = base64.b64encode(content).decode()
    return {"count": len(kept), "all": len(opacity), "parts": parts, "data": data}


def _along_curve(points: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where points `(N, 3)` lie on a curve in Z order (Morton) through their box. Shape `(N,)`."""
    low, high = points.min(axis=0), points.max(axis=0)
    cells = (points - low) / np.maximum(high - low, 1e-12) * (2**_CELLS_BITS - 1)
    whole = cells.astype(np.int64)
    place = np.zeros(len(points), np.int64)
    for bit in range(_CELLS_BITS):
        for axis in range(3):
            place |= (whole[:, axis] >> bit & 1) << (3 * bit + axis)
    return place


def _quantized(name: str, values: NDArray[Any]) -> tuple[dict[str, Any], bytes]:
    """The bounds of a property, and its numbers as whole ones."""
    columns = values.reshape(len(values), -1).astype(np.float64)
    # The few values far out would take precision from all others.
    tail = _TAILS.get(name, 0.1)
    low, high = np.percentile(columns, [tail, 100 - tail])
    if name == "inconsistency":
        # Its scale begins where views agree.
        low = 0.0
    steps = _STEPS[name]
    whole = np.rint((columns - low) / max(high - low, 1e-12) * steps).clip(0, steps).T
    content = (whole % 256).astype(np.uint8).tobytes()
    if steps > 255:
        content = (whole // 256).astype(np.uint8).tobytes() + content
    part = {"name": name, "steps": steps, "columns": columns.shape[1]}
    return part | {"low": float(low), "high": float(high)}, content
