"""Cutouts for the mini matting: heads of flesh, stone, bronze and clay, from all sides.

Beyond the photographs of `headstyle_training.heads.pairs`: cameras all around and above, near and
far, frames of all formats squeezed into a square as rembg does, sculptures that end at neck or
chest.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import torch
from headstyle.capture.surface import Part
from torch import Tensor
from torch.nn import functional

from headstyle_training.heads.bank import BankedEdit, HeadBank
from headstyle_training.heads.photographer import SurfelBatch, photograph, srgb_to_linear
from headstyle_training.heads.studio import (
    CameraBatch,
    LightBatch,
    TintBatch,
    draw_lights,
    draw_tints,
    look_at,
)
from headstyle_training.heads.surfels import COLOR_GROUPS

Batch = TypeVar("Batch", SurfelBatch, LightBatch, TintBatch)

SCULPTURE_SHARE, CUT_SHARE, BARE_SHARE = 0.45, 0.7, 0.65
"""Shares: sculptures among the heads; broken-off ones among these; shirtless ones among these."""
AROUND_SHARE, ABOVE_SHARE = 0.5, 0.2
ASPECTS = (2 / 3, 2 / 3, 3 / 4, 1.0, 1.0, 4 / 3, 3 / 2)
"""Widths over heights of the photographs."""
TARGET_M = (0.0, -0.03, 0.0)
WAVES = 24
HOLE_PX = 5
MATERIALS = (
    (0.93, 0.91, 0.87),
    (0.85, 0.82, 0.77),
    (0.80, 0.74, 0.63),
    (0.74, 0.66, 0.54),
    (0.62, 0.59, 0.55),
    (0.45, 0.44, 0.43),
    (0.22, 0.22, 0.23),
    (0.42, 0.30, 0.19),
    (0.35, 0.42, 0.37),
    (0.72, 0.47, 0.35),
)
"""sRGB: plaster, marbles, limestones, granite, basalt, bronze, patina, terracotta."""


@dataclass(frozen=True)
class Cutouts:
    """N photographed heads with nothing behind them, as bytes."""

    rgba: Tensor
    """sRGB with straight alpha, uint8. Shape `(N, 4, H, W)`."""
    sculpted: Tensor
    """Whether it is a sculpture that may stand on a pedestal. Bool, `(N,)`."""


class CutoutPool:
    """The latest cutouts, held on the device; cutouts are shown again against other backgrounds."""

    def __init__(self, bank: HeadBank, side_px: int, capacity: int, seed: int) -> None:
        """An empty pool of at most `capacity` cutouts of the bank's heads."""
        self._bank, self._side_px, self._capacity = bank, side_px, capacity
        self._rng = np.random.default_rng(seed)
        self._rgba = torch.zeros(
            (capacity, 4, side_px, side_px), dtype=torch.uint8, device=bank.device
        )
        self._sculpted = torch.zeros(capacity, dtype=torch.bool, device=bank.device)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    def add(self, count: int) -> None:
        """Photograph some more, in the place of the oldest."""
        new = draw_cutouts(self._bank, count, self._side_px, self._rng)
        device = self._rgba.device
        place = torch.arange(self._added, self._added + count, device=device) % self._capacity
        self._rgba[place], self._sculpted[place] = new.rgba, new.sculpted
        self._added += count

    def draw(self, count: int, generator: torch.Generator) -> Cutouts:
        """Random ones."""
        device = self._rgba.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)
        return Cutouts(self._rgba[chosen], self._sculpted[chosen])


def draw_cutouts(bank: HeadBank, count: int, side_px: int, rng: np.random.Generator) -> Cutouts:
    """Photograph heads of the bank, edited or not, many as sculptures."""
    device = bank.device
    edits = bank.draw(count, rng)
    as_edited = rng.random(count) < 0.5
    versions = [e.edited if c else e.original for e, c in zip(edits, as_edited, strict=True)]
    sculpted = rng.random(count) < SCULPTURE_SHARE
    surfels = _as_sculptures(bank.fetch(versions), sculpted, rng)
    surfels = _cut_off(surfels, sculpted & (rng.random(count) < CUT_SHARE), rng)
    cameras, azimuth = draw_cameras_around(count, side_px, rng)
    lights = _turned(draw_lights(count, rng), azimuth)
    tints = draw_tints(_free_groups(edits, as_edited | sculpted), rng)
    pictures = photograph(
        surfels, cameras.to(device), lights.to(device), tints.to(device), side_px, side_px
    )
    rgba = _closed(pictures.rgba)
    return Cutouts(rgba.mul(255).round().byte(), torch.from_numpy(sculpted).to(device))


