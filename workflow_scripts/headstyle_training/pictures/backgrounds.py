"""Backgrounds for heads: screens, walls, clutter and noise, drawn on the device.

Each kind is a function of a small batch; `random_backgrounds` gives every picture one kind.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

CLUTTER_LAYERS = 28
LEAF_LAYERS = 5


class _Chance:
    """Random numbers of one batch, on its device."""

    def __init__(self, count: int, height: int, width: int, generator: torch.Generator) -> None:
        self.count, self.height, self.width = count, height, width
        self.generator = generator
        self.device = generator.device

    def of(self, count: int) -> "_Chance":
        """Random numbers for a part of the batch, from the same generator."""
        return _Chance(count, self.height, self.width, self.generator)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Shape `(count, *shape)`."""
        drawn = torch.rand(self.count, *shape, generator=self.generator, device=self.device)
        return low + (high - low) * drawn

    def number(self, low: float, high: float) -> Tensor:
        """One per picture. Shape `(count, 1, 1, 1)`."""
        return self.uniform(low, high, 1, 1, 1)

    def color(self) -> Tensor:
        """sRGB colors of any brightness, most of them dull. Shape `(count, 3, 1, 1)`."""
        gray = self.number(0.02, 0.98)
        return (gray + self.number(0, 0.8) * (self.uniform(0, 1, 3, 1, 1) - 0.5)).clamp(0, 1)

    def happens(self, probability: float) -> Tensor:
        """1 or 0. Shape `(count, 1, 1, 1)`."""
        return (self.number(0, 1) < probability).float()

    def grid(self) -> tuple[Tensor, Tensor]:
        """x and y of the pixels, -1 to 1 along the longer side. `(1, 1, 1, W)`, `(1, 1, H, 1)`."""
        half = max(self.height, self.width) / 2
        x = torch.arange(self.width, device=self.device) + 0.5 - self.width / 2
        y = torch.arange(self.height, device=self.device) + 0.5 - self.height / 2
        return (x / half).view(1, 1, 1, -1), (y / half).view(1, 1, -1, 1)

    def turned(self, largest: float = 3.15) -> tuple[Tensor, Tensor]:
        """x and y of the pixels, turned by up to `largest` [rad], differently in each picture."""
        x, y = self.grid()
        angle = self.number(-largest, largest)
        return x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()

    def noise(self, cells: int, channels: int = 1) -> Tensor:
        """Smooth noise of mean 0 and deviation about 0.7, `cells` blobs a side. `(n, c, H, W)`."""
        small = torch.randn(
            self.count, channels, cells, cells, generator=self.generator, device=self.device
        )
        return functional.interpolate(
            small, (self.height, self.width), mode="bicubic", align_corners=False
        )

    def fractal(self, coarsest: int, octaves: int, fading: float = 0.55) -> Tensor:
        """Octaves of noise, each of half the size and `fading` times as high. `(n, 1, H, W)`."""
        largest = min(self.height, self.width)
        return sum(
            (
                fading**octave * self.noise(min(coarsest * 2**octave, largest))
                for octave in range(octaves)
            ),
            start=torch.zeros((), device=self.device),
        )


