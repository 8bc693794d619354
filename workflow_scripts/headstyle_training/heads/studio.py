"""Cameras, lights and colors of training photographs, drawn at random.

Everything is drawn by numpy, a batch at a time, so that a seed tells the pictures on any device.
The world is that of `headstyle.capture`: x to the viewer's right, y up, z out of the face [m].
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from headstyle.capture import lighting
from headstyle.capture.rig import TARGET_M
from numpy.typing import NDArray
from torch import Tensor

from headstyle_training.heads.surfels import COLOR_GROUPS

STUDIO_SHARE, OVERCAST_SHARE = 0.3, 0.12
"""Shares of the photographs in the capture's own light, and in light without a key."""


@dataclass(frozen=True)
class _Batch:
    """Tensors of B photographs that move and split together."""

    def to(self, device: torch.device) -> Self:
        return type(self)(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def __getitem__(self, which: slice) -> Self:
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


@dataclass(frozen=True)
class CameraBatch(_Batch):
    """Pinhole cameras, one per photograph."""

    world_to_camera: Tensor
    """OpenCV poses. Shape `(B, 4, 4)`."""
    intrinsics: Tensor
    """K [px]. Shape `(B, 3, 3)`."""


@dataclass(frozen=True)
class LightBatch(_Batch):
    """A key light that casts shadows, a fill light, light from sky and floor, and a camera's tone.

    Colors are linear, 1 for white in full light. Vectors and colors have shape `(B, 3)`, numbers
    `(B,)`.
    """

    key_direction: Tensor
    """Unit vector towards the light."""
    key_color: Tensor
    key_softness: Tensor
    """Radius of the light over its distance."""
    fill_direction: Tensor
    fill_color: Tensor
    sky_color: Tensor
    floor_color: Tensor
    gloss: Tensor
    """Strength of the key light's mirror image on the surface."""
    exposure: Tensor
    """Factor of each channel: brightness and white balance."""
    gamma: Tensor
    """Exponent of the sRGB values."""


@dataclass(frozen=True)
class TintBatch(_Batch):
    """How the colors of the parts in `COLOR_GROUPS` vary from photograph to photograph."""

    matrices: Tensor
    """Matrices for linear RGB; the last, of all other parts, is the identity.
    Shape `(B, groups + 1, 3, 3)`."""


def draw_cameras(count: int, height: int, width: int, rng: np.random.Generator) -> CameraBatch:
    """Cameras in front of the head, more or less as in the study's rig.

    Azimuth to 75 degrees either way, elevation from -20 to 35 degrees, distance and focal length
    varied so that the frame is 0.36 to 0.66 m high at the head; not quite upright, not quite
    centered.
    """
    azimuth = np.radians(np.clip(rng.normal(0, 42, count), -75, 75))
    elevation = np.radians(rng.uniform(-20, 35, count))
    outward = np.stack(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ],
        axis=1,
    )
    distance = np.exp(rng.uniform(np.log(0.5), np.log(1.5), count))
    # A third of the frames as high as the rig's, 0.63 m.
    frame_height = np.where(
        rng.random(count) < 0.33, rng.normal(0.63, 0.01, count), rng.uniform(0.36, 0.66, count)
    )
    target = np.array(TARGET_M) + rng.normal(0, 0.02, (count, 3))
    poses = look_at(target + distance[:, None] * outward, target, rng.normal(0, 2.5, count))
    focal_px = height * distance / frame_height
    intrinsics = np.zeros((count, 3, 3))
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal_px
    intrinsics[:, 0, 2] = width * (0.5 + rng.normal(0, 0.02, count))
    intrinsics[:, 1, 2] = height * (0.5 + rng.normal(0, 0.02, count))
    intrinsics[:, 2, 2] = 1
    return CameraBatch(_float(poses), _float(intrinsics))


def look_at(
    centers: NDArray[np.float64], targets: NDArray[np.float64], roll_deg: NDArray[np.float64]
) -> NDArray[np.float64]:
    """World-to-camera transforms (OpenCV) of cameras at `centers` that look at `targets`.

    Args:
        centers: Where the cameras stand [m]. Shape `(C, 3)`.
        targets: What they look at [m]. Shape `(C, 3)`.
        roll_deg: Turn around the optical axis from upright [deg]. Shape `(C,)`.

    Returns:
        Shape `(C, 4, 4)`.
    """
    forward = _unit(targets - centers)
    right = _unit(np.cross(forward, (0.0, 1.0, 0.0)))
    down = np.cross(forward, right)
    cosine, sine = np.cos(np.radians(roll_deg))[:, None], np.sin(np.radians(roll_deg))[:, None]
    axes = np.stack([cosine * right + sine * down, cosine * down - sine * right, forward], axis=1)
    poses = np.tile(np.eye(4), (len(centers), 1, 1))
    poses[:, :3, :3] = axes
    poses[:, :3, 3] = -np.einsum("cij,cj->ci", axes, centers)
    return poses


