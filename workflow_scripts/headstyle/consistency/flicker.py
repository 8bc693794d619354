"""Flicker of a film: how much frames differ from earlier frames that are warped into them.

The warp follows the scene's own depth and the film's cameras, as that of the corrected metrics. So
what is left are changes that no motion of the camera explains.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.consistency.metrics import Metric, load_metrics, metric_class
from headstyle.consistency.pair_batches import PairWarper, batches, make_scene, pair_values

DISTANCES: Mapping[str, int] = MappingProxyType({"short": 1, "long": 7})
"""How many frames lie between a frame and the one that is warped into it, by name of the range."""
_WINDOW = 40

Frame = tuple[RgbaImage, NDArray[np.float32]]
"""Image with straight alpha `(H, W, 4)` and depth, z in the camera, `(H, W)`."""


@dataclass
class Flicker:
    """What changes along a film."""

    scores: dict[str, list[float]] = field(default_factory=dict)
    """One value per pair of frames, by `{range}_{metric}`; NaN where they share too little."""
    residuals: list[NDArray[np.float16]] = field(default_factory=list)
    """Root mean square difference over the channels, in [0, 1], from the frame before, warped; NaN
    where nothing is compared. The first frame has nothing but NaN. Shape `(H, W)` each."""

    def means(self) -> dict[str, float]:
        """Mean of each score over the pairs that have one, as each metric defines it."""
        means = {}
        for name, values in self.scores.items():
            known = np.array([value for value in values if np.isfinite(value)])
            kind = metric_class(name.partition("_")[2]).mean_over_neighbors
            if not known.size:
                means[name] = float("nan")
            elif kind == "quadratic":
                means[name] = float(np.sqrt(np.square(known).mean()))
            else:
                means[name] = float(known.mean())
        return means


def flicker_metrics(names: Sequence[str]) -> tuple[str, str]:
    """RMSE and the LPIPS to measure: the real one if it is among the study's metrics, else mini."""
    has_lpips = {"lpips", "lpips_corrected"} & set(names)
    return "rmse_corrected", "lpips_corrected" if has_lpips else "lpips_mini_corrected"


def flicker(
    frames: Iterable[Frame], cameras: Cameras, settings: Mapping[str, Any], device: torch.device
) -> Flicker:
    """Compare each frame with the first and with the seventh frame before it.

    Args:
        frames: The film, in its order. It is held in memory part by part.
        cameras: The cameras of the frames.
        settings: The config's `metrics` section; `names` are the metrics, which use the corrected
            warp.
        device: Where to compute.

    Raises:
        InputError: sizes or settings do not fit together.
    """
    metrics, found = load_metrics(settings, device), Flicker()
    for start, first, part in _windows(frames, max(DISTANCES.values())):
        names = cameras.names[start : start + len(part)]
        _compare(part, first - start, cameras.select(names), metrics, settings, device, found)
    return found


def _windows(frames: Iterable[Frame], before: int) -> Iterator[tuple[int, int, list[Frame]]]:
    """Parts of the film with the frames before them: start, first new frame, and the frames."""
    source, count = iter(frames), 0
    kept: list[Frame] = []
    while new := list(islice(source, _WINDOW)):
        yield count - len(kept), count, kept + new
        count += len(new)
        kept = (kept + new)[-before:]


def _compare(
    part: list[Frame],
    new: int,
    cameras: Cameras,
    metrics: Sequence[Metric],
    settings: Mapping[str, Any],
    device: torch.device,
    found: Flicker,
) -> None:
    """Add what the frames of a part, from place `new` on, differ from those before them."""
    images, depths = ([frame[i] for frame in part] for i in (0, 1))
    scene = make_scene(images, depths, cameras, settings["foreground_alpha"], device)
    targets = range(new, len(part))
    for name, distance in DISTANCES.items():
        positions = [(target, target - distance) for target in targets if target >= distance]
        values = pair_values(scene, metrics, positions, settings) if positions else None
        for i, metric in enumerate(metrics):
            column = found.scores.setdefault(f"{name}_{metric.name}", [])
            column += [] if values is None else values[:, 2 + i].tolist()
    maps = {target: np.full(depths[target].shape, np.nan, np.float16) for target in targets}
    positions, warper = [(target, target - 1) for target in targets if target], None
    for rows in batches(positions, scene):
        warper = warper or PairWarper(scene, settings)
        batch = warper.batch("corrected", [positions[row] for row in rows])
        change = (batch.target - batch.warped).square().mean(dim=3).sqrt()
        shown = torch.where(batch.overlap, change, torch.nan).half().cpu().numpy()
        maps |= dict(zip(batch.targets, shown, strict=True))
    found.residuals += [maps[target] for target in targets]
