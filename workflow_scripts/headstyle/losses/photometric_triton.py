"""The training loss as four kernels on CUDA: L1 and SSIM of two images, and the gradient.

The formulas are those of `losses.photometric.photometric_loss`, whose 40 kernel launches cost a GPU
more time than the arithmetic. The images are blurred across, then down; each pass reads 11
neighbors from the cache. The forward pass stores the derivatives by the blurred moments for the
backward pass.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from headstyle.losses.ssim_window import C1, C2, WINDOW, window_weights

# Size of one program's block: rows, and values in a row (a pixel has three values side by side).
ROWS, COLUMNS = 8, 64
CHANNELS = 3
# Number of warps at which the 44 values that a pixel loads at once stay in registers.
WARPS = 8
# One compiled kernel serves any number of views.
SIZES = ["rows", "height"]
HALF = tl.constexpr(WINDOW // 2)
TAPS = tl.constexpr(WINDOW)
STRIDE = tl.constexpr(CHANNELS)


@triton.jit
def _place(rows, length, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Row and column of this program's values, and which of them lie in the images."""
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return row, column, (row < rows) & (column < length)


@triton.jit(do_not_specialize=SIZES)
def moments_across(x, y, weights, moments, rows, length, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Blur x, y, x^2 + y^2 and x y along the rows."""
    row, column, inside = _place(rows, length, ROWS, COLUMNS)
    place = row * length + column
    mean_x = tl.zeros((ROWS, COLUMNS), tl.float32)
    mean_y = tl.zeros((ROWS, COLUMNS), tl.float32)
    squares = tl.zeros((ROWS, COLUMNS), tl.float32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for k in tl.static_range(TAPS):
        shift = (k - HALF) * STRIDE
        valid = inside & (column + shift >= 0) & (column + shift < length)
        a = tl.load(x + place + shift, mask=valid, other=0.0)
        b = tl.load(y + place + shift, mask=valid, other=0.0)
        weight = tl.load(weights + k)
        mean_x += weight * a
        mean_y += weight * b
        squares += weight * (a * a + b * b)
        product += weight * (a * b)
    plane = rows * length
    tl.store(moments + place, mean_x, mask=inside)
    tl.store(moments + plane + place, mean_y, mask=inside)
    tl.store(moments + 2 * plane + place, squares, mask=inside)
    tl.store(moments + 3 * plane + place, product, mask=inside)


@triton.jit(do_not_specialize=SIZES)
def loss_down(
    x, y, weights, moments, slopes, partial, rows, length, height, ssim_weight, share,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, C1: tl.constexpr, C2: tl.constexpr,
):  # fmt: skip
    """Blur the moments down the columns, sum the loss, and store its slopes by the moments."""
    row, column, inside = _place(rows, length, ROWS, COLUMNS)
    place = row * length + column
    plane = rows * length
    line = row % height
    mean_x = tl.zeros((ROWS, COLUMNS), tl.float32)
    mean_y = tl.zeros((ROWS, COLUMNS), tl.float32)
    squares = tl.zeros((ROWS, COLUMNS), tl.float32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for k in tl.static_range(TAPS):
        valid = inside & (line + (k - HALF) >= 0) & (line + (k - HALF) < height)
        source = moments + place + (k - HALF) * length
        weight = tl.load(weights + k)
        mean_x += weight * tl.load(source, mask=valid, other=0.0)
        mean_y += weight * tl.load(source + plane, mask=valid, other=0.0)
        squares += weight * tl.load(source + 2 * plane, mask=valid, other=0.0)
        product += weight * tl.load(source + 3 * plane, mask=valid, other=0.0)
    means = mean_x * mean_y
    both = mean_x * mean_x + mean_y * mean_y
    top_1 = 2 * means + C1
    top_2 = 2 * (product - means) + C2
    bottom_1 = both + C1
    bottom_2 = squares - both + C2
    inverse = 1 / (bottom_1 * bottom_2)
    similarity = top_1 * top_2 * inverse
    to_mean = 2 * mean_y * (top_2 - top_1) * inverse
    to_mean += 2 * mean_x * similarity * (1 / bottom_2 - 1 / bottom_1)
    tl.store(slopes + place, to_mean, mask=inside)
    tl.store(slopes + plane + place, -similarity / bottom_2, mask=inside)
    tl.store(slopes + 2 * plane + place, 2 * top_1 * inverse, mask=inside)
    a = tl.load(x + place, mask=inside, other=0.0)
    b = tl.load(y + place, mask=inside, other=0.0)
    value = (1 - ssim_weight) * tl.abs(a - b) + ssim_weight * (1 - similarity)
    total = tl.sum(tl.sum(tl.where(inside, value, 0.0), axis=1), axis=0)
    tl.store(partial + tl.program_id(1) * tl.num_programs(0) + tl.program_id(0), share * total)


@triton.jit(do_not_specialize=SIZES)
def slopes_across(
    slopes, weights, blurred, rows, length, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Blur the three slopes along the rows."""
    row, column, inside = _place(rows, length, ROWS, COLUMNS)
    place = row * length + column
    plane = rows * length
    mean = tl.zeros((ROWS, COLUMNS), tl.float32)
    squares = tl.zeros((ROWS, COLUMNS), tl.float32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for k in tl.static_range(TAPS):
        shift = (k - HALF) * STRIDE
        valid = inside & (column + shift >= 0) & (column + shift < length)
        weight = tl.load(weights + k)
        source = slopes + place + shift
        mean += weight * tl.load(source, mask=valid, other=0.0)
        squares += weight * tl.load(source + plane, mask=valid, other=0.0)
        product += weight * tl.load(source + 2 * plane, mask=valid, other=0.0)
    tl.store(blurred + place, mean, mask=inside)
    tl.store(blurred + plane + place, squares, mask=inside)
    tl.store(blurred + 2 * plane + place, product, mask=inside)


@triton.jit(do_not_specialize=SIZES)
def gradient_down(
    x, y, weights, blurred, scale, gradient, rows, length, height, ssim_weight, share,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Blur the slopes down the columns and join them to the gradient by x."""
    row, column, inside = _place(rows, length, ROWS, COLUMNS)
    place = row * length + column
    plane = rows * length
    line = row % height
    mean = tl.zeros((ROWS, COLUMNS), tl.float32)
    squares = tl.zeros((ROWS, COLUMNS), tl.float32)
    product = tl.zeros((ROWS, COLUMNS), tl.float32)
    for k in tl.static_range(TAPS):
        valid = inside & (line + (k - HALF) >= 0) & (line + (k - HALF) < height)
        source = blurred + place + (k - HALF) * length
        weight = tl.load(weights + k)
        mean += weight * tl.load(source, mask=valid, other=0.0)
        squares += weight * tl.load(source + plane, mask=valid, other=0.0)
        product += weight * tl.load(source + 2 * plane, mask=valid, other=0.0)
    a = tl.load(x + place, mask=inside, other=0.0)
    b = tl.load(y + place, mask=inside, other=0.0)
    sign = tl.where(a > b, 1.0, tl.where(a < b, -1.0, 0.0))
    of_similarity = mean + 2 * a * squares + b * product
    value = (1 - ssim_weight) * sign - ssim_weight * of_similarity
    tl.store(gradient + place, share * tl.load(scale) * value, mask=inside)


class PhotometricLoss(torch.autograd.Function):
    """(1 - w) L1 + w (1 - SSIM) of contiguous float32 images `(C, H, W, 3)`, a scalar.

    Takes the rendered images, the targets and w. Only the rendered images get a gradient.
    """

    @staticmethod
    def forward(ctx: Any, rendered: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
        x, y = rendered.contiguous(), target.contiguous()
        views, height, width, channels = x.shape
        rows, length = views * height, width * channels
        grid = (-(-length // COLUMNS), -(-rows // ROWS))
        weights = window_weights(x.device, torch.float32)
        moments, slopes = x.new_empty((4, rows, length)), x.new_empty((3, rows, length))
        partial = x.new_empty(grid[0] * grid[1])
        sizes = {"ROWS": ROWS, "COLUMNS": COLUMNS, "num_warps": WARPS}
        moments_across[grid](x, y, weights, moments, rows, length, **sizes)
        loss_down[grid](
            x, y, weights, moments, slopes, partial, rows, length, height, ssim_weight,
            1 / x.numel(), **sizes, C1=C1, C2=C2,
        )  # fmt: skip
        ctx.save_for_backward(x, y, slopes)
        ctx.ssim_weight = ssim_weight
        return partial.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, y, slopes = ctx.saved_tensors
        views, height, width, channels = x.shape
        rows, length = views * height, width * channels
        grid = (-(-length // COLUMNS), -(-rows // ROWS))
        weights = window_weights(x.device, torch.float32)
        blurred, result = torch.empty_like(slopes), torch.empty_like(x)
        sizes = {"ROWS": ROWS, "COLUMNS": COLUMNS, "num_warps": WARPS}
        slopes_across[grid](slopes, weights, blurred, rows, length, **sizes)
        gradient_down[grid](
            x, y, weights, blurred, gradient, result, rows, length, height, ctx.ssim_weight,
            1 / x.numel(), **sizes,
        )  # fmt: skip
        return result, None, None
