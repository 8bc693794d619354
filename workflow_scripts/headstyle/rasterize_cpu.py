"""Blending of projected splats into images on the CPU, with gradients.

Tiles of 16x16 pixels are blended in parallel, front to back. A row of a tile is 16 float32 lanes:
the inner loops run over the lanes without a branch, so the compiler turns them into vector
instructions. The rules are gsplat 1.5.3's: alpha at most 0.999, skipped below 1/255, and a pixel
is finished before the splat that would bring its transmittance to 1e-4 or less.

The backward pass writes the gradients of each splat in each tile to a place of its own and adds
them per splat in a fixed order, so its result does not depend on the number of threads.
"""

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from headstyle.numba_math import fast_exp2, sum_lanes
from headstyle.tiles_cpu import TILE, Tiling, tile_splats

MAX_ALPHA = np.float32(0.999)
ALPHA_CUT = np.float32(1.0 / 255.0)
MIN_TRANSMITTANCE = np.float32(1e-4)
HALF, ONE, ZERO = np.float32(0.5), np.float32(1), np.float32(0)
MINUS_LOG2_E = np.float32(-1.4426950408889634)
LOWEST_EXPONENT = np.float32(-120)
# Lanes per channel of a tile row, and lanes of a whole row of the working memory.
LANES = TILE
FORWARD_CHANNELS, BACKWARD_CHANNELS = 8, 6
FORWARD_ROW, BACKWARD_ROW = FORWARD_CHANNELS * LANES, BACKWARD_CHANNELS * LANES
# A finished tile is noticed every so many splats.
CHECK_EVERY = 16
# Sums per intersection: M0, Mx, My, Mxx, Mxy, Myy of the exponent's gradient, red, green, blue, and
# the absolute gradients of the position.
MOMENTS = 11


@njit(fastmath={"contract"})
def _exponent(dx, half_a, b_dy, c_dy2):
    """Base-2 logarithm of a splat's falloff at horizontal distance dx of a row."""
    t = dx * (half_a * dx + b_dy) + c_dy2
    t = t if t < ZERO else ZERO
    return t if t > LOWEST_EXPONENT else LOWEST_EXPONENT


@njit(fastmath={"contract"})
def _blend_row(state, row, lanes, index, x, half_a, b_dy, c_dy2, opacity, red, green, blue):
    """Blend one splat into one row of 16 pixels.

    The row's channels are: 0 transmittance (0 once finished), 1 transmittance to keep,
    2 to 4 color, 5 index of the last blended splat, 6 weight and 7 transmittance before this one.
    """
    for k in range(lanes):
        dx = x - np.float32(k)
        alpha = opacity * fast_exp2(_exponent(dx, half_a, b_dy, c_dy2))
        alpha = alpha if alpha < MAX_ALPHA else MAX_ALPHA
        alpha = alpha if alpha >= ALPHA_CUT else ZERO
        before = state[row + k]
        after = before * (ONE - alpha)
        open_ = after > MIN_TRANSMITTANCE
        weight = alpha * before if open_ else ZERO
        state[row + k] = after if open_ else ZERO
        state[row + 16 + k] = after if open_ else state[row + 16 + k]
        state[row + 32 + k] += weight * red
        state[row + 48 + k] += weight * green
        state[row + 64 + k] += weight * blue
        state[row + 80 + k] = index if weight > ZERO else state[row + 80 + k]
        state[row + 96 + k] = weight
        state[row + 112 + k] = before


@njit(fastmath={"contract"})
def _blend_depth(state, depth_state, row, depth_row, lanes, depth):
    """Add a splat to the row's expected depth, and note it where the transmittance passes 1/2."""
    for k in range(lanes):
        weight, before = state[row + 96 + k], state[row + 112 + k]
        depth_state[depth_row + k] += weight * depth
        passed = before - weight <= HALF
        found = depth_state[depth_row + 16 + k]
        found = depth if passed and before > HALF else found
        depth_state[depth_row + 16 + k] = found


@njit
def _finished(state):
    """Whether no pixel of the tile lets light through any more."""
    largest = ZERO
    for row in range(TILE):
        for k in range(LANES):
            value = state[row * FORWARD_ROW + k]
            largest = value if value > largest else largest
    return largest <= ZERO


