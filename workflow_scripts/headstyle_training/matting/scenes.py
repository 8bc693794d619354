"""Photographs for the mini matting: cutouts in front of rooms, on pedestals, by poor cameras.

Everything is drawn on the device. Images are sRGB in [0, 1], `(B, C, H, W)`.
"""

import torch
from torch import Tensor
from torch.nn import functional

from headstyle_training.matting.pictures import Cutouts
from headstyle_training.pictures.backgrounds import random_backgrounds
from headstyle_training.pictures.image_effects import Chance, blur, compress, grade, wide

HALL_SHARE, CAMOUFLAGE_SHARE, PEDESTAL_SHARE, OTHERS_SHARE = 0.35, 0.2, 0.7, 0.25
HALL_THINGS = 9
BLUR_RADIUS_PX = 14
SURE_ALPHA = 0.5


class BackgroundPool:
    """The latest backgrounds, held on the device."""

    def __init__(self, side_px: int, capacity: int, seed: int, device: torch.device | str) -> None:
        """An empty pool of at most `capacity` backgrounds."""
        self._images = torch.zeros(
            (capacity, 3, side_px, side_px), dtype=torch.uint8, device=device
        )
        self._generator = torch.Generator(device).manual_seed(seed)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._images))

    def add(self, count: int) -> None:
        """Make some more, in the place of the oldest."""
        side, device = self._images.shape[-1], self._images.device
        halls = round(HALL_SHARE * count)
        made = [random_backgrounds(count - halls, side, side, self._generator, device)]
        if halls:
            made.append(draw_halls(halls, side, self._generator))
        place = torch.arange(self._added, self._added + count, device=device) % len(self._images)
        self._images[place] = torch.cat(made).mul(255).round().byte()
        self._added += count

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Random ones, mirrored or not."""
        device = self._images.device
        chosen = torch.randint(len(self), (count,), generator=generator, device=device)
        images = self._images[chosen].float() / 255
        return _mirrored(images, Chance(count, generator).happens(0.5))


def draw_halls(count: int, side_px: int, generator: torch.Generator) -> Tensor:
    """Rooms of a museum: floor and wall, windows, cases and blocks in light that falls off."""
    chance = Chance(count, generator)
    x, y = _grid(side_px, chance)

    def tone(low: float, high: float, saturation: float = 0.12) -> Tensor:
        gray = chance.uniform(low, high, 1, 1, 1)
        return gray * (1 + saturation * chance.normal(3, 1, 1) * 0.5)

    dark = wide(chance.uniform(0.15, 1.1))
    horizon = wide(chance.uniform(0.35, 0.95)) + 0.06 * wide(chance.normal()) * x
    floor = ((y - horizon) / 0.01).clamp(0, 1)
    image = dark * tone(0.3, 0.9)
    image = image + floor * (dark * tone(0.1, 0.7) - image)
    for _ in range(HALL_THINGS):
        left, width = chance.uniform(-0.1, 1, 1, 1, 1), chance.uniform(0.03, 0.35, 1, 1, 1)
        top, height = chance.uniform(-0.2, 0.8, 1, 1, 1), chance.uniform(0.05, 0.7, 1, 1, 1)
        edge = torch.minimum(
            torch.minimum(x - left, left + width - x), torch.minimum(y - top, top + height - y)
        )
        inside = (edge / 0.006).clamp(0, 1) * wide(chance.happens(0.75))
        inner = (edge - wide(chance.uniform(0.005, 0.03)) > 0).float() * wide(chance.happens(0.5))
        color = dark * tone(0.03, 1.1, 0.4)
        frame = dark * tone(0.03, 0.9)
        image = image + inside * (frame + inner * (color - frame) - image)
    lamp = torch.hypot(
        x - chance.uniform(-0.2, 1.2, 1, 1, 1), y - chance.uniform(-0.6, 0.6, 1, 1, 1)
    )
    light = 1 + wide(chance.uniform(-0.5, 0.9)) * torch.exp(-3 * lamp.square())
    image = image * light * (1 + 0.07 * chance.clouds(6, side_px, side_px))
    return image.clamp(0, 1)


@torch.no_grad()
def compose(
    cutouts: Cutouts, backgrounds: Tensor, generator: torch.Generator, mirrors: bool = True
) -> tuple[Tensor, Tensor]:
    """Photographs of the cutouts before the backgrounds, and the alpha to be found.

    Args:
        cutouts: Shape `(B, 4, H, W)`; H and W are multiples of 8.
        backgrounds: Shape `(B, 3, H, W)`.
        generator: Draws everything.
        mirrors: Whether half of the cutouts are mirrored; views of known cameras cannot be.

    Returns:
        Photographs `(B, 3, H, W)` and alpha `(B, 1, H, W)`.
    """
    chance = Chance(len(backgrounds), generator)
    rgba = _mirrored(cutouts.rgba.float() / 255, chance.happens(0.5) * mirrors)
    color, alpha = rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]
    mean = color.sum(dim=(2, 3)) / alpha.sum(dim=(2, 3)).clamp_min(1)
    behind = _behind(backgrounds, rgba, mean, chance)
    behind = _on_pedestals(behind, alpha, mean, cutouts.sculpted, chance)
    behind = _shadowed(behind, alpha, chance)
    # Premultiplied, so that a soft edge does not mix in the black around the cutout.
    softness = chance.uniform(0, 0.9) * chance.happens(0.7)
    soft = blur(torch.cat([color, alpha], dim=1), softness, 3)
    alpha = soft[:, 3:].clamp(0, 1)
    exposure = wide(torch.exp(0.25 * chance.normal() * chance.happens(0.5)))
    image = soft[:, :3] * exposure + behind * (1 - alpha)
    return through_camera(image.clamp(0, 1), chance), alpha


def _behind(backgrounds: Tensor, rgba: Tensor, mean: Tensor, chance: Chance) -> Tensor:
    """Backgrounds in other tones, some with other heads far off, most out of focus."""
    count = len(backgrounds)
    tint = torch.exp(0.12 * chance.normal(3))
    saturation = chance.uniform(0.2, 1.3)
    behind = grade(
        backgrounds, torch.exp(0.4 * chance.normal()), chance.uniform(0.7, 1.5), saturation, tint
    )
    # The hardest backgrounds have the colors of the head itself.
    gray = behind.mean(dim=1, keepdim=True)
    own = mean[:, :, None, None] * (gray / gray.mean(dim=(2, 3), keepdim=True).clamp_min(0.05))
    camouflaged = wide(chance.happens(CAMOUFLAGE_SHARE) * chance.uniform(0.5, 1))
    behind = behind + camouflaged * (own - behind)
    other = _smaller(rgba.roll(1, dims=0), chance)
    visible = rgba[:, 3:].mean(dim=(1, 2, 3)) > 2.5 * other[:, 3:].mean(dim=(1, 2, 3))
    shown = wide(chance.happens(OTHERS_SHARE) * visible.float())
    behind = behind * (1 - other[:, 3:] * shown) + other[:, :3] * other[:, 3:] * shown
    scale = backgrounds.shape[-1] / 320
    depth = torch.where(shown.view(-1) > 0, chance.uniform(1.2, 5), chance.uniform(0, 5))
    sharp = chance.happens(0.4) * (1 - shown.view(count))
    return blur(behind.clamp(0, 1), depth * scale * (1 - sharp), BLUR_RADIUS_PX)


def _smaller(rgba: Tensor, chance: Chance) -> Tensor:
    """The cutouts at a quarter to over half of their size, somewhere in the frame."""
    count = len(rgba)
    factor = 1 / chance.uniform(0.25, 0.6)
    moves = torch.zeros(count, 2, 3, device=rgba.device)
    moves[:, 0, 0] = moves[:, 1, 1] = factor
    moves[:, :, 2] = chance.uniform(-1, 1, 2) * factor[:, None]
    grid = functional.affine_grid(moves, list(rgba.shape), align_corners=False)
    return functional.grid_sample(rgba, grid, mode="bilinear", align_corners=False)


def _on_pedestals(
    behind: Tensor, alpha: Tensor, mean: Tensor, sculpted: Tensor, chance: Chance
) -> Tensor:
    """A block, perhaps with a rod, under sculptures whose lower end is in the frame."""
    side = behind.shape[-1]
    x, y = _grid(side, chance)
    rows = (alpha > SURE_ALPHA).any(dim=3)[:, 0]
    bottom = (rows * torch.arange(side, device=alpha.device)).amax(dim=1) / side
    low = alpha * (y > wide(bottom) - 0.08)
    center = (low * x).sum(dim=(1, 2, 3)) / low.sum(dim=(1, 2, 3)).clamp_min(1)
    width = alpha.amax(dim=2).sum(dim=(1, 2)) / side
    stands = sculpted & (bottom < 0.98) & (bottom > 0.2)
    stands = wide(stands.float() * chance.happens(PEDESTAL_SHARE))
    gap = wide(chance.uniform(0, 0.05) * chance.happens(0.5))
    half = wide(width * chance.uniform(0.3, 1.1))
    depth = wide(chance.uniform(0.01, 0.09))
    top = wide(bottom) + gap - 0.6 * depth
    away = (x - wide(center) - 0.05 * wide(chance.normal())).abs()
    rod = (away < 0.008).float() * (y > wide(bottom) - 0.04) * (y < top + depth)
    # The upper face narrows towards the back.
    upper = (y > top) * (y < top + depth) * (away < half * (0.8 + 0.2 * (y - top) / depth))
    front = (y >= top + depth) * (away < half)
    own = mean[:, :, None, None] * wide(chance.uniform(0.5, 1.2))
    plain = wide(chance.uniform(0.1, 0.95)) * torch.exp(0.06 * chance.normal(3, 1, 1))
    like_head = wide(chance.happens(0.5))
    color = like_head * own + (1 - like_head) * plain
    grain = 1 + wide(chance.uniform(0, 0.12)) * chance.clouds(40, side, side)
    for face, light in (
        (rod.float(), wide(chance.uniform(0.1, 0.5))),
        (upper.float(), wide(chance.uniform(0.9, 1.5))),
        (front.float(), wide(chance.uniform(0.5, 1.0))),
    ):
        behind = behind + stands * face * (color * light * grain - behind)
    return behind.clamp(0, 1)


def _shadowed(behind: Tensor, alpha: Tensor, chance: Chance) -> Tensor:
    """Backgrounds with the head's shadow on them."""
    scale = alpha.shape[-1] / 320
    shade = blur(alpha, scale * chance.uniform(3, 9), BLUR_RADIUS_PX)
    moves = torch.zeros(len(alpha), 2, 3, device=alpha.device)
    moves[:, 0, 0] = moves[:, 1, 1] = 1
    moves[:, :, 2] = chance.uniform(-0.15, 0.15, 2)
    grid = functional.affine_grid(moves, list(alpha.shape), align_corners=False)
    shade = functional.grid_sample(shade, grid, align_corners=False)
    return behind * (1 - wide(chance.uniform(0, 0.6) * chance.happens(0.4)) * shade)