def draw_capture(
    bank: HeadBank, count: int, side_px: int, rng: np.random.Generator
) -> tuple[Cutouts, CameraBatch]:
    """Photograph one head of the bank, of flesh or as a sculpture, from all sides in one light.

    The head is whole in every frame.

    Returns:
        `count` cutouts, and their cameras in the head's frame [m].
    """
    device = bank.device
    edits = bank.draw(1, rng)
    sculpted = rng.random(1) < SCULPTURE_SHARE
    surfels = _as_sculptures(bank.fetch([edits[0].original]), sculpted, rng)
    surfels = _cut_off(surfels, sculpted, rng)
    azimuth = np.linspace(-np.pi, np.pi, count, endpoint=False) + rng.uniform(0, 1)
    elevation = np.radians(rng.uniform(-10, 45, count))
    level = np.cos(elevation)
    outward = np.stack(
        [np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level], axis=1
    )
    distance, frame_m = rng.uniform(0.9, 1.6), rng.uniform(0.5, 0.7)
    target = np.tile(TARGET_M, (count, 1)) + rng.normal(0, 0.01, (count, 3))
    poses = look_at(target + distance * outward, target, rng.normal(0, 3, count))
    intrinsics = np.tile(np.eye(3), (count, 1, 1))
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = side_px * distance / frame_m
    intrinsics[:, :2, 2] = side_px / 2
    cameras = CameraBatch(_float(poses), _float(intrinsics))
    lights, tints = draw_lights(1, rng), draw_tints(_free_groups(edits, sculpted), rng)
    pictures = photograph(
        _repeated(surfels, count),
        cameras.to(device),
        _repeated(lights, count).to(device),
        _repeated(tints, count).to(device),
        side_px,
        side_px,
    )
    rgba = _closed(pictures.rgba).mul(255).round().byte()
    return Cutouts(rgba, torch.from_numpy(np.repeat(sculpted, count)).to(device)), cameras


def _repeated(batch: Batch, count: int) -> Batch:
    """A batch of one, `count` times."""
    return replace(
        batch,
        **{f.name: getattr(batch, f.name).repeat_interleave(count, dim=0) for f in fields(batch)},
    )


