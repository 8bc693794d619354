"""The training loss on the CPU: L1 and SSIM of two images, and the gradient, row by row.

The formulas are those of `losses.photometric.photometric_loss`. As tensor operations they would
take longer than the rasterizer. An image is blurred across, then down, and stays in the cache. The
threads share the rows, and the rows' sums are added in a fixed order. So the number of threads
changes no byte.
"""

from typing import Any

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from headstyle.base.compiled import kernel, parallel_kernel
from headstyle.losses.ssim_window import C1, C2, WINDOW, window_weights

CHANNELS = 3
HALF = WINDOW // 2
# Values of a row that a window reaches to either side.
REACH = HALF * CHANNELS
# Values of a row that are compared together. It is a constant, so that the compiler knows the
# memory layout and uses vector instructions.
BLOCK = 1024
ONE, TWO = np.float32(1), np.float32(2)
SMALL_1, SMALL_2 = np.float32(C1), np.float32(C2)


@kernel
def _add(total, weight, first, second):
    """Add the weighted sum of two rows. A loop that writes a single row is compiled to vectors."""
    for j in range(len(total)):
        total[j] += weight * (first[j] + second[j])


@kernel
def _blur_across(row, weights, total):
    """Blur a row of colors that has `REACH` zeros at both ends."""
    length = len(total)
    for j in range(length):
        total[j] = weights[HALF] * row[REACH + j]
    for k in range(HALF):
        left, right = k * CHANNELS, (WINDOW - 1 - k) * CHANNELS
        _add(total, weights[k], row[left : left + length], row[right : right + length])


@kernel
def _blur_down(rows, middle, first, weights, nothing, total):
    """Blur a part of the row `middle` of an image `(H, L)` vertically; the part starts at `first`.

    Beyond the image the values are those of `nothing`.
    """
    end = first + len(total)
    for j in range(len(total)):
        total[j] = weights[HALF] * rows[middle, first + j]
    for k in range(HALF):
        above, below = middle - HALF + k, middle + HALF - k
        upper = rows[above, first:end] if above >= 0 else nothing
        lower = rows[below, first:end] if below < len(rows) else nothing
        _add(total, weights[k], upper, lower)


@parallel_kernel
def moments_across(x, y, weights, moments):
    """Blur x, y, x^2 + y^2 and x y, of images `(H, L)`, along the rows."""
    height, length = x.shape
    for row in prange(height):
        padded = np.zeros((4, length + 2 * REACH), dtype=np.float32)
        inner = padded[:, REACH : REACH + length]
        a, b = x[row], y[row]
        inner[0], inner[1] = a, b
        for j in range(length):
            inner[2, j] = a[j] * a[j] + b[j] * b[j]
        for j in range(length):
            inner[3, j] = a[j] * b[j]
        for i in range(4):
            _blur_across(padded[i], weights, moments[i, row])


@kernel
def _compare(x, y, ssim_weight, state):
    """Turn the blurred moments of up to `BLOCK` values into the SSIM's slopes and the loss."""
    for j in range(len(x)):
        mean_x, mean_y = state[j], state[BLOCK + j]
        means, both = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
        top_1, top_2 = TWO * means + SMALL_1, TWO * (state[3 * BLOCK + j] - means) + SMALL_2
        bottom_1, bottom_2 = both + SMALL_1, state[2 * BLOCK + j] - both + SMALL_2
        inverse = ONE / (bottom_1 * bottom_2)
        similarity = top_1 * top_2 * inverse
        by_bottoms = mean_x * similarity * (bottom_1 - bottom_2)
        absolute = abs(x[j] - y[j])
        state[j] = TWO * inverse * (mean_y * (top_2 - top_1) + by_bottoms)
        state[BLOCK + j] = -similarity * bottom_1 * inverse
        state[2 * BLOCK + j] = TWO * top_1 * inverse
        state[3 * BLOCK + j] = absolute + ssim_weight * (ONE - similarity - absolute)


