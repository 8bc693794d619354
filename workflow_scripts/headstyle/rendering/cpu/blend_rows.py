"""Blending one splat into the rows of one tile, and its gradients: 16 pixels at a time.

The rules are those of gsplat 1.5.3. Alpha is at most 0.999. A splat with an alpha below 1/255 is
skipped. A pixel is finished before the splat that would bring its transmittance to 1e-4 or less.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from headstyle.rendering.cpu.lanes import (
    COUNT,
    FLOAT,
    Accumulator,
    Floats,
    Lanes,
    Mask,
    data_of,
    rows,
)

MAX_ALPHA, ALPHA_CUT, MIN_TRANSMITTANCE = 0.999, 1 / 255, 1e-4
LOG2_E = 1.4426950408889634
LOWEST_EXPONENT = -120.0

# Channels of a tile's row in the forward pass. OPEN is the transmittance of a pixel that is still
# blended, and 0 for a finished pixel. THROUGH is the final transmittance. LAST is the index of the
# last splat blended. EXPECTED is the sum of weight times depth. MEDIAN is a depth.
OPEN, THROUGH, RED, GREEN, BLUE, LAST, EXPECTED, MEDIAN = range(8)
FORWARD_ROW = 8 * COUNT
# Channels in the backward pass. BEHIND_SPLAT is the transmittance behind the splat. D_RED to D_BLUE
# are the gradient of the image. BEHIND is the color behind the splat times that gradient.
BEHIND_SPLAT, D_RED, D_GREEN, D_BLUE, BEHIND, LAST_SPLAT = range(6)
BACKWARD_ROW = 6 * COUNT
# Sums per splat and tile. s is the gradient of the exponent -sigma at a pixel; (dx, dy) is the
# splat's center relative to the pixel. The sums are s, s dx, s dy, s dx^2, s dx dy and s dy^2. Then
# come red, green, blue, and the absolute gradients of the center's x and y.
MOMENTS = 11


class _Ellipse:
    """A splat in a tile: distances in px from the center of the tile's first pixel."""

    def __init__(self, builder: ir.IRBuilder, numbers: tuple[ir.Value, ...]) -> None:
        x, y, a, b, c, opacity = (Lanes(builder, number) for number in numbers)
        self.builder, self.y, self.opacity = builder, y, opacity
        self.a, self.b, self.c = a, b, c
        self.dx = x - Lanes.counting(builder)
        # Parts of the exponent to base 2: the column's term, and the factors of dy and dy^2.
        self.column = self.dx * self.dx * (a * (-0.5 * LOG2_E))
        self.cross = self.dx * (b * -LOG2_E)
        self.square = c * (-0.5 * LOG2_E)

    def dy(self, row: ir.Value) -> Lanes:
        """Vertical distance from a row to the splat's center."""
        return self.y - self.builder.sitofp(row, FLOAT)

    def alpha(self, dy: Lanes) -> tuple[Lanes, Lanes]:
        """Alpha in a row, 0 where it is below the cut, and alpha before the upper limit."""
        exponent = self.column + dy * (self.cross + self.square * dy)
        exponent = exponent.at_most(0.0).at_least(LOWEST_EXPONENT)
        unlimited = self.opacity * exponent.exp2()
        limited = unlimited.at_most(MAX_ALPHA)
        return (limited >= ALPHA_CUT).select(limited, 0.0), unlimited


def _blend(row: Floats, alpha: Lanes, index: ir.Value, color: list[Lanes]) -> tuple[Lanes, Lanes]:
    """Blend alphas into a row. Returns each pixel's weight and its transmittance before that."""
    before = row.load(OPEN)
    after = before * (1.0 - alpha)
    goes_on = after > MIN_TRANSMITTANCE
    weight = goes_on.select(alpha * before, 0.0)
    row.store(OPEN, goes_on.select(after, 0.0))
    row.store(THROUGH, goes_on.select(after, row.load(THROUGH)))
    for channel, value in zip((RED, GREEN, BLUE), color, strict=True):
        row.store(channel, row.load(channel) + weight * value)
    touched: Mask = weight > 0.0
    row.store(LAST, touched.select(weight.like(index), row.load(LAST)))
    return weight, before


def _blend_depth(row: Floats, weight: Lanes, before: Lanes, depth: ir.Value) -> None:
    row.store(EXPECTED, row.load(EXPECTED) + weight * depth)
    passes = (before > 0.5) & (before - weight <= 0.5)
    row.store(MEDIAN, passes.select(weight.like(depth), row.load(MEDIAN)))