def _closed(rgba: Tensor) -> Tensor:
    """Close the gaps between discs in close-ups with the colors around them."""
    color, alpha = rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]
    grown = functional.max_pool2d(alpha, HOLE_PX, 1, HOLE_PX // 2)
    closed = -functional.max_pool2d(-grown, HOLE_PX, 1, HOLE_PX // 2)
    around = functional.avg_pool2d(torch.cat([color, alpha], dim=1), HOLE_PX, 1, HOLE_PX // 2)
    missing = (closed - alpha).clamp_min(0)
    color = color + missing * around[:, :3] / around[:, 3:].clamp_min(1e-3)
    alpha = alpha + missing
    return torch.cat([color / alpha.clamp_min(1e-3), alpha], dim=1).clamp(0, 1)


def draw_cameras_around(
    count: int, side_px: int, rng: np.random.Generator
) -> tuple[CameraBatch, np.ndarray]:
    """Cameras on all sides of the head, in square frames that stand for frames of all formats.

    Half look at the face from within 75 degrees, half from anywhere around; most from -20 to 40
    degrees of elevation, some from above. The frame is 0.2 to 1.6 m high at the head, which need
    not lie in its middle nor inside it as a whole.

    Returns:
        Cameras and their azimuths [rad], shape `(count,)`.
    """
    front = np.clip(rng.normal(0, 42, count), -75, 75)
    azimuth = np.radians(
        np.where(rng.random(count) < AROUND_SHARE, rng.uniform(-180, 180, count), front)
    )
    above = rng.random(count) < ABOVE_SHARE
    elevation = np.radians(np.where(above, rng.uniform(40, 85, count), rng.uniform(-20, 40, count)))
    level = np.cos(elevation)
    outward = np.stack(
        [np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level], axis=1
    )
    kind = rng.random(count)
    frame_m = np.exp(rng.uniform(np.log(0.42), np.log(0.8), count))
    frame_m = np.where(kind < 0.30, np.exp(rng.uniform(np.log(0.2), np.log(0.42), count)), frame_m)
    frame_m = np.where(kind > 0.75, np.exp(rng.uniform(np.log(0.8), np.log(1.6), count)), frame_m)
    # No lens takes in the head from nearer than this.
    distance = np.maximum(np.exp(rng.uniform(np.log(0.45), np.log(2.0), count)), 0.8 * frame_m)
    offset = np.clip(rng.normal(0, 0.13, (count, 3)), -0.3, 0.3) * frame_m[:, None]
    target = np.array(TARGET_M) + offset
    poses = look_at(target + distance[:, None] * outward, target, rng.normal(0, 5, count))
    aspect = rng.choice(ASPECTS, count) * np.exp(rng.normal(0, 0.05, count))
    # A wide frame is as high as others: it shows more beside the head.
    focal_px = side_px * distance / frame_m
    intrinsics = np.zeros((count, 3, 3))
    intrinsics[:, 0, 0] = focal_px / aspect
    intrinsics[:, 1, 1] = focal_px
    intrinsics[:, :2, 2] = side_px / 2
    intrinsics[:, 2, 2] = 1
    return CameraBatch(_float(poses), _float(intrinsics)), azimuth


def _turned(lights: LightBatch, azimuth: np.ndarray) -> LightBatch:
    """Turn lights with the camera around the head [rad], so that the side it sees is lit."""
    turns = torch.zeros(len(azimuth), 3, 3)
    cosine, sine = _float(np.cos(azimuth)), _float(np.sin(azimuth))
    turns[:, 0, 0] = turns[:, 2, 2] = cosine
    turns[:, 0, 2], turns[:, 2, 0] = sine, -sine
    turns[:, 1, 1] = 1
    return replace(
        lights,
        key_direction=torch.einsum("bij,bj->bi", turns, lights.key_direction),
        fill_direction=torch.einsum("bij,bj->bi", turns, lights.fill_direction),
    )


def _free_groups(edits: list[BankedEdit], fixed: np.ndarray) -> np.ndarray:
    """Which colors may vary: all of plain heads, and of edits those that the edit leaves alone."""
    free = np.array([edit.free_groups for edit in edits]).reshape(len(edits), len(COLOR_GROUPS))
    return free | ~fixed[:, None]


def _as_sculptures(
    surfels: SurfelBatch, sculpted: np.ndarray, rng: np.random.Generator
) -> SurfelBatch:
    """Some heads in one material with veins and stains, a little of their own paint left."""
    count, device = len(sculpted), surfels.positions.device
    color = srgb_to_linear(_float(np.array(MATERIALS)[rng.integers(len(MATERIALS), size=count)]))
    color = color * _float(np.exp(rng.normal(0, (0.15, 0.10, 0.15), (count, 3))))
    stains = _waves(surfels.positions, (0.6, 4.0), rng) * _float(rng.uniform(0, 0.22, count)).to(
        device
    ).view(-1, 1)
    grain = _waves(surfels.positions, (8.0, 40.0), rng) * _float(rng.uniform(0, 0.15, count)).to(
        device
    ).view(-1, 1)
    gray = surfels.albedo.mean(dim=2)
    # Carved hollows are darker; some sculptures have painted or inlaid eyes and brows.
    own = (gray / gray.mean(dim=1, keepdim=True).clamp_min(1e-3)).clamp(0.3, 2) ** _float(
        rng.uniform(0, 0.35, count)
    ).to(device).view(-1, 1)
    shade = ((1 + stains + grain) * own).clamp(0.1, 2)
    material = (color.to(device)[:, None] * shade[..., None]).clamp(0.005, 0.95)
    chosen = torch.from_numpy(sculpted).to(device).view(-1, 1, 1)
    return replace(surfels, albedo=torch.where(chosen, material, surfels.albedo))


def _cut_off(surfels: SurfelBatch, cut: np.ndarray, rng: np.random.Generator) -> SurfelBatch:
    """Some heads end at a rough slanting cut through neck or chest, some without their shirt."""
    count, device = len(cut), surfels.positions.device
    normal = np.stack(
        [rng.normal(0, 0.15, count), np.ones(count), rng.normal(0.1, 0.2, count)], axis=1
    )
    height = rng.uniform(-0.20, -0.12, count)
    rough = _waves(surfels.positions, (1.0, 8.0), rng)
    rough = rough * _float(rng.uniform(0, 0.012, count)).to(device).view(-1, 1)
    level = torch.einsum("bni,bi->bn", surfels.positions, _float(normal).to(device))
    kept = level + rough > _float(height).to(device).view(-1, 1)
    bare = torch.from_numpy(rng.random(count) < BARE_SHARE).to(device).view(-1, 1)
    kept &= ~bare | (surfels.parts != int(Part.SHIRT))
    kept |= ~torch.from_numpy(cut).to(device).view(-1, 1)
    return replace(surfels, present=surfels.present & kept)


def _waves(
    positions: Tensor, per_decimeter: tuple[float, float], rng: np.random.Generator
) -> Tensor:
    """Smooth noise in space of deviation about 0.7, its wave lengths in a range. `(B, N)`."""
    count, device = len(positions), positions.device
    direction = rng.standard_normal((count, WAVES, 3))
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    low, high = (math.log(limit) for limit in per_decimeter)
    frequency = 2 * math.pi * 10 * np.exp(rng.uniform(low, high, (count, WAVES, 1)))
    phase = rng.uniform(0, 2 * math.pi, (count, 1, WAVES))
    total = torch.zeros(positions.shape[:2], device=device)
    waves, phases = _float(direction * frequency).to(device), _float(phase).to(device)
    for k in range(WAVES):
        total += torch.sin((positions * waves[:, None, k]).sum(-1) + phases[..., k])
    return total / math.sqrt(WAVES)


def _float(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