@parallel_kernel
def loss_down(x, y, weights, moments, ssim_weight, slopes, losses):
    """Blur the moments down the columns; store each row's loss and its slopes by the moments."""
    height, length = x.shape
    nothing = np.zeros(BLOCK, dtype=np.float32)
    for row in prange(height):
        state = np.empty(4 * BLOCK, dtype=np.float32)
        total = 0.0
        for first in range(0, length, BLOCK):
            end = min(first + BLOCK, length)
            count = end - first
            for i in range(4):
                part = state[i * BLOCK : i * BLOCK + count]
                _blur_down(moments[i], row, first, weights, nothing, part)
            _compare(x[row, first:end], y[row, first:end], ssim_weight, state)
            for i in range(3):
                slopes[i, row, first:end] = state[i * BLOCK : i * BLOCK + count]
            for j in range(count):
                total += state[3 * BLOCK + j]
        losses[row] = total


@parallel_kernel
def slopes_across(slopes, weights, blurred):
    """Blur the three slopes along the rows."""
    _, height, length = slopes.shape
    for row in prange(height):
        padded = np.zeros(length + 2 * REACH, dtype=np.float32)
        for i in range(3):
            padded[REACH : REACH + length] = slopes[i, row]
            _blur_across(padded, weights, blurred[i, row])


@parallel_kernel
def gradient_down(x, y, weights, blurred, ssim_weight, share, gradient):
    """Blur the slopes down the columns and join them to `share` times the loss's gradient by x."""
    height, length = x.shape
    nothing = np.zeros(length, dtype=np.float32)
    for row in prange(height):
        sums = np.empty((3, length), dtype=np.float32)
        for i in range(3):
            _blur_down(blurred[i], row, 0, weights, nothing, sums[i])
        a, b = x[row], y[row]
        for j in range(length):
            of_similarity = sums[0, j] + TWO * a[j] * sums[1, j] + b[j] * sums[2, j]
            slope = (ONE - ssim_weight) * np.sign(a[j] - b[j]) - ssim_weight * of_similarity
            gradient[row, j] = share * slope


class PhotometricLoss(torch.autograd.Function):
    """(1 - w) L1 + w (1 - SSIM) of float32 images `(C, H, W, 3)` on the CPU, a scalar.

    Takes the rendered images, the targets and w. Only the rendered images get a gradient.
    """

    @staticmethod
    def forward(ctx: Any, rendered: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
        # Compute the gradient too while the images are in the cache.
        wanted = ctx.needs_input_grad[0]
        gradient = torch.empty_like(rendered, memory_format=torch.contiguous_format)
        images = [x.detach().contiguous().flatten(2).numpy() for x in (rendered, target, gradient)]
        total = _loss_and_gradient(images[0], images[1], images[2], np.float32(ssim_weight), wanted)
        if wanted:
            ctx.save_for_backward(gradient)
        return rendered.new_tensor(total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None


def _loss_and_gradient(
    rendered: NDArray[np.float32],
    target: NDArray[np.float32],
    gradient: NDArray[np.float32],
    ssim_weight: np.float32,
    wanted: bool,
) -> float:
    """The loss of images `(C, H, L)`. Fills the gradient by the rendered images if requested."""
    weights = window_weights(torch.device("cpu"), torch.float32).numpy()
    moments = np.empty((4, *rendered.shape[1:]), dtype=np.float32)
    slopes = np.empty_like(moments[:3])
    losses = np.empty(rendered.shape[:2])
    share = np.float32(1 / max(rendered.size, 1))
    for x, y, own_losses, own_gradient in zip(rendered, target, losses, gradient, strict=True):
        moments_across(x, y, weights, moments)
        loss_down(x, y, weights, moments, ssim_weight, slopes, own_losses)
        if wanted:
            # Reuse the moments' memory.
            slopes_across(slopes, weights, moments[:3])
            gradient_down(x, y, weights, moments[:3], ssim_weight, share, own_gradient)
    return float(losses.sum() / max(rendered.size, 1))
