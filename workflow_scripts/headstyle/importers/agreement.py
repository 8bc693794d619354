"""Do cameras and depth mean what they are taken for? The reading that explains the views tells.

Depth maps of one scene agree: a point that one view sees at its depth lies, seen from another
view, at that view's depth or hidden behind it. Under a wrong convention they do not. Where there
is no depth, matched features tell as much: their rays meet before both cameras.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import OPENGL_FROM_OPENCV, Cameras, pixel_rays
from headstyle.base.errors import InputError
from headstyle.base.images import FOREGROUND_ALPHA
from headstyle.importers.depth_forms import (
    BETTER_FORM,
    INVERSE,
    SHIFTED,
    check_not_normalized,
    inverse_of,
    shifted,
)

logger = logging.getLogger("headstyle")

AS_GIVEN, FLIPPED, INVERTED, FLIPPED_INVERTED = "given", "flipped", "inverted", "flipped inverted"
"""Readings of a camera's pose: as given; with the axes of the other convention (OpenGL against
OpenCV: y and z negated); camera-to-world and world-to-camera exchanged; both."""
POSE_READINGS = (AS_GIVEN, FLIPPED, INVERTED, FLIPPED_INVERTED)
TOLERANCES = (0.0025, 0.005, 0.01, 0.02)
"""Relative differences of depth at which points agree; the share of them is averaged, so that of
two readings that both come close the better one stands out."""
CLEARLY_BETTER = (0.15, 1.5)
"""Another reading is the right one if it explains this much more, both added and as a factor."""
NOTHING_EXPLAINED = 0.05
"""Below this share of agreeing points there is hardly a pixel to compare."""
LITTLE_EXPLAINED = 0.2
"""Below this share, other units and other forms of depth are tried."""
_PAIRS, _POINTS = 24, 1500
_SCALES = np.geomspace(1e-3, 1e3, 340)
_MATCHES_NEEDED = 30
# Matched features may miss each other by this fraction of the image's shorter side.
_MATCH_TOLERANCE = 200


@dataclass(frozen=True)
class Wording:
    """What cameras and depth were taken for, and how an error says what to change."""

    cameras: str = "the cameras"
    """What gave the poses."""
    change_axes: str = "negate the second and third row of world_to_camera"
    depth_kind: str = "z"
    """`z`, or `ray`: distances along the rays, which were already turned into z."""
    change_kind: str = "convert them"
    depth_scale: float = 1.0
    """What they were multiplied by."""
    change_scale: str = "multiply them by {:.3g}"


@dataclass(frozen=True)
class Explained:
    """How much of the depth maps each reading explains, from 0 to 1."""

    poses: Mapping[str, float]
    """By reading of the poses, depth taken as it is."""
    other_kind: float
    """Poses as given, z taken for distances along the rays, or the other way around."""

    @property
    def given(self) -> float:
        """Everything as given."""
        return self.poses[AS_GIVEN]


def read_poses_as(cameras: Cameras, reading: str) -> Cameras:
    """The cameras under another reading of their poses."""
    poses: NDArray[Any] = cameras.world_to_camera
    if reading in (INVERTED, FLIPPED_INVERTED):
        poses = np.linalg.inv(poses)
    if reading in (FLIPPED, FLIPPED_INVERTED):
        poses = OPENGL_FROM_OPENCV @ poses
    return replace(cameras, world_to_camera=poses)


def ray_lengths(height: int, width: int, intrinsics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance along each pixel's ray to depth 1. Shape `(H, W)`."""
    x = (np.arange(width) + 0.5 - intrinsics[0, 2]) / intrinsics[0, 0]
    y = (np.arange(height) + 0.5 - intrinsics[1, 2]) / intrinsics[1, 1]
    return np.sqrt(1 + x**2 + y[:, None] ** 2)


def along_z(
    distances: Sequence[NDArray[np.float32]], cameras: Cameras
) -> list[NDArray[np.float32]]:
    """Distances along the pixels' rays `(H, W)`, one map per camera, as z."""
    return [
        (lengths / ray_lengths(lengths.shape[0], lengths.shape[1], matrix)).astype(np.float32)
        for lengths, matrix in zip(distances, cameras.intrinsics, strict=True)
    ]