@njit(fastmath={"contract"})
def _blend_tile(records, entries, left, top, lanes, with_depth, state, depth_state):
    """Blend the splats of one tile, nearest first, into its working memory."""
    state[:] = ZERO
    for row in range(TILE):
        state[row * FORWARD_ROW : row * FORWARD_ROW + 2 * LANES] = ONE
        state[row * FORWARD_ROW + 80 : row * FORWARD_ROW + 96] = -ONE
    for i in range(len(entries)):
        if i % CHECK_EVERY == CHECK_EVERY - 1 and _finished(state):
            break
        record = records[entries[i, 0]]
        x = record[0] - np.float32(left) - HALF
        y = record[1] - np.float32(top) - HALF
        half_a, b = HALF * record[2] * MINUS_LOG2_E, record[3] * MINUS_LOG2_E
        half_c = HALF * record[4] * MINUS_LOG2_E
        for r in range(entries[i, 2], entries[i, 3] + 1):
            dy = y - np.float32(r)
            _blend_row(
                state, r * FORWARD_ROW, lanes, np.float32(i), x, half_a, b * dy, half_c * dy * dy,
                record[5], record[6], record[7], record[8],
            )  # fmt: skip
            if with_depth:
                _blend_depth(state, depth_state, r * FORWARD_ROW, r * 2 * LANES, lanes, record[9])


@njit(cache=True, parallel=True)
def blend_forward(
    records, tiles, entries, backgrounds, lanes, with_depth,
    colors, transmittances, last, expected, median,
):  # fmt: skip
    """Blend all tiles of all views; fills images of shape `(C, H, W)` and colors `(C, H, W, 3)`."""
    views, height, width = transmittances.shape
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    count = views * across * down
    for task in prange(count):
        tile = _spread(task, count)
        view, top, left = (
            tile // (across * down), tile // across % down * TILE, tile % across * TILE,
        )  # fmt: skip
        state = np.empty(TILE * FORWARD_ROW, dtype=np.float32)
        depth_state = np.zeros(TILE * 2 * LANES, dtype=np.float32)
        content = entries[tiles[tile] : tiles[tile + 1]]
        _blend_tile(records, content, left, top, lanes, with_depth, state, depth_state)
        for r in range(min(TILE, height - top)):
            for k in range(min(LANES, width - left)):
                i, j, s = top + r, left + k, r * FORWARD_ROW + k
                rest = state[s + 16]
                transmittances[view, i, j] = rest
                last[view, i, j] = np.int32(state[s + 80])
                for channel in range(3):
                    value = state[s + 32 + 16 * channel]
                    colors[view, i, j, channel] = value + rest * backgrounds[view, channel]
                if with_depth:
                    alpha = ONE - rest
                    accumulated = depth_state[r * 2 * LANES + k]
                    expected[view, i, j] = accumulated / alpha if alpha > ALPHA_CUT / 2 else ZERO
                    median[view, i, j] = depth_state[r * 2 * LANES + 16 + k]


@njit
def _spread(task, count):
    """A permutation of the tasks that gives every thread tiles from all over the images."""
    step = int(count * 0.6180339887) | 1
    while _divisor(step, count) != 1:
        step += 2
    return task * step % count


@njit
def _divisor(a, b):
    while b:
        a, b = b, a % b
    return a


@njit(fastmath={"contract"})
def _unblend_row(state, row, sums, lanes, index, x, dy, half_a, b_dy, c_dy2, opacity, r, g, b):
    """Take one splat out of one row, and add its gradients to the lanes of `sums`.

    The row's channels are: 0 transmittance behind the splat, 1 to 3 gradient of the color,
    4 what lies behind weighted with the gradient, 5 index of the last blended splat.
    `sums` has per lane: s, s dy, s dy^2 (s: gradient of the exponent), then the color's three;
    the s of this row alone are left at 144.
    """
    for k in range(lanes):
        dx = x - np.float32(k)
        raw = opacity * fast_exp2(_exponent(dx, half_a, b_dy, c_dy2))
        alpha = raw if raw < MAX_ALPHA else MAX_ALPHA
        alpha = alpha if alpha >= ALPHA_CUT else ZERO
        alpha = alpha if index <= state[row + 80 + k] else ZERO
        through = ONE / (ONE - alpha)
        before = state[row + k] * through
        weight = alpha * before
        d_red, d_green, d_blue = state[row + 16 + k], state[row + 32 + k], state[row + 48 + k]
        toward = d_red * r + d_green * g + d_blue * b
        behind = state[row + 64 + k]
        d_alpha = before * toward - behind * through
        state[row + k] = before
        state[row + 64 + k] = behind + weight * toward
        s = alpha * d_alpha if raw <= MAX_ALPHA else ZERO
        sums[144 + k] = s
        sums[k] += s
        sums[16 + k] += s * dy
        sums[32 + k] += s * dy * dy
        sums[48 + k] += weight * d_red
        sums[64 + k] += weight * d_green
        sums[80 + k] += weight * d_blue