def _blender(with_depth: bool) -> Any:
    """The function that blends a splat into rows `first` to `last` of a tile's memory."""

    @intrinsic
    def blend(typing, state, first, last, index, x, y, a, b, c, opacity, red, green, blue, depth):
        def generate(context, builder, signature, arguments):
            state, first, last, index, *numbers = arguments
            data = data_of(context, builder, signature.args[0], state)
            ellipse = _Ellipse(builder, numbers[:6])
            color = [Lanes(builder, number) for number in numbers[6:9]]
            with rows(builder, first, last) as r:
                size = ir.Constant(r.type, FORWARD_ROW)
                row = Floats(builder, data, builder.mul(r, size))
                with builder.if_then((row.load(OPEN) > 0.0).any()):
                    alpha, _ = ellipse.alpha(ellipse.dy(r))
                    weight, before = _blend(row, alpha, index, color)
                    if with_depth:
                        _blend_depth(row, weight, before, numbers[9])
            return context.get_dummy_value()

        numbers = [types.float32] * 11
        return types.void(state, types.int64, types.int64, *numbers), generate

    return blend


class _Sums:
    """The lanes of one splat's moments in one tile."""

    def __init__(self, builder: ir.IRBuilder, absolute: bool) -> None:
        self.s, self.s_dy, self.s_dy2 = (Accumulator(builder) for _ in range(3))
        self.color = [Accumulator(builder) for _ in range(3)]
        self.absolute = [Accumulator(builder) for _ in range(2)] if absolute else []

    def add(self, ellipse: _Ellipse, dy: Lanes, s: Lanes, colors: list[Lanes]) -> None:
        """Add one row's gradients of the exponent and of the color."""
        self.s.add(s)
        self.s_dy.add(s * dy)
        self.s_dy2.add(s * dy * dy)
        for sums, gradient in zip(self.color, colors, strict=True):
            sums.add(gradient)
        if self.absolute:
            dx, size = ellipse.dx, abs(s)
            self.absolute[0].add(size * abs(ellipse.a * dx + ellipse.b * dy))
            self.absolute[1].add(size * abs(ellipse.b * dx + ellipse.c * dy))

    def write(self, dx: Lanes, moments: Floats) -> None:
        """Sum the lanes and write the moments in their order."""
        s, s_dy = self.s.sums(), self.s_dy.sums()
        s_dx = s * dx
        lanes = [s, s_dx, s_dy, s_dx * dx, s_dy * dx, self.s_dy2.sums()]
        lanes += [sums.sums() for sums in (*self.color, *self.absolute)]
        for offset, each in enumerate(lanes):
            moments.store_number(offset, each.total())
        for offset in range(len(lanes), MOMENTS):
            moments.store_number(offset, ir.Constant(FLOAT, 0.0))


def _unblend(
    row: Floats, ellipse: _Ellipse, dy: Lanes, shown: Mask, color: list[Lanes], sums: _Sums
) -> None:
    """Take the splat out of a row and add its gradients there."""
    alpha, unlimited = ellipse.alpha(dy)
    alpha = shown.select(alpha, 0.0)
    inverse = 1.0 / (1.0 - alpha)
    before = row.load(BEHIND_SPLAT) * inverse
    weight = alpha * before
    gradients = [row.load(channel) for channel in (D_RED, D_GREEN, D_BLUE)]
    toward = gradients[0] * color[0] + gradients[1] * color[1] + gradients[2] * color[2]
    behind = row.load(BEHIND)
    d_alpha = before * toward - behind * inverse
    row.store(BEHIND_SPLAT, before)
    row.store(BEHIND, behind + weight * toward)
    # Where alpha is at its upper limit, only the color has a gradient.
    s = (unlimited <= MAX_ALPHA).select(alpha * d_alpha, 0.0)
    sums.add(ellipse, dy, s, [weight * gradient for gradient in gradients])


def _unblender(absolute: bool) -> Any:
    """The function that takes a splat out of a tile's rows and writes its moments."""

    @intrinsic
    def unblend(
        typing, state, moments, slot, first, last, index, x, y, a, b, c, opacity, red, green, blue
    ):
        def generate(context, builder, signature, arguments):
            state, moments, slot, first, last, index, *numbers = arguments
            data = data_of(context, builder, signature.args[0], state)
            target = data_of(context, builder, signature.args[1], moments)
            ellipse = _Ellipse(builder, numbers[:6])
            color = [Lanes(builder, number) for number in numbers[6:9]]
            sums = _Sums(builder, absolute)
            with rows(builder, first, last) as r:
                size = ir.Constant(r.type, BACKWARD_ROW)
                row = Floats(builder, data, builder.mul(r, size))
                shown = row.load(LAST_SPLAT) >= index
                with builder.if_then(shown.any()):
                    _unblend(row, ellipse, ellipse.dy(r), shown, color, sums)
            start = builder.mul(slot, ir.Constant(slot.type, MOMENTS))
            sums.write(ellipse.dx, Floats(builder, target, start))
            return context.get_dummy_value()

        numbers = [types.float32] * 10
        places = [types.int64] * 3
        return types.void(state, moments, *places, *numbers), generate

    return unblend


blend_splat, blend_splat_with_depth = _blender(False), _blender(True)
unblend_splat, unblend_splat_absolute = _unblender(False), _unblender(True)
