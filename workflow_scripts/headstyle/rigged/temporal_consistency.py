"""Scores of how well a moving head agrees over time: frames of one camera at several timesteps.

The metrics, the floor, the ceiling and the intervals are those of `headstyle.consistency`. Only the
warp differs: the surface of the mesh carries one timestep into another (`temporal_pairs`), as depth
carries one view into another there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage, read_rgba
from headstyle.base.progress import progress
from headstyle.base.settings import Setting
from headstyle.consistency.measuring import with_labels
from headstyle.consistency.metrics import Metric, load_metrics, metric_class
from headstyle.consistency.metrics.headline import HEAD_PX, headline
from headstyle.consistency.pair_batches import batches, make_scene
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.disagreement import disagreements
from headstyle.consistency.parts.headline_views import HeadPairs, HeadViews, head_views
from headstyle.consistency.scoring import view_means, with_references
from headstyle.consistency.shuffling import shuffled_images
from headstyle.consistency.statistics import avatar_scores
from headstyle.consistency.warping import sound_surface
from headstyle.rendering.devices import best_device
from headstyle.rigged.sequence import MeshSequence, RiggedFrame, joined_cameras
from headstyle.rigged.temporal_pairs import (
    MovingSurface,
    TemporalPair,
    carry_colors,
    temporal_pairs,
)

TEMPORAL_METRICS = (
    *("headline", "rmse_corrected", "ciede2000_corrected", "lpips_corrected"),
    *("lpips_mini_corrected", "ssim", "gmsd", "flip"),
)
"""Metrics of two images, which do not ask how one was warped into the other."""
SETTINGS = (
    Setting(
        "temporal.metrics",
        ["headline", "rmse_corrected", "ciede2000_corrected", "lpips_mini_corrected"],
        {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
        meaning="Metrics between timesteps; those of two images, which docs/rigged.md lists.",
    ),
    Setting(
        "temporal.neighbors",
        1,
        {"type": "integer", "minimum": 1},
        meaning="Timesteps before a frame, and as many after it, that the frame is compared with.",
    ),
)
_HEADLINE_PAIRS = 32


@dataclass(frozen=True)
class MovingHead:
    """Frames of a moving head, and what its surface does."""

    frames: Sequence[RiggedFrame]
    """The frames that are compared; their own images are not read."""
    meshes: MeshSequence
    """The mesh of every timestep."""
    images: Sequence[RgbaImage]
    """One image per frame, straight alpha. Shape `(H, W, 4)` each."""
    unedited: Sequence[RgbaImage] | None = None
    """The same before the edit, for the headline score."""

    @property
    def timesteps(self) -> tuple[int, ...]:
        """That of each frame."""
        return tuple(frame.timestep for frame in self.frames)


def rendered_frames(frames: Sequence[RiggedFrame], renders: str | Path) -> list[RiggedFrame]:
    """The frames that have a render `{split}/{frame}.png` in a folder, in their order."""
    return [f for f in frames if Path(renders, f.split, f"{f.name}.png").is_file()]


def read_images(frames: Sequence[RiggedFrame], renders: str | Path | None) -> list[RgbaImage]:
    """The renders of frames, or their photographs where no folder is given.

    Raises:
        InputError: an image is missing or has another size than its camera.
    """
    images = []
    for frame in frames:
        path = Path(renders, frame.split, f"{frame.name}.png") if renders else frame.image
        image = read_rgba(path)
        width, height = frame.camera.sizes[0].tolist()
        if image.shape[:2] != (height, width):
            raise InputError(
                f"{path} is {image.shape[1]}x{image.shape[0]} px but the camera of {frame.name!r}"
                f" says {width}x{height} px; delete it and run the workflow again"
            )
        images.append(image)
    return images


def measure_over_time(
    head: MovingHead,
    settings: Mapping[str, Any],
    neighbors: int,
    seed: int,
    floor: pd.DataFrame | None = None,
    *,
    is_baseline: bool = False,
) -> pd.DataFrame:
    """Score the pairs of timesteps of each camera.

    Args:
        head: The frames.
        settings: The config's `metrics` section, with names from `TEMPORAL_METRICS`.
        neighbors: Timesteps before a frame, and as many after it, that it is compared with.
        seed: Of the shuffled frames, which give the ceiling.
        floor: The table of the unedited head. Without it the excess is NaN.
        is_baseline: Whether the head is the unedited one. It is its own floor.

    Returns:
        One row per pair: target and source (frames), camera_index, target_timestep,
        source_timestep; overlap and coverage, the compared pixels as a fraction of the target's
        foreground; the metrics, `{metric}_excess` and `{metric}_ceiling`, NaN where the two share
        too little.

    Raises:
        InputError: a metric needs more than two images, or no camera sees two timesteps.
    """
    names = list(settings["names"])
    for name in names:
        if name not in TEMPORAL_METRICS:
            raise InputError(
                f"rigged.temporal.metrics: {name!r} cannot be measured over time; choose from"
                f" {', '.join(TEMPORAL_METRICS)}"
            )
    pairs = temporal_pairs(head.frames, neighbors)
    if not pairs:
        raise InputError(
            f"no camera has two timesteps among the {len(head.frames)} frames (first"
            f" {head.frames[0].name!r}), so nothing can be compared over time; render more of them"
        )
    table = score_over_time(head, pairs, settings)
    if is_baseline:
        floor = table
    elif floor is None:
        floor = table.iloc[:0]
    foreground = [image[..., 3] > settings["foreground_alpha"] for image in head.images]
    shuffled = replace(head, images=shuffled_images(head.images, foreground, seed))
    with_ceiling = [name for name in names if metric_class(name).has_ceiling]
    ceiling = score_over_time(shuffled, pairs, {**settings, "names": with_ceiling})
    return with_references(table, names, floor, ceiling)


def summarize_over_time(
    pairs: pd.DataFrame, metrics: Sequence[str], min_overlap: float, labels: Sequence[str]
) -> pd.DataFrame:
    """One row for a head: means over frames, spread, intervals, excess and ceiling.

    The columns are those of `headstyle.consistency.statistics.avatar_scores`; its views are frames.

    Args:
        pairs: From `measure_over_time`.
        metrics: Names of the metrics.
        min_overlap: The setting that the pairs were scored with.
        labels: Subject, prompt and strength.
    """
    frames = view_means(pairs, metrics, min_overlap=min_overlap)
    return avatar_scores(with_labels(frames, *labels), metrics)


def score_over_time(
    head: MovingHead, pairs: Sequence[TemporalPair], settings: Mapping[str, Any]
) -> pd.DataFrame:
    """The table of `measure_over_time` without excess and ceiling; arguments as there."""
    device = torch.device(best_device())
    surface = MovingSurface(
        head.meshes, head.timesteps, joined_cameras(head.frames), settings["depth_tolerance"]
    )
    scene = make_scene(
        head.images, surface.depths, surface.cameras, settings["foreground_alpha"], device,
        unedited=head.unedited,
    )  # fmt: skip
    frames = head.frames
    table = pd.DataFrame(
        {
            "target": [frames[pair.target].name for pair in pairs],
            "source": [frames[pair.source].name for pair in pairs],
            "camera_index": [frames[pair.target].camera_index for pair in pairs],
            "target_timestep": [frames[pair.target].timestep for pair in pairs],
            "source_timestep": [frames[pair.source].timestep for pair in pairs],
        }
    )
    names = [name for name in settings["names"] if name != "headline"]
    metrics = load_metrics({**settings, "names": names}, device)
    values = _values(scene, surface, pairs, metrics, settings)
    table["overlap"] = table["coverage"] = values[:, 0]
    found = dict(zip(names, values[:, 1:].T, strict=True))
    if "headline" in settings["names"]:
        found["headline"] = _headlines(scene, surface, pairs, settings)
    return table.assign(**{name: found[name] for name in settings["names"]})


def _values(
    scene: Scene,
    surface: MovingSurface,
    pairs: Sequence[TemporalPair],
    metrics: Sequence[Metric],
    settings: Mapping[str, Any],
) -> NDArray[np.float64]:
    """Coverage and each metric of each pair. Shape `(N, 1 + metrics)`."""
    values = np.full((len(pairs), 1 + len(metrics)), np.nan)
    for metric in metrics:
        metric.prepare(scene)
    for rows, batch in _batches(scene, surface, pairs, settings["depth_jump"]):
        assert batch.foreground is not None, "it was just made with one"
        shared = batch.overlap.sum(dim=(1, 2)).double()
        coverage = shared / batch.foreground.sum(dim=(1, 2)).clamp(min=1)
        counts = (shared > 0) & (coverage >= settings["min_overlap"])
        columns = [coverage]
        columns += [torch.where(counts, m(batch).double(), torch.nan) for m in metrics]
        values[rows] = torch.stack(columns, dim=1).cpu().numpy()
    return values


def _batches(
    scene: Scene, surface: MovingSurface, pairs: Sequence[TemporalPair], depth_jump: float
) -> Iterator[tuple[list[int], PairBatch]]:
    """Rows of pairs of one size, each source carried into its target."""
    sound = [
        sound_surface(depth[None], mask[None], depth_jump)[1][0]
        for depth, mask in zip(scene.depths, scene.foreground, strict=True)
    ]
    groups = list(batches([(pair.target, pair.source) for pair in pairs], scene))
    for rows in progress(groups, "batches of pairs over time"):
        chosen = [pairs[row] for row in rows]
        targets, sources = ([getattr(p, side) for p in chosen] for side in ("target", "source"))
        warped, overlaps = [], []
        for pair in chosen:
            carried = surface.carried(pair)
            colors, known = carry_colors(scene.colors[pair.source], sound[pair.source], carried)
            warped.append(colors)
            overlaps.append(known & sound[pair.target])
        yield (
            rows,
            PairBatch(
                torch.stack([scene.colors[target] for target in targets]),
                torch.stack(warped),
                torch.stack(overlaps),
                torch.stack([scene.foreground[target] for target in targets]),
                tuple(targets),
                tuple(sources),
            ),
        )


def _headlines(
    scene: Scene,
    surface: MovingSurface,
    pairs: Sequence[TemporalPair],
    settings: Mapping[str, Any],
) -> NDArray[np.float64]:
    """The headline score of each pair; one value per two frames, whichever is carried. `(N,)`."""
    views = head_views(scene, HEAD_PX, settings["depth_jump"], settings["foreground_alpha"])
    reduced = MovingSurface(
        surface.meshes, surface.timesteps, views.cameras, surface.depth_tolerance
    )
    ordered = sorted({(min(p.target, p.source), max(p.target, p.source)) for p in pairs})
    known: dict[tuple[int, int], float] = {}
    for start in range(0, len(ordered), _HEADLINE_PAIRS):
        chosen = ordered[start : start + _HEADLINE_PAIRS]
        heads, coverage = _head_pairs(views, reduced, [TemporalPair(*pair) for pair in chosen])
        scores = headline(disagreements(heads))
        scores = torch.where(coverage >= settings["min_overlap"], scores, torch.nan)
        known |= dict(zip(chosen, scores.tolist(), strict=True))
    return np.array([known[min(p.target, p.source), max(p.target, p.source)] for p in pairs])


def _head_pairs(
    views: HeadViews, surface: MovingSurface, pairs: Sequence[TemporalPair]
) -> tuple[HeadPairs, torch.Tensor]:
    """Sources carried into their targets at the headline's scale, and the part compared `(N,)`."""
    targets, warped, valid = [], [], []
    for pair in pairs:
        channels, known = carry_colors(
            views.channels[pair.source], views.sound[pair.source], surface.carried(pair)
        )
        targets.append(views.channels[pair.target])
        warped.append(channels)
        valid.append(known & views.sound[pair.target])
    target, source = (torch.stack(x).permute(0, 3, 1, 2) for x in (targets, warped))
    shared = torch.stack(valid)[:, None].to(target)
    plain_shared = shared * (target[:, 6:] > 0.5) * (source[:, 6:] > 0.5)
    heads = HeadPairs(
        target[:, :3],
        source[:, :3],
        target[:, 3:6],
        source[:, 3:6],
        shared,
        plain_shared,
        views.head_px,
    )
    shown = torch.stack([views.sound[pair.target] for pair in pairs]).sum(dim=(1, 2)).clamp(min=1)
    return heads, shared.sum(dim=(1, 2, 3)) / shown