@njit(fastmath={"contract"})
def _add_absolute(sums, lanes, x, dy, a, b, c):
    """Add the row's absolute gradients of the splat's position."""
    for k in range(lanes):
        dx = x - np.float32(k)
        s = abs(sums[144 + k])
        sums[160 + k] += s * abs(a * dx + b * dy)
        sums[176 + k] += s * abs(b * dx + c * dy)


@njit(fastmath={"contract"})
def _finish_moments(sums, x, lanes, moments):
    """Sum the lanes into M0, Mx, My, Mxx, Mxy, Myy and the color's gradient."""
    for k in range(lanes):
        dx = x - np.float32(k)
        sums[96 + k] = sums[k] * dx
        sums[112 + k] = sums[k] * dx * dx
        sums[128 + k] = sums[16 + k] * dx
    moments[0] = sum_lanes(sums, 0)
    moments[1] = sum_lanes(sums, 96)
    moments[2] = sum_lanes(sums, 16)
    moments[3] = sum_lanes(sums, 112)
    moments[4] = sum_lanes(sums, 128)
    moments[5] = sum_lanes(sums, 32)
    moments[6] = sum_lanes(sums, 48)
    moments[7] = sum_lanes(sums, 64)
    moments[8] = sum_lanes(sums, 80)
    moments[9] = sum_lanes(sums, 160)
    moments[10] = sum_lanes(sums, 176)


@njit(fastmath={"contract"})
def _unblend_tile(records, entries, left, top, lanes, absolute, state, row_last, sums, moments):
    """Take the splats of one tile out again, farthest first, and write their moments."""
    deepest = -1
    for row in range(TILE):
        deepest = max(deepest, row_last[row])
    for i in range(deepest + 1, len(entries)):
        moments[entries[i, 1]] = ZERO
    for i in range(deepest, -1, -1):
        record = records[entries[i, 0]]
        x = record[0] - np.float32(left) - HALF
        y = record[1] - np.float32(top) - HALF
        half_a, b = HALF * record[2] * MINUS_LOG2_E, record[3] * MINUS_LOG2_E
        half_c = HALF * record[4] * MINUS_LOG2_E
        sums[:] = ZERO
        for r in range(entries[i, 2], entries[i, 3] + 1):
            if i > row_last[r]:
                continue
            dy = y - np.float32(r)
            _unblend_row(
                state, r * BACKWARD_ROW, sums, lanes, np.float32(i), x, dy,
                half_a, b * dy, half_c * dy * dy, record[5], record[6], record[7], record[8],
            )  # fmt: skip
            if absolute:
                _add_absolute(sums, lanes, x, dy, record[2], record[3], record[4])
        _finish_moments(sums, x, lanes, moments[entries[i, 1]])


@njit
def _load_tile(view, top, left, backgrounds, transmittances, last, d_colors, d_alphas,
               state, row_last):  # fmt: skip
    """Fill a tile's working memory for the backward pass; pixels off the image stay neutral."""
    height, width = transmittances.shape[1:]
    state[:] = ZERO
    for row in range(TILE):
        row_last[row] = -1
        for k in range(LANES):
            s = row * BACKWARD_ROW + k
            state[s + 80] = -ONE
            i, j = top + row, left + k
            if i >= height or j >= width:
                continue
            rest = transmittances[view, i, j]
            behind = -d_alphas[view, i, j]
            for channel in range(3):
                gradient = d_colors[view, i, j, channel]
                state[s + 16 + 16 * channel] = gradient
                behind += gradient * backgrounds[view, channel]
            state[s] = rest
            state[s + 64] = rest * behind
            state[s + 80] = np.float32(last[view, i, j])
            row_last[row] = max(row_last[row], last[view, i, j])


@njit(cache=True, parallel=True)
def blend_backward(
    records, tiles, entries, backgrounds, lanes, absolute,
    transmittances, last, d_colors, d_alphas, moments,
):  # fmt: skip
    """Fill the moments `(I, 11)` of every intersection from the gradients of the images."""
    views, height, width = transmittances.shape
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    count = views * across * down
    for task in prange(count):
        tile = _spread(task, count)
        view, top, left = (
            tile // (across * down), tile // across % down * TILE, tile % across * TILE,
        )  # fmt: skip
        state = np.empty(TILE * BACKWARD_ROW, dtype=np.float32)
        sums = np.zeros(12 * LANES, dtype=np.float32)
        row_last = np.empty(TILE, dtype=np.int64)
        content = entries[tiles[tile] : tiles[tile + 1]]
        _load_tile(
            view, top, left, backgrounds, transmittances, last, d_colors, d_alphas, state, row_last
        )
        _unblend_tile(records, content, left, top, lanes, absolute, state, row_last, sums, moments)