def through_camera(images: Tensor, chance: Chance) -> Tensor:
    """Exposure, white balance, falling light, blur, noise and compression of a whole photograph."""
    side = images.shape[-1]
    scale = side / 320
    strong = chance.happens(0.7)
    gray = chance.happens(0.05)
    images = grade(
        images,
        torch.exp(0.25 * strong * chance.normal()),
        torch.exp(0.2 * strong * chance.normal()),
        (1 + 0.25 * chance.normal()).clamp(0, 1.6) * (1 - gray),
        torch.exp(0.07 * strong[:, None] * chance.normal(3)),
    )
    x, y = _grid(side, chance)
    distance = (x - 0.5).square() + (y - 0.5).square()
    images = images * (1 - wide(chance.uniform(0, 0.8) * chance.happens(0.3)) * distance)
    images = blur(images, scale * chance.uniform(0, 1.3) * chance.happens(0.5), 4)
    noise = chance.normal(3, side, side)
    coarse = functional.interpolate(chance.normal(3, side // 2, side // 2), (side, side))
    amount = wide(chance.uniform(0, 0.06) * chance.happens(0.6))
    images = images + amount * (noise + wide(chance.happens(0.5)) * coarse)
    return compress(images.clamp(0, 1), chance.uniform(0.5, 12) * chance.happens(0.5))


def _mirrored(images: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(wide(chosen) > 0, images.flip(3), images)


def _grid(side_px: int, chance: Chance) -> tuple[Tensor, Tensor]:
    """x and y of the pixels in [0, 1]. Shapes `(1, 1, 1, W)` and `(1, 1, H, 1)`."""
    along = (torch.arange(side_px, device=chance.device) + 0.5) / side_px
    return along.view(1, 1, 1, -1), along.view(1, 1, -1, 1)