def studio_light(count: int) -> LightBatch:
    """The light of `headstyle.capture.lighting`, the same for all photographs."""

    def repeated(values: tuple[float, ...]) -> Tensor:
        return _float(np.tile(np.array(values, dtype=np.float64), (count, 1)))

    return LightBatch(
        key_direction=repeated(tuple(_unit(np.array(lighting.KEY_DIRECTION)))),
        key_color=repeated(lighting.KEY_COLOR),
        key_softness=torch.full((count,), lighting.KEY_SOFTNESS),
        fill_direction=repeated(tuple(_unit(np.array(lighting.FILL_DIRECTION)))),
        fill_color=repeated(lighting.FILL_COLOR),
        sky_color=repeated(lighting.SKY_COLOR),
        floor_color=repeated(lighting.FLOOR_COLOR),
        gloss=torch.zeros(count),
        exposure=torch.ones(count, 3),
        gamma=torch.ones(count),
    )


def draw_lights(count: int, rng: np.random.Generator) -> LightBatch:
    """Draw lights: the capture's studio, an overcast sky, or a key light from anywhere in front.

    The exposure makes up for most of a light's brightness, as a camera does.
    """
    kind = rng.random(count)
    overcast = (kind > 1 - OVERCAST_SHARE)[:, None]
    key_color = _hues(count, 0.10, rng) * rng.uniform(0.35, 1.15, (count, 1))
    key_color = np.where(overcast, 0.12 * key_color, key_color)
    fill_color = _hues(count, 0.08, rng) * rng.uniform(0.0, 0.45, (count, 1))
    sky_color = _hues(count, 0.08, rng) * rng.uniform(0.12, 0.5, (count, 1))
    sky_color = np.where(overcast, sky_color + 0.45, sky_color)
    floor_color = sky_color * rng.uniform(0.25, 0.9, (count, 1)) * _hues(count, 0.08, rng)
    total = (0.6 * key_color + 0.3 * fill_color + 0.75 * sky_color).mean(axis=1, keepdims=True)
    brightness = np.exp(rng.normal(0, 0.2, (count, 1))) * (0.84 / total) ** 0.8
    drawn = LightBatch(
        key_direction=_float(_direction(rng.uniform(-85, 85, count), rng.uniform(0, 70, count))),
        key_color=_float(key_color),
        key_softness=_float(rng.uniform(0.03, 0.35, count)),
        fill_direction=_float(
            _direction(rng.uniform(-110, 110, count), rng.uniform(-15, 50, count))
        ),
        fill_color=_float(fill_color),
        sky_color=_float(sky_color),
        floor_color=_float(floor_color),
        gloss=_float(rng.uniform(-0.06, 0.10, count).clip(0)),
        exposure=_float(brightness * _hues(count, 0.06, rng)),
        gamma=_float(np.exp(rng.normal(0, 0.07, count))),
    )
    studio = studio_light(count)
    is_studio = torch.from_numpy(kind < STUDIO_SHARE)
    return LightBatch(
        **{
            f.name: torch.where(
                is_studio.view(-1, *(1,) * (getattr(drawn, f.name).ndim - 1)),
                getattr(studio, f.name),
                getattr(drawn, f.name),
            )
            for f in fields(LightBatch)
        }
    )


def no_tints(count: int) -> TintBatch:
    """Colors as they are."""
    return TintBatch(torch.eye(3).repeat(count, len(COLOR_GROUPS) + 1, 1, 1))


def draw_tints(free: NDArray[np.bool_], rng: np.random.Generator) -> TintBatch:
    """Vary half of the free groups: skin and hair in brightness, clothes in hue too.

    Args:
        free: Which of `COLOR_GROUPS` the edit of each photograph leaves alone; the others keep
            their colors, so that the instruction still tells the edit. `(B, groups)`.
        rng: Draws the tints.
    """
    count = len(free)
    matrices = no_tints(count).matrices.numpy().astype(np.float64)
    # How much brightness, hue and turn around the gray axis vary: skin, hair, clothes.
    for group, (brightness, hue, turn_deg) in enumerate(
        ((0.18, 0.03, 0), (0.35, 0.10, 0), (0.35, 0.15, 180))
    ):
        gain = np.exp(rng.normal(0, brightness, (count, 1))) * _hues(count, hue, rng)
        turn = _gray_axis_turns(np.radians(rng.uniform(-turn_deg, turn_deg, count)))
        varied = free[:, group] & (rng.random(count) < 0.5)
        matrices[varied, group] = (gain[:, :, None] * turn)[varied]
    return TintBatch(_float(matrices))


def _gray_axis_turns(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations of RGB around its gray axis: other hues, about as bright. Shape `(B, 3, 3)`."""
    third = 1 / 3
    cosine, sine = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    cross = np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * np.sqrt(third)
    return cosine * np.eye(3) + sine * cross + (1 - cosine) * third


def _hues(count: int, spread: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Factors of red, green and blue around 1, warmer or cooler more than anything. `(B, 3)`."""
    warmth = rng.normal(0, spread, (count, 1)) * np.array([1.0, 0.0, -1.0])
    return np.exp(warmth + rng.normal(0, 0.25 * spread, (count, 3)))


def _direction(
    azimuth_deg: NDArray[np.float64], elevation_deg: NDArray[np.float64]
) -> NDArray[np.float64]:
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    across = np.cos(elevation)
    return np.stack([np.sin(azimuth) * across, np.sin(elevation), np.cos(azimuth) * across], axis=1)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _float(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