@njit(cache=True, parallel=True)
def reduce_moments(
    splats, records, slots, moments, d_means2d, d_conics, d_colors, d_opacities, absolute
):
    """Add each splat's moments in the order of its tiles; fills `(C * N, ...)` gradients."""
    for p in prange(len(splats)):
        sums = np.zeros(MOMENTS, dtype=np.float32)
        for slot in range(slots[p], slots[p + 1]):
            for k in range(MOMENTS):
                sums[k] += moments[slot, k]
        splat, record = splats[p], records[p]
        a, b, c, opacity = record[2], record[3], record[4], record[5]
        # s is minus the gradient of sigma = (a dx^2 + c dy^2) / 2 + b dx dy.
        d_means2d[splat, 0] = -(a * sums[1] + b * sums[2])
        d_means2d[splat, 1] = -(b * sums[1] + c * sums[2])
        d_conics[splat, 0] = -HALF * sums[3]
        d_conics[splat, 1] = -sums[4]
        d_conics[splat, 2] = -HALF * sums[5]
        d_opacities[splat] = sums[0] / opacity
        absolute[splat, 0], absolute[splat, 1] = sums[9], sums[10]
        for k in range(3):
            d_colors[splat, k] = sums[6 + k]


class Rasterization(torch.autograd.Function):
    """Ellipses to images.

    Takes means2d `(C, N, 2)`, conics `(C, N, 3)`, colors `(C, N, 3)`, opacities `(N,)`, then
    without gradient depths `(C, N)`, radii `(C, N, 2)`, backgrounds `(C, 3)`, width, height,
    whether depth is wanted and whether means2d shall get the attribute `absgrad` (C, N, 2) in the
    backward pass: the sum over pixels of the absolute gradients, as gsplat calls it. Returns
    colors `(C, H, W, 3)`, alphas, expected depth and median depth `(C, H, W)`; the depths carry
    no gradient and are empty where not wanted.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, backgrounds, width, height, with_depth, absolute = inputs
        arrays = [tensor.detach().contiguous().numpy() for tensor in tensors]
        tiling = tile_splats(*arrays, width, height)
        shape = (len(tensors[0]), height, width)
        colors, rest = torch.empty((*shape, 3)), torch.empty(shape)
        last = np.empty(shape, dtype=np.int32)
        expected, median = (torch.empty(shape if with_depth else (0, 0, 0)) for _ in range(2))
        blend_forward(
            tiling.records, tiling.tiles, tiling.entries, backgrounds.numpy(), LANES, with_depth,
            colors.numpy(), rest.numpy(), last, expected.numpy(), median.numpy(),
        )  # fmt: skip
        ctx.tiling, ctx.last, ctx.shape = tiling, last, tensors[0].shape[:2]
        ctx.means2d = tensors[0] if absolute else None
        ctx.save_for_backward(backgrounds, rest)
        ctx.mark_non_differentiable(expected, median)
        return colors, 1 - rest, expected, median

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tiling: Tiling = ctx.tiling
        backgrounds, rest = (tensor.numpy() for tensor in ctx.saved_tensors)
        d_colors, d_alphas = (gradient.contiguous().numpy() for gradient in gradients[:2])
        moments = np.empty((len(tiling.entries), MOMENTS), dtype=np.float32)
        blend_backward(
            tiling.records, tiling.tiles, tiling.entries, backgrounds, LANES,
            ctx.means2d is not None, rest, ctx.last, d_colors, d_alphas, moments,
        )  # fmt: skip
        views, count = ctx.shape
        results = [torch.zeros((views * count, k)) for k in (2, 3, 3)]
        d_opacities, absolute = torch.zeros(views * count), torch.zeros((views * count, 2))
        reduce_moments(
            tiling.splats, tiling.records, tiling.slots, moments,
            *(result.numpy() for result in (*results, d_opacities, absolute)),
        )  # fmt: skip
        if ctx.means2d is not None:
            ctx.means2d.absgrad = absolute.reshape(views, count, 2)
        per_view = [result.reshape(views, count, -1) for result in results]
        return (*per_view, d_opacities.reshape(views, count).sum(0), *([None] * 7))