def explained_by_depth(
    depths: Sequence[NDArray[Any]],
    cameras: Cameras,
    pairs: Sequence[tuple[str, str]],
    depth_kind: str = "z",
) -> Explained:
    """How well depth maps agree with each other under each reading.

    Args:
        depths: z per camera, 0 where there is no surface or no foreground. Shape `(H, W)`.
        cameras: The cameras.
        pairs: Names (target, source); a part of them is looked at, evenly spread.
        depth_kind: What `depths` were before they became z: `z` or `ray`.
    """
    chosen = _some(pairs, _PAIRS)
    power = 1 if depth_kind == "ray" else -1
    others = [
        depth * ray_lengths(depth.shape[0], depth.shape[1], matrix) ** power
        for depth, matrix in zip(depths, cameras.intrinsics, strict=True)
    ]
    shares = {
        reading: _agreement(depths, read_poses_as(cameras, reading), chosen)
        for reading in POSE_READINGS
    }
    return Explained(shares, _agreement(others, cameras, chosen))


def best_scale(
    depths: Sequence[NDArray[Any]], cameras: Cameras, pairs: Sequence[tuple[str, str]]
) -> tuple[float, float]:
    """The factor on all depths with which they agree best, and their agreement then."""
    chosen = _some(pairs, _PAIRS // 3)

    def shares(scales: NDArray[Any], tolerances: Sequence[float]) -> list[float]:
        return [
            _agreement([depth * scale for depth in depths], cameras, chosen, tolerances)
            for scale in scales
        ]

    coarse = _SCALES[int(np.argmax(shares(_SCALES, [0.05])))]
    fine = coarse * np.geomspace(0.95, 1.05, 41)
    values = shares(fine, TOLERANCES)
    return float(fine[int(np.argmax(values))]), float(max(values))


def check_depths(
    depths: Sequence[NDArray[Any]],
    cameras: Cameras,
    pairs: Sequence[tuple[str, str]],
    wording: Wording | None = None,
) -> float:
    """Stop where another reading explains the depth maps clearly better than the given one.

    Args:
        depths, cameras, pairs: As in `explained_by_depth`.
        wording: How an error names things.

    Returns:
        The share of points that agree, 0 to 1; NaN without pairs.

    Raises:
        InputError: cameras or depth mean something else than what they were taken for.
    """
    if not pairs:
        return float("nan")
    wording = wording or Wording()
    explained = explained_by_depth(depths, cameras, pairs, wording.depth_kind)
    _check_poses(explained.poses, wording, "depth maps")
    if _clearly(explained.other_kind, explained.given):
        meanings = ["z along the optical axis", "the distance along the pixel's ray"]
        other, taken = meanings if wording.depth_kind == "ray" else meanings[::-1]
        raise InputError(
            f"the depth maps hold {other}, not {taken}: {explained.other_kind:.0%} of their points"
            f" agree then, {explained.given:.0%} now; {wording.change_kind}"
        )
    if explained.given < LITTLE_EXPLAINED:
        _check_scale(depths, cameras, pairs, explained.given, wording)
    if explained.given < NOTHING_EXPLAINED:
        logger.warning(
            "only %.0f%% of the depth maps' points agree between views: check that depth and"
            " cameras are of the same scene and that files of one view have one name",
            100 * explained.given,
        )
    return explained.given


def check_explained(explained: float, wording: Wording) -> None:
    """Stop where hardly a point of the depth maps agrees between views, whatever the reason.

    Args:
        explained: From `check_depths`; NaN says nothing.
        wording: How an error names things.

    Raises:
        InputError: fewer than `NOTHING_EXPLAINED` agree, so that no pixel could be compared.
    """
    if explained < NOTHING_EXPLAINED:
        raise InputError(
            f"only {explained:.0%} of the depth maps' points agree between views under"
            f" {wording.cameras}, and no other unit helps; give z in world units, of the scene of"
            " these cameras, in files that are called as their views"
        )


def check_matches(
    images: Sequence[NDArray[np.float32]],
    cameras: Cameras,
    pairs: Sequence[tuple[str, str]],
    wording: Wording | None = None,
) -> float:
    """Stop where another reading of the poses explains matched features clearly better.

    Args:
        images: One RGBA image per camera; features lie where alpha is above one half.
        cameras, pairs, wording: As in `check_depths`.

    Returns:
        The share of matches whose rays meet before both cameras, NaN where there are too few.

    Raises:
        InputError: the cameras mean something else than what they were taken for.
    """
    matches = _matches(images, cameras, _some(pairs, _PAIRS))
    if sum(len(points) for _, _, points in matches) < _MATCHES_NEEDED:
        return float("nan")
    shares = {
        reading: _triangulated_share(read_poses_as(cameras, reading), matches)
        for reading in POSE_READINGS
    }
    _check_poses(shares, wording or Wording(), "matched features")
    return shares[AS_GIVEN]


def _check_poses(shares: Mapping[str, float], wording: Wording, what: str) -> None:
    best = max(shares, key=shares.__getitem__)
    if best == AS_GIVEN or not _clearly(shares[best], shares[AS_GIVEN]):
        return
    invert = "invert them: they are camera-to-world where world-to-camera is expected, or reverse"
    meanings = {
        FLIPPED: f"have the other axes (OpenGL against OpenCV); {wording.change_axes}",
        INVERTED: f"go the other way; {invert}",
        FLIPPED_INVERTED: f"go the other way and have the other axes (OpenGL against OpenCV);"
        f" {wording.change_axes}, and {invert}",
    }
    raise InputError(
        f"the poses of {wording.cameras} explain {shares[AS_GIVEN]:.0%} of the {what}, but"
        f" {shares[best]:.0%} if they {meanings[best]}"
    )


def _check_scale(
    depths: Sequence[NDArray[Any]],
    cameras: Cameras,
    pairs: Sequence[tuple[str, str]],
    given: float,
    wording: Wording,
) -> None:
    check_not_normalized(depths)
    scale, share = best_scale(depths, cameras, pairs)
    chosen = _some(pairs, _PAIRS // 3)
    inverse_share = best_scale([inverse_of(depth) for depth in depths], cameras, pairs)[1]
    shifted_share = max(_agreement(d, cameras, chosen) for d in shifted(depths, scale))
    other, kind = max((inverse_share, INVERSE), (shifted_share, SHIFTED))
    if _clearly(other, given) and other > share * BETTER_FORM:
        raise InputError(
            f"the depth maps hold {kind}: {other:.0%} of their points agree then, {share:.0%} in"
            " the best unit of z; write z in world units"
        )
    if _clearly(share, given):
        raise InputError(
            f"the depth maps are in other units than {wording.cameras}: {given:.0%} of their"
            f" points agree, {share:.0%} if they are multiplied by {scale:.3g};"
            f" {wording.change_scale.format(scale * wording.depth_scale)}"
        )


def _clearly(other: float, given: float) -> bool:
    more, times = CLEARLY_BETTER
    return other > given + more and other > given * times


def _some(pairs: Sequence[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    places = np.unique(np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int))
    return [pairs[i] for i in places]


def _agreement(
    depths: Sequence[NDArray[Any]],
    cameras: Cameras,
    pairs: Sequence[tuple[str, str]],
    tolerances: Sequence[float] = TOLERANCES,
) -> float:
    """Share of the sources' points whose depth in the target is the target's own."""
    agreeing, total = 0.0, 0
    for target_name, source_name in pairs:
        target, source = cameras.index(target_name), cameras.index(source_name)
        places, z = _moved(depths[source], cameras, target, source)
        width, height = cameras.sizes[target]
        inside = (z > 0) & ((places >= 0) & (places < (width, height))).all(axis=1)
        columns, rows = places[inside].astype(int).T
        own = depths[target][rows, columns]
        off = np.abs(z[inside] - own)[own > 0] / own[own > 0]
        agreeing += float(np.mean([(off <= tolerance).sum() for tolerance in tolerances]))
        total += len(z)
    return agreeing / max(total, 1)


def _moved(
    depth: NDArray[Any], cameras: Cameras, target: int, source: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Some of a source's points in the target: pixels `(N, 2)` and depths `(N,)`."""
    rows, columns = np.nonzero(depth)
    chosen = np.linspace(0, len(rows) - 1, min(_POINTS, len(rows))).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    z = depth[rows, columns].astype(np.float64)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    points = np.linalg.inv(cameras.intrinsics[source]) @ pixels * z
    pose = cameras.world_to_camera[target] @ np.linalg.inv(cameras.world_to_camera[source])
    moved = pose[:3, :3] @ points + pose[:3, 3:]
    projected = cameras.intrinsics[target] @ moved
    front = np.where(moved[2] > 0, moved[2], 1.0)
    return np.where(moved[2] > 0, projected[:2] / front, -1.0).T, moved[2]


Matches = list[tuple[int, int, NDArray[np.float64]]]
"""Target, source, and matched pixels (x, y in the target, x, y in the source), `(N, 4)`."""


def _matches(
    images: Sequence[NDArray[np.float32]], cameras: Cameras, pairs: Sequence[tuple[str, str]]
) -> Matches:
    sift = cv2.SIFT.create(nfeatures=2000)
    found: dict[int, tuple[Any, Any]] = {}
    matches: Matches = []
    for names in pairs:
        target, source = (cameras.index(name) for name in names)
        for view in (target, source):
            if view not in found:
                pixels = np.rint(images[view] * 255).astype(np.uint8)
                mask = np.where(images[view][..., 3] > FOREGROUND_ALPHA, 255, 0).astype(np.uint8)
                gray = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY)
                found[view] = sift.detectAndCompute(gray, mask)
        (points, words), (other_points, other_words) = found[target], found[source]
        if words is None or other_words is None or len(other_words) < 2:
            continue
        nearest = cv2.BFMatcher().knnMatch(words, other_words, k=2)
        kept = [first for first, second in nearest if first.distance < 0.75 * second.distance]
        places = [(*points[m.queryIdx].pt, *other_points[m.trainIdx].pt) for m in kept]
        # OpenCV's pixel centers are whole numbers.
        matches.append((target, source, np.array(places, dtype=np.float64).reshape(-1, 4) + 0.5))
    return matches


def _triangulated_share(cameras: Cameras, matches: Matches) -> float:
    """Share of matches that meet in a point before both cameras, seen where the features are."""
    good = total = 0
    for target, source, pixels in matches:
        pose = cameras.world_to_camera[target] @ np.linalg.inv(cameras.world_to_camera[source])
        to = pixel_rays(pixels[:, :2], cameras.intrinsics[target])
        of = pixel_rays(pixels[:, 2:], cameras.intrinsics[source]) @ pose[:3, :3].T
        # Depths z_t and z_s that bring the rays nearest: z_t to - z_s of = t, in least squares.
        tt, ss, ts = ((a * b).sum(axis=1) for a, b in ((to, to), (of, of), (to, of)))
        t_to, t_of = to @ pose[:3, 3], of @ pose[:3, 3]
        # The same for parallel rays, which meet nowhere.
        spread = np.maximum(tt * ss - ts**2, 1e-12)
        z_to, z_of = (ss * t_to - ts * t_of) / spread, (ts * t_to - tt * t_of) / spread
        # Half of the gap between both rays, in pixels of the target.
        gap = z_to[:, None] * to - z_of[:, None] * of - pose[:3, 3]
        before = (z_to > 0) & (z_of > 0)
        focal = cameras.intrinsics[target, 0, 0]
        off = focal * np.linalg.norm(gap, axis=1) / (2 * np.where(before, z_to, 1.0))
        good += int((before & (off < cameras.sizes[target].min() / _MATCH_TOLERANCE)).sum())
        total += len(pixels)
    return good / max(total, 1)
