"""Distortions for the mini perceptual metric, from level 0, no change, to 1, badly spoiled.

Within a type, a higher level is always worse. Across types, the scales were set by eye so that
equal levels look about equally bad; no study with people was made. Images are sRGB in [0, 1], shape
`(B, 3, H, W)`, sizes multiples of 8; levels have shape `(B,)`. Lengths are for heads about 200 px
high.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from headstyle_training.pictures.image_effects import Chance, blur, compress, grade, resample, wide

Distortion = Callable[[Tensor, Tensor, Chance], Tensor]

BLUR_PX, BLUR_RADIUS_PX = 3.5, 9
NOISE = 0.15
FREE_SHIFT_PX, SHIFT_PX = 1.0, 13.0
"""A shift of the whole picture by up to `FREE_SHIFT_PX` is no distortion at all."""
WARP_PX, PATCH_PX = 7.0, 12.0


def _blurred(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    return blur(images, BLUR_PX * level**1.3, BLUR_RADIUS_PX)


def _noisy(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Grain of single pixels or of two, gray or colored."""
    _, _, height, width = images.shape
    fine = chance.normal(3, height, width)
    coarse = functional.interpolate(chance.normal(3, height // 2, width // 2), (height, width))
    grain = torch.where(wide(chance.happens(0.5)) > 0, fine, coarse)
    gray = wide(chance.happens(0.5))
    grain = grain + gray * (grain[:, :1] - grain)
    return images + NOISE * wide(level**1.2) * grain


def _compressed(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    coarseness = 4 * (torch.exp(math.log(20) * level) - 1)
    return compress(images, coarseness)


def _tinted(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Another white balance: a direction in color, as far as the level says."""
    direction = chance.normal(3)
    direction = direction - direction.mean(dim=1, keepdim=True)
    direction = functional.normalize(direction, dim=1)
    one = torch.ones_like(level)
    return grade(images, one, one, one, torch.exp(0.5 * level[:, None] * direction))


def _hue_turned(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Colors turned around the gray axis, to 100 degrees."""
    sign = 2 * chance.happens(0.5) - 1
    return _turned(images, sign * level * math.radians(100))


def _toned(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Brighter or darker."""
    sign = 2 * chance.happens(0.5) - 1
    one = torch.ones_like(level)
    return grade(
        images, one, torch.exp(1.1 * sign * level), one, torch.ones(len(level), 3).to(level)
    )


def _contrasted(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Less contrast, or more of it than fits."""
    sign = 2 * chance.happens(0.5) - 1
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    factor = torch.where(sign > 0, 1 + 1.8 * level, 1 - 0.85 * level)
    return middle + wide(factor) * (images - middle)


def _faded(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Colors towards gray."""
    gray = images.mean(dim=1, keepdim=True)
    return gray + wide(1 - level) * (images - gray)


def _shifted(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """The whole picture elsewhere."""
    angle = chance.uniform(0, 2 * math.pi)
    length = FREE_SHIFT_PX * chance.uniform(0, 1) + SHIFT_PX * level**1.2
    shift = torch.stack([angle.cos(), angle.sin()], dim=1) * length[:, None]
    return resample(images, shift[:, None, None])


def _warped(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Smoothly bent: features here move one way, there another."""
    _, _, height, width = images.shape
    coarse = chance.clouds(4, height, width, 2)
    fine = chance.clouds(9, height, width, 2)
    field = torch.where(wide(chance.happens(0.5)) > 0, coarse, fine)
    return resample(images, (WARP_PX * wide(level**1.2) * field).movedim(1, 3))


def _moved_patches(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Some features elsewhere, the rest in place."""
    moved = images
    for _ in range(3):
        angle = chance.uniform(0, 2 * math.pi)
        shift = torch.stack([angle.cos(), angle.sin()], dim=1) * (PATCH_PX * level)[:, None]
        inside = _spots(images, chance.uniform(0.12, 0.25), chance)
        moved = moved + inside * (resample(images, shift[:, None, None]) - moved)
    return moved


def _exchanged(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Spots that show another picture of the batch."""
    other = images.roll(1, dims=0)
    mixed = images
    for _ in range(2):
        inside = _spots(images, chance.uniform(0.1, 0.22), chance)
        mixed = mixed + inside * wide(level.sqrt().clamp_max(1)) * wide((level > 0.02).float()) * (
            other - mixed
        )
    return mixed


def _motion_blurred(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Averaged along a line of up to 16 px."""
    angle = chance.uniform(0, math.pi)
    way = torch.stack([angle.cos(), angle.sin()], dim=1) * (16 * level)[:, None]
    steps = [k / 10 - 0.5 for k in range(11)]
    return sum((resample(images, (way * s)[:, None, None]) for s in steps), start=0 * images) / 11


def _pixelated(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Blocks of two, four or eight pixels, more or less of them."""
    blocks = [images]
    for size in (2, 4, 8):
        small = functional.avg_pool2d(images, size)
        blocks.append(functional.interpolate(small, images.shape[2:], mode="nearest"))
    stacked = torch.stack(blocks)
    place = (level * (len(blocks) - 1)).clamp(0, len(blocks) - 1 - 1e-4)
    low = place.long()
    rows = torch.arange(len(images), device=images.device)
    first, second = stacked[low, rows], stacked[low + 1, rows]
    return first + wide(place - low) * (second - first)


def _posterized(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Fewer and fewer shades: 64 down to 2 per channel."""
    shades = wide(torch.exp(math.log(64) + level * (math.log(2) - math.log(64))))
    return torch.where(wide(level) > 0, (images * shades).round() / shades, images)


def _speckled(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """Single pixels black or white, up to an eighth of them."""
    _, _, height, width = images.shape
    drawn = chance.uniform(0, 1, 1, height, width)
    white = chance.uniform(0, 1, 1, height, width).round()
    return torch.where(drawn < 0.12 * wide(level**1.3), white.expand_as(images), images)


def _covered(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """A box of one color somewhere on the picture, up to 45 % of its sides."""
    _, _, height, width = images.shape
    center = chance.uniform(0.25, 0.75, 2)
    x = (torch.arange(width, device=images.device) + 0.5) / width
    y = (torch.arange(height, device=images.device) + 0.5) / height
    half = wide(0.225 * level)
    inside = ((x.view(1, 1, 1, -1) - wide(center[:, 0])).abs() < half) * (
        (y.view(1, 1, -1, 1) - wide(center[:, 1])).abs() < half
    )
    return torch.where(inside, chance.uniform(0, 1, 3, 1, 1), images)


def _turned_and_zoomed(images: Tensor, level: Tensor, chance: Chance) -> Tensor:
    """The whole picture turned by up to 8 degrees and 10 % larger or smaller."""
    sign, other = (2 * chance.happens(0.5) - 1 for _ in range(2))
    angle, scale = math.radians(8) * sign * level, torch.exp(0.1 * other * level)
    moves = torch.zeros(len(images), 2, 3, device=images.device)
    moves[:, 0, 0] = moves[:, 1, 1] = scale * angle.cos()
    moves[:, 0, 1], moves[:, 1, 0] = -scale * angle.sin(), scale * angle.sin()
    grid = functional.affine_grid(moves, list(images.shape), align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bicubic", padding_mode="border", align_corners=False
    )


TRAINED: Mapping[str, Distortion] = MappingProxyType(
    {
        "blur": _blurred,
        "noise": _noisy,
        "compression": _compressed,
        "white_balance": _tinted,
        "hue": _hue_turned,
        "brightness": _toned,
        "contrast": _contrasted,
        "saturation": _faded,
        "shift": _shifted,
        "warp": _warped,
        "moved_features": _moved_patches,
        "exchanged_features": _exchanged,
    }
)
HELD_OUT: Mapping[str, Distortion] = MappingProxyType(
    {
        "motion_blur": _motion_blurred,
        "pixelation": _pixelated,
        "posterization": _posterized,
        "speckles": _speckled,
        "covered": _covered,
        "turn_and_zoom": _turned_and_zoomed,
    }
)
"""Never trained on."""


def distort(
    images: Tensor, types: Tensor, levels: Tensor, chance: Chance, kinds: Mapping[str, Distortion]
) -> Tensor:
    """Each picture distorted in its own way.

    Args:
        images: Shape `(B, 3, H, W)`.
        types: Places in `kinds`. Shape `(B,)`, long, on the CPU.
        levels: In [0, 1]. Shape `(B,)`.
        chance: Draws for batches of any size.
        kinds: The distortions by name.
    """
    result = images.clone()
    for place, make in enumerate(kinds.values()):
        rows = (types == place).nonzero()[:, 0].to(images.device)
        if len(rows):
            part = Chance(len(rows), chance.generator)
            result[rows] = make(images[rows], levels[rows], part).clamp(0, 1)
    return result


def disturb(images: Tensor, chance: Chance) -> Tensor:
    """Changes that should hardly count: most pictures move by up to a pixel along x and y, and get
    about 2 % brighter or darker."""
    shift = chance.uniform(-1, 1, 2) * chance.happens(0.75)[:, None]
    gain = torch.exp(0.02 * chance.normal())
    return (resample(images, shift[:, None, None]) * wide(gain)).clamp(0, 1)


def _spots(images: Tensor, radius: Tensor, chance: Chance) -> Tensor:
    """1 in a soft round spot of a radius relative to the picture, else 0. Shape `(B, 1, H, W)`."""
    _, _, height, width = images.shape
    x = (torch.arange(width, device=images.device) + 0.5).view(1, 1, 1, -1) / width
    y = (torch.arange(height, device=images.device) + 0.5).view(1, 1, -1, 1) / height
    center = chance.uniform(0.2, 0.8, 2)
    distance = torch.hypot(x - wide(center[:, 0]), y - wide(center[:, 1]))
    return ((wide(radius) - distance) / 0.04 + 0.5).clamp(0, 1)


def _turned(images: Tensor, angle: Tensor) -> Tensor:
    """RGB turned around the gray axis by an angle [rad]."""
    third, root = 1 / 3, math.sqrt(1 / 3)
    cosine, sine = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    cross = images.new_tensor([[0.0, -root, root], [root, 0.0, -root], [-root, root, 0.0]])
    matrix = cosine * torch.eye(3, device=images.device) + sine * cross + (1 - cosine) * third
    return torch.einsum("bij,bjhw->bihw", matrix, images)
