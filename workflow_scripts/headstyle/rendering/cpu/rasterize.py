"""Blending of projected splats into images on the CPU, with gradients.

Tiles of 16x16 pixels are blended in parallel, front to back. A row of a tile is 16 lanes of a
vector (`blend_rows`). The backward pass stores the gradients of each splat in each tile separately.
Then it adds them per splat in a fixed order, so its result does not depend on the number of
threads.
"""

from typing import Any

import numpy as np
import torch
from numba import get_num_threads, prange
from torch import Tensor

from headstyle.base.compiled import kernel, parallel_kernel
from headstyle.rendering.cpu import blend_rows
from headstyle.rendering.cpu.blend_rows import (
    BACKWARD_ROW,
    FORWARD_ROW,
    MOMENTS,
    blend_splat,
    blend_splat_with_depth,
    unblend_splat,
    unblend_splat_absolute,
)
from headstyle.rendering.cpu.lanes import prefetch
from headstyle.rendering.cpu.tiles import RECORD, TILE, Tiling, tile_splats

HALF, ONE, ZERO = np.float32(0.5), np.float32(1), np.float32(0)
# A pixel with a smaller alpha shows nothing and has no expected depth.
NOTHING = np.float32(0.5 / 255)
# Splats between two checks whether the tile is finished.
CHECK_EVERY = 16
# A splat is fetched into the cache this many splats before its use.
AHEAD = 4
# First lanes of the channels that the numba code below reads and writes.
OPEN, THROUGH, RED, LAST, EXPECTED, MEDIAN = (
    TILE * getattr(blend_rows, name)
    for name in ("OPEN", "THROUGH", "RED", "LAST", "EXPECTED", "MEDIAN")
)
BEHIND_SPLAT, D_RED, BEHIND, LAST_SPLAT = (
    TILE * getattr(blend_rows, name) for name in ("BEHIND_SPLAT", "D_RED", "BEHIND", "LAST_SPLAT")
)


@kernel
def _tile_corner(task, shape, threads):
    """Tile of a task, its view, and the row and column of its first pixel.

    A thread works on consecutive tasks and gets every `threads`-th tile. So each thread's work is
    spread over the images, and consecutive tiles share splats in the cache.
    """
    views, height, width = shape
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    count = views * across * down
    # Each of the first `longer` threads takes one tile more than the others.
    share, longer = count // threads, count % threads
    thread = min(task // (share + 1), longer)
    if thread == longer and share > 0:
        thread = longer + (task - longer * (share + 1)) // share
    place = task - thread * share - min(thread, longer)
    tile = place * threads + thread
    return tile, tile // (across * down), tile // across % down * TILE, tile % across * TILE


@kernel
def _finished(state):
    """Whether no pixel of the tile lets light through any more."""
    for row in range(TILE):
        for lane in range(TILE):
            if state[row * FORWARD_ROW + OPEN + lane] > ZERO:
                return False
    return True


@kernel
def _blend_tile(records, entries, left, top, with_depth, state):
    """Blend the splats of one tile, nearest first, into its working memory."""
    state[:] = ZERO
    for row in range(TILE):
        start = row * FORWARD_ROW
        state[start + OPEN : start + OPEN + TILE] = ONE
        state[start + THROUGH : start + THROUGH + TILE] = ONE
        state[start + LAST : start + LAST + TILE] = -ONE
    for i in range(len(entries)):
        if i % CHECK_EVERY == CHECK_EVERY - 1 and _finished(state):
            break
        ahead = min(i + AHEAD, len(entries) - 1)
        prefetch(records, entries[ahead, 0] * RECORD)
        prefetch(records, entries[ahead, 0] * RECORD + 11)
        r = records[entries[i, 0]]
        x, y = r[0] - np.float32(left + 0.5), r[1] - np.float32(top + 0.5)
        first, last, index = np.int64(entries[i, 2]), np.int64(entries[i, 3]), np.float32(i)
        if with_depth:
            blend_splat_with_depth(
                state, first, last, index, x, y, r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9]
            )
        else:
            blend_splat(
                state, first, last, index, x, y, r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9]
            )


@kernel
def _store_tile(
    state, view, top, left, with_depth, background, colors, through, last, expected, median
):
    """Copy a blended tile into the images."""
    height, width = through.shape[1:]
    for r in range(min(TILE, height - top)):
        for lane in range(min(TILE, width - left)):
            i, j, s = top + r, left + lane, r * FORWARD_ROW + lane
            rest = state[s + THROUGH]
            through[view, i, j] = rest
            last[view, i, j] = np.int32(state[s + LAST])
            for channel in range(3):
                value = state[s + RED + TILE * channel]
                colors[view, i, j, channel] = value + rest * background[channel]
            if with_depth:
                alpha = ONE - rest
                expected[view, i, j] = state[s + EXPECTED] / alpha if alpha > NOTHING else ZERO
                median[view, i, j] = state[s + MEDIAN]


@parallel_kernel
def blend_forward(
    records,
    tiles,
    entries,
    backgrounds,
    with_depth,
    colors,
    through,
    last,
    expected,
    median,
    threads,
):
    """Blend all tiles of all views.

    Fills `(C, H, W, 3)` colors and `(C, H, W)` transmittance, index of the last splat in the tile,
    and where wanted the expected and the median depth.
    """
    for task in prange(len(tiles) - 1):
        tile, view, top, left = _tile_corner(task, through.shape, threads)
        state = np.empty(TILE * FORWARD_ROW, dtype=np.float32)
        content = entries[tiles[tile] : tiles[tile + 1]]
        _blend_tile(records, content, left, top, with_depth, state)
        _store_tile(
            state, view, top, left, with_depth, backgrounds[view],
            colors, through, last, expected, median,
        )  # fmt: skip