def random_backgrounds(
    count: int,
    height: int,
    width: int,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Backgrounds of all kinds in random order.

    Args:
        count: How many.
        height: [px].
        width: [px].
        generator: Draws everything; one of another device seeds one of this device.
        device: Where they are made.

    Returns:
        sRGB in [0, 1]. Shape `(count, 3, height, width)`.
    """
    device = torch.device(device)
    if generator.device.type != device.type:
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        generator = torch.Generator(device).manual_seed(seed)
    chance = _Chance(count, height, width, generator)
    shares = torch.tensor([share for _, share in KINDS], dtype=torch.float64)
    # Each kind gets its share of the pictures, rounded at random; then the order is shuffled.
    start = torch.rand((), generator=generator, device=device, dtype=torch.float64).cpu()
    marks = (torch.arange(count, dtype=torch.float64) + start) / max(count, 1)
    kinds = torch.searchsorted(shares.cumsum(0) / shares.sum(), marks).clamp_max(len(KINDS) - 1)
    parts = [
        make(chance.of(int((kinds == kind).sum())))
        for kind, (make, _) in enumerate(KINDS)
        if (kinds == kind).any()
    ]
    order = torch.randperm(count, generator=generator, device=device)
    return torch.cat(parts)[order].clamp(0, 1)


def _flat(chance: _Chance) -> Tensor:
    """One color; often black, white or gray."""
    gray = chance.number(0, 1)
    extreme = chance.happens(0.4)
    gray = extreme * gray.round() + (1 - extreme) * gray
    plain = chance.happens(0.4)
    color = plain * gray + (1 - plain) * chance.color()
    return color.expand(-1, 3, chance.height, chance.width)


def _gradient(chance: _Chance) -> Tensor:
    """From one color to another, along a line or from a middle outwards."""
    x, y = chance.turned()
    along = 0.5 + 0.5 * (x + chance.number(-0.5, 0.5))
    around = torch.hypot(x - chance.number(-1, 1), y - chance.number(-1, 1)) / 2
    is_line = chance.happens(0.5)
    amount = (is_line * along + (1 - is_line) * around).clamp(0, 1)
    first, second = chance.color(), chance.color()
    return first + (second - first) * amount ** chance.number(0.5, 2)


def _noise(chance: _Chance) -> Tensor:
    """Clouds of several colors and scales, with grain."""
    halves = [chance.of(n) for n in (chance.count - chance.count // 2, chance.count // 2)]
    clouds = []
    for part, coarsest in zip(halves, (2, 9), strict=True):
        amount = (0.5 + 0.4 * part.fractal(coarsest, 5)).clamp(0, 1)
        other = (0.5 + 0.5 * part.noise(4)).clamp(0, 1)
        first, second, third = part.color(), part.color(), part.color()
        mixed = first + (second - first) * amount
        clouds.append(mixed + (third - mixed) * other)
    grain = torch.randn(
        chance.count,
        3,
        chance.height,
        chance.width,
        generator=chance.generator,
        device=chance.device,
    )
    return torch.cat(clouds) + chance.number(-0.06, 0.08).clamp_min(0) * grain


def _screen(chance: _Chance) -> Tensor:
    """A green screen, some blue, in uneven light, with folds and a brighter middle."""
    green = chance.uniform(0, 1, 3, 1, 1) * torch.tensor([0.30, 0.40, 0.30]).to(chance.device).view(
        1, 3, 1, 1
    ) + torch.tensor([0.03, 0.42, 0.08]).to(chance.device).view(1, 3, 1, 1)
    blue = chance.happens(0.1)
    color = blue * green.flip(1) + (1 - blue) * green
    x, y = chance.turned(0.5)
    folds = torch.sin(x * chance.number(3, 25) + 1.5 * chance.noise(3) + chance.number(0, 6.3))
    light = 1 + chance.number(-0.12, 0.12) * folds * chance.happens(0.5)
    light = light + chance.number(0, 0.16) * chance.noise(3) + chance.number(-0.25, 0.25) * y
    distance = torch.hypot(x - chance.number(-0.4, 0.4), y - chance.number(-0.4, 0.4))
    return color * (light - chance.number(0, 0.3) * distance**2)


def _clutter(chance: _Chance) -> Tensor:
    """Boxes, discs and lines of many colors over each other, some textured, some out of focus."""
    image = _noise(chance)
    grain = chance.fractal(12, 4)
    for layer in range(CLUTTER_LAYERS):
        x, y = chance.turned(0.3 if layer % 2 else 3.15)
        x, y = x - chance.number(-1.1, 1.1), y - chance.number(-1.1, 1.1)
        # Large things first, small ones over them.
        size = 0.75 * (1 - layer / CLUTTER_LAYERS) + 0.05
        half_x = chance.number(0.15, 1) * size
        half_y = chance.number(0.15, 1) * size
        thin = chance.happens(0.2)
        half_x = half_x * (1 - thin) + 0.015 * thin
        half_y = half_y * (1 - thin) + 1.2 * half_y * thin
        box = torch.maximum(x.abs() - half_x, y.abs() - half_y)
        disc = torch.hypot(x / half_x, y / half_y).sub(1) * torch.minimum(half_x, half_y)
        round_ = chance.happens(0.35)
        distance = round_ * disc + (1 - round_) * box
        softness = 0.004 + chance.number(-0.08, 0.08).clamp_min(0)
        opacity = (0.5 - distance / softness).clamp(0, 1) * chance.number(0.6, 1.2).clamp_max(1)
        shade = 1 + chance.number(-0.5, 0.5) * x / size + chance.number(-0.2, 0.3) * grain
        image = image + opacity * (chance.color() * shade - image)
    return _out_of_focus(image.clamp(0, 1), chance)


def _shelves(chance: _Chance) -> Tensor:
    """Rows of upright colored backs: books, or with wide ones cupboards and windows."""
    x, y = chance.turned(0.06)
    rows, columns = chance.number(1.5, 6), chance.number(6, 40)
    v = y * rows + chance.number(0, 1)
    row = v.floor()
    # Widths vary: the place is bent by a sine of its own in each row.
    u = x * columns + row * 7.31
    u = u + 0.9 * torch.sin(u * 0.7 + row * 2.1) + 0.5 * torch.sin(u * 1.9 + row)
    book = u.floor()
    height = 0.95 - 0.35 * _hash(book + 3.3, row)
    across = u - book
    colors = torch.cat([_hash(book + k * 11.7, row + k * 5.1) for k in range(3)], dim=1)
    gray = colors.mean(dim=1, keepdim=True)
    dullness = chance.number(0.2, 0.9)
    colors = gray + dullness * (colors - gray)
    shade = (4 * across * (1 - across)).clamp(0, 1) ** 0.4
    bands = 1 - 0.3 * ((v - row - 0.7).abs() < 0.04).float()
    backs = colors * shade * bands
    inside = ((v - row) > 1 - height).float()
    image = chance.color() * 0.35 * (1 - inside) + backs * inside
    board = ((v - row) > 0.93).float()
    image = image + board * (chance.color() - image)
    return _out_of_focus(image * (1 + 0.1 * chance.fractal(8, 4)), chance)


def _bricks(chance: _Chance) -> Tensor:
    """Courses of bricks or tiles, each a little different, with joints between them."""
    x, y = chance.turned(0.12)
    rows = chance.number(3, 16)
    v = y * rows
    row = v.floor()
    shift = 0.5 * chance.happens(0.75)
    u = x * rows / chance.number(1, 3) + shift * row
    column = u.floor()
    joint = 0.02 + chance.number(0, 0.05)
    edge = torch.minimum(
        torch.minimum(u - column, 1 - (u - column)) * 2, torch.minimum(v - row, 1 - (v - row))
    )
    stone = ((edge - joint) / 0.04).clamp(0, 1)
    differing = 1 + chance.number(0.05, 0.5) * (_hash(column, row) - 0.5)
    color, mortar = chance.color(), chance.color()
    rough = 1 + 0.18 * chance.fractal(16, 4)
    return _out_of_focus((mortar + stone * (color * differing - mortar)) * rough, chance)


def _stripes(chance: _Chance) -> Tensor:
    """Stripes or checks of two colors, straight or wavy, sharp or soft."""
    x, y = chance.turned()
    bend = chance.number(-0.3, 0.3) * chance.happens(0.5) * chance.noise(4)
    first = torch.sin((x + bend) * chance.number(4, 60))
    second = torch.sin((y + bend) * chance.number(4, 60))
    checked = chance.happens(0.4)
    wave = first * (checked * second + 1 - checked)
    amount = 0.5 + 0.5 * (wave * chance.number(0.5, 8)).clamp(-1, 1)
    one, two = chance.color(), chance.color()
    return _out_of_focus((one + (two - one) * amount) * (1 + 0.08 * chance.fractal(6, 4)), chance)


def _foliage(chance: _Chance) -> Tensor:
    """Leaves and gaps between them: layers of thresholded noise, brighter towards the front."""
    x, y = chance.grid()
    sky = chance.color()
    image = sky + 0.1 * chance.noise(3) + 0 * (x + y)
    leaf = torch.tensor([0.5, 0.75, 0.25], device=chance.device).view(1, 3, 1, 1)
    autumn = chance.happens(0.3)
    leaf = leaf + autumn * (chance.color() - leaf)
    for layer in range(LEAF_LAYERS):
        field = chance.fractal(5 + 4 * layer, 5, 0.7)
        covered = ((field + 0.25) * 6).clamp(0, 1)
        lit = (0.25 + 0.15 * layer + 0.35 * chance.fractal(30, 3)).clamp(0.03, 1)
        image = image + covered * (leaf * lit - image)
    return _out_of_focus(image.clamp(0, 1), chance)


def _out_of_focus(image: Tensor, chance: _Chance) -> Tensor:
    """Some of the pictures blurred: made small and large again."""
    sharp = chance.happens(0.5)
    result = sharp * image
    for factor in (3, 10):
        size = [max(2, side // factor) for side in image.shape[-2:]]
        small = functional.interpolate(image, size, mode="area")
        blurred = functional.interpolate(
            small, image.shape[-2:], mode="bicubic", align_corners=False
        )
        share = chance.happens(0.5) if factor == 3 else torch.ones_like(sharp)
        result = result + (1 - sharp) * share * blurred
        sharp = sharp + (1 - sharp) * share
    return result


def _hash(first: Tensor, second: Tensor) -> Tensor:
    """A number in [0, 1) that looks random, the same for the same two integers."""
    return torch.sin(first * 12.9898 + second * 78.233).mul(43758.547).remainder(1)


KINDS: tuple[tuple[Callable[[_Chance], Tensor], float], ...] = (
    (_flat, 0.12),
    (_gradient, 0.10),
    (_noise, 0.12),
    (_screen, 0.18),
    (_clutter, 0.22),
    (_shelves, 0.08),
    (_bricks, 0.06),
    (_stripes, 0.05),
    (_foliage, 0.07),
)
"""Kinds of backgrounds and their shares."""