@kernel
def _load_tile(view, top, left, background, through, last, d_colors, d_alphas, state):
    """Fill a tile's working memory for the backward pass; returns the index of its last splat.

    Pixels beyond the image show no splat and have no gradient.
    """
    height, width = through.shape[1:]
    deepest = -1
    state[:] = ZERO
    for r in range(TILE):
        for lane in range(TILE):
            i, j, s = top + r, left + lane, r * BACKWARD_ROW + lane
            state[s + LAST_SPLAT] = -ONE
            if i >= height or j >= width:
                continue
            behind = -d_alphas[view, i, j]
            for channel in range(3):
                gradient = d_colors[view, i, j, channel]
                state[s + D_RED + TILE * channel] = gradient
                behind += gradient * background[channel]
            state[s + BEHIND_SPLAT] = through[view, i, j]
            state[s + BEHIND] = through[view, i, j] * behind
            state[s + LAST_SPLAT] = np.float32(last[view, i, j])
            deepest = max(deepest, last[view, i, j])
    return deepest


@kernel
def _unblend_tile(records, entries, deepest, left, top, absolute, state, moments):
    """Take the splats of one tile out again, farthest first, and write their moments."""
    for i in range(deepest + 1, len(entries)):
        moments[entries[i, 1]] = ZERO
    for i in range(deepest, -1, -1):
        ahead = max(i - AHEAD, 0)
        prefetch(records, entries[ahead, 0] * RECORD)
        prefetch(moments, entries[ahead, 1] * MOMENTS)
        r = records[entries[i, 0]]
        x, y = r[0] - np.float32(left + 0.5), r[1] - np.float32(top + 0.5)
        slot, index = np.int64(entries[i, 1]), np.float32(i)
        first, last = np.int64(entries[i, 2]), np.int64(entries[i, 3])
        if absolute:
            unblend_splat_absolute(
                state, moments, slot, first, last, index,
                x, y, r[2], r[3], r[4], r[5], r[6], r[7], r[8],
            )  # fmt: skip
        else:
            unblend_splat(
                state, moments, slot, first, last, index,
                x, y, r[2], r[3], r[4], r[5], r[6], r[7], r[8],
            )  # fmt: skip


@parallel_kernel
def blend_backward(
    records,
    tiles,
    entries,
    backgrounds,
    absolute,
    through,
    last,
    d_colors,
    d_alphas,
    moments,
    threads,
):
    """Fill the moments `(I, 11)` of every splat in every tile from the images' gradients."""
    for task in prange(len(tiles) - 1):
        tile, view, top, left = _tile_corner(task, through.shape, threads)
        state = np.empty(TILE * BACKWARD_ROW, dtype=np.float32)
        content = entries[tiles[tile] : tiles[tile + 1]]
        deepest = _load_tile(
            view, top, left, backgrounds[view], through, last, d_colors, d_alphas, state
        )
        _unblend_tile(records, content, deepest, left, top, absolute, state, moments)


@parallel_kernel
def reduce_moments(
    splats, records, slots, moments, d_means2d, d_conics, d_colors, d_opacities, absolute
):
    """Add each splat's moments in the order of its tiles; fills gradients `(C * N, ...)`."""
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

    Takes means2d `(C, N, 2)`, conics `(C, N, 3)`, colors `(C, N, 3)` and opacities `(N,)`. Then
    come arguments without gradient: depths `(C, N)`, radii `(C, N, 2)`, backgrounds `(C, 3)`,
    width, height, whether to compute depth, and whether the backward pass sets `means2d.absgrad`
    (C, N, 2). That attribute is gsplat's sum over pixels of the absolute gradients.

    Returns colors `(C, H, W, 3)`, alphas, expected depth and median depth `(C, H, W)`. The depths
    carry no gradient; they are empty if depth is not computed.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, backgrounds, width, height, with_depth, absolute = inputs
        arrays = [tensor.detach().contiguous().numpy() for tensor in tensors]
        means2d, conics, rgb, opacities, depths, radii = arrays
        tiling = tile_splats(means2d, conics, rgb, opacities, depths, radii, width, height)
        shape = (len(tensors[0]), height, width)
        colors, through = torch.empty((*shape, 3)), torch.empty(shape)
        last = np.empty(shape, dtype=np.int32)
        expected, median = (torch.empty(shape if with_depth else (0, 0, 0)) for _ in range(2))
        blend_forward(
            tiling.records, tiling.tiles, tiling.entries, backgrounds.numpy(), with_depth,
            colors.numpy(), through.numpy(), last, expected.numpy(), median.numpy(),
            get_num_threads(),
        )  # fmt: skip
        ctx.tiling, ctx.last, ctx.shape = tiling, last, tensors[0].shape[:2]
        ctx.means2d = tensors[0] if absolute else None
        ctx.save_for_backward(backgrounds, through)
        ctx.mark_non_differentiable(expected, median)
        return colors, 1 - through, expected, median

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tiling: Tiling = ctx.tiling
        backgrounds, through = (tensor.numpy() for tensor in ctx.saved_tensors)
        d_colors, d_alphas = (gradient.contiguous().numpy() for gradient in gradients[:2])
        moments = np.empty((len(tiling.entries), MOMENTS), dtype=np.float32)
        blend_backward(
            tiling.records, tiling.tiles, tiling.entries, backgrounds,
            ctx.means2d is not None, through, ctx.last, d_colors, d_alphas, moments,
            get_num_threads(),
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
        per_view = [result.reshape(views, count, result.shape[1]) for result in results]
        return (*per_view, d_opacities.reshape(views, count).sum(0), *([None] * 7))
