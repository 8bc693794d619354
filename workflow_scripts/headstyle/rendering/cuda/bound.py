"""Splats in the frames of a mesh's triangles, brought to the world on CUDA: one kernel each way.

In PyTorch this takes some fifty kernels an iteration, among them products of tiny matrices for each
splat. Harmonics are turned by their values at a few directions (`headstyle.rigged.binding`): from
the splat's harmonics to the values at the turned directions, and from these to new harmonics. All
of it is linear in the splat's numbers, so the gradients go back through the transposed steps.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from headstyle.rendering.cuda.colors import BLOCK, bases_at, load_harmonics, store_three

# The number of splats changes at every refinement. The kernels must not be compiled again for it.
SIZES = ["count", "faces"]


@triton.jit
def _three(m, i, a1, a2, a3, h1, h2, h3, o1, o2, o3, BACK: tl.constexpr):
    """Add direction i's part of a band of three bases; `m` is the inverse of its bases."""
    c1, c2, c3 = tl.load(m + i), tl.load(m + 3 + i), tl.load(m + 6 + i)
    if BACK:
        value = c1 * h1 + c2 * h2 + c3 * h3
        return o1 + a1 * value, o2 + a2 * value, o3 + a3 * value
    value = a1 * h1 + a2 * h2 + a3 * h3
    return o1 + c1 * value, o2 + c2 * value, o3 + c3 * value


@triton.jit
def _five(m, i, a1, a2, a3, a4, a5, h1, h2, h3, h4, h5, o1, o2, o3, o4, o5, BACK: tl.constexpr):
    """As `_three`, of a band of five."""
    c1, c2, c3 = tl.load(m + i), tl.load(m + 5 + i), tl.load(m + 10 + i)
    c4, c5 = tl.load(m + 15 + i), tl.load(m + 20 + i)
    if BACK:
        value = c1 * h1 + c2 * h2 + c3 * h3 + c4 * h4 + c5 * h5
        o1, o2, o3 = o1 + a1 * value, o2 + a2 * value, o3 + a3 * value
        return o1, o2, o3, o4 + a4 * value, o5 + a5 * value
    value = a1 * h1 + a2 * h2 + a3 * h3 + a4 * h4 + a5 * h5
    o1, o2, o3 = o1 + c1 * value, o2 + c2 * value, o3 + c3 * value
    return o1, o2, o3, o4 + c4 * value, o5 + c5 * value


@triton.jit
def _seven(
    m, i, a1, a2, a3, a4, a5, a6, a7, h1, h2, h3, h4, h5, h6, h7, o1, o2, o3, o4, o5, o6, o7,
    BACK: tl.constexpr,
):  # fmt: skip
    """As `_three`, of a band of seven."""
    c1, c2, c3 = tl.load(m + i), tl.load(m + 7 + i), tl.load(m + 14 + i)
    c4, c5, c6 = tl.load(m + 21 + i), tl.load(m + 28 + i), tl.load(m + 35 + i)
    c7 = tl.load(m + 42 + i)
    if BACK:
        value = c1 * h1 + c2 * h2 + c3 * h3 + c4 * h4 + c5 * h5 + c6 * h6 + c7 * h7
        o1, o2, o3 = o1 + a1 * value, o2 + a2 * value, o3 + a3 * value
        o4, o5, o6 = o4 + a4 * value, o5 + a5 * value, o6 + a6 * value
        return o1, o2, o3, o4, o5, o6, o7 + a7 * value
    value = a1 * h1 + a2 * h2 + a3 * h3 + a4 * h4 + a5 * h5 + a6 * h6 + a7 * h7
    o1, o2, o3 = o1 + c1 * value, o2 + c2 * value, o3 + c3 * value
    o4, o5, o6 = o4 + c4 * value, o5 + c5 * value, o6 + c6 * value
    return o1, o2, o3, o4, o5, o6, o7 + c7 * value


@triton.jit(do_not_specialize=SIZES)
def place(
    means, quats, scales, rest, triangles, timestep, centers, rotations, turns, sizes,
    directions, inverses, out_means, out_quats, out_scales, out_rest, count, faces,
    DEGREE: tl.constexpr, REST: tl.constexpr, BACK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Fill the splats in the world; or if BACK, from their gradients those in the triangles."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < count
    row = tl.load(timestep) * faces + tl.load(triangles + n, mask=inside, other=0)
    p = rotations + 9 * row
    r0, r1, r2 = tl.load(p), tl.load(p + 1), tl.load(p + 2)
    r3, r4, r5 = tl.load(p + 3), tl.load(p + 4), tl.load(p + 5)
    r6, r7, r8 = tl.load(p + 6), tl.load(p + 7), tl.load(p + 8)
    size = tl.load(sizes + row)
    x = size * tl.load(means + 3 * n, mask=inside, other=0.0)
    y = size * tl.load(means + 3 * n + 1, mask=inside, other=0.0)
    z = size * tl.load(means + 3 * n + 2, mask=inside, other=0.0)
    w, u = tl.load(turns + 4 * row), tl.load(turns + 4 * row + 1)
    v, t = tl.load(turns + 4 * row + 2), tl.load(turns + 4 * row + 3)
    if BACK:
        # The inverses of rotations are their transposes, and of quaternions their conjugates.
        tl.store(out_means + 3 * n, r0 * x + r3 * y + r6 * z, mask=inside)
        tl.store(out_means + 3 * n + 1, r1 * x + r4 * y + r7 * z, mask=inside)
        tl.store(out_means + 3 * n + 2, r2 * x + r5 * y + r8 * z, mask=inside)
        u, v, t = -u, -v, -t
    else:
        c = centers + 3 * row
        tl.store(out_means + 3 * n, tl.load(c) + r0 * x + r1 * y + r2 * z, mask=inside)
        tl.store(out_means + 3 * n + 1, tl.load(c + 1) + r3 * x + r4 * y + r5 * z, mask=inside)
        tl.store(out_means + 3 * n + 2, tl.load(c + 2) + r6 * x + r7 * y + r8 * z, mask=inside)
        larger = tl.log(size)
        for axis in tl.static_range(3):
            extent = tl.load(scales + 3 * n + axis, mask=inside, other=0.0)
            tl.store(out_scales + 3 * n + axis, extent + larger, mask=inside)
    q0 = tl.load(quats + 4 * n, mask=inside, other=0.0)
    q1 = tl.load(quats + 4 * n + 1, mask=inside, other=0.0)
    q2 = tl.load(quats + 4 * n + 2, mask=inside, other=0.0)
    q3 = tl.load(quats + 4 * n + 3, mask=inside, other=0.0)
    tl.store(out_quats + 4 * n, w * q0 - u * q1 - v * q2 - t * q3, mask=inside)
    tl.store(out_quats + 4 * n + 1, w * q1 + u * q0 + v * q3 - t * q2, mask=inside)
    tl.store(out_quats + 4 * n + 2, w * q2 - u * q3 + v * q0 + t * q1, mask=inside)
    tl.store(out_quats + 4 * n + 3, w * q3 + u * q2 - v * q1 + t * q0, mask=inside)
    if DEGREE > 0:
        zero = tl.zeros((BLOCK,), tl.float32)
        for channel in tl.static_range(3):
            # The constant harmonic does not turn; what is loaded in its place is not used.
            _, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13, h14, h15 = load_harmonics(
                rest, rest, n, inside, channel, DEGREE, REST
            )
            o1, o2, o3, o4, o5, o6, o7, o8 = zero, zero, zero, zero, zero, zero, zero, zero
            o9, o10, o11, o12, o13, o14, o15 = zero, zero, zero, zero, zero, zero, zero
            for i in tl.static_range(2 * DEGREE + 1):
                d = directions + 3 * i
                d0, d1, d2 = tl.load(d), tl.load(d + 1), tl.load(d + 2)
                a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15 = bases_at(
                    d0 * r0 + d1 * r3 + d2 * r6,
                    d0 * r1 + d1 * r4 + d2 * r7,
                    d0 * r2 + d1 * r5 + d2 * r8,
                )
                if i < 3:
                    o1, o2, o3 = _three(inverses, i, a1, a2, a3, h1, h2, h3, o1, o2, o3, BACK)
                if i < 5 and DEGREE > 1:
                    o4, o5, o6, o7, o8 = _five(
                        inverses + 9, i, a4, a5, a6, a7, a8, h4, h5, h6, h7, h8,
                        o4, o5, o6, o7, o8, BACK,
                    )  # fmt: skip
                if DEGREE > 2:
                    o9, o10, o11, o12, o13, o14, o15 = _seven(
                        inverses + 34, i, a9, a10, a11, a12, a13, a14, a15,
                        h9, h10, h11, h12, h13, h14, h15,
                        o9, o10, o11, o12, o13, o14, o15, BACK,
                    )  # fmt: skip
            q = out_rest + n * REST + channel
            store_three(q, inside, o1, o2, o3)
            if DEGREE > 1:
                store_three(q + 9, inside, o4, o5, o6)
                tl.store(q + 18, o7, mask=inside)
                tl.store(q + 21, o8, mask=inside)
            if DEGREE > 2:
                store_three(q + 24, inside, o9, o10, o11)
                store_three(q + 33, inside, o12, o13, o14)
                tl.store(q + 42, o15, mask=inside)


class PlacedSplats(torch.autograd.Function):
    """Means, quats, scales and shN in the world, of splats in the frames of triangles.

    Takes those four, `(N, 3)`, `(N, 4)`, `(N, 3)` and `(N, K - 1, 3)`. Then come arguments without
    gradient: the splats' triangles `(N,)`, the timestep `(1,)`, the triangles' centers `(T, F, 3)`,
    rotations `(T, F, 3, 3)`, quats `(T, F, 4)` and scales `(T, F)`, directions `(7, 3)`, the
    inverses of the bands' bases there, one after the other `(83,)`, and the highest degree to turn.
    """

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, shN: Tensor, *rest: Any
    ) -> tuple[Tensor, ...]:
        *frames, degree = rest
        frames = [tensor.contiguous() for tensor in frames]
        degree = min(degree, round((shN.shape[1] + 1) ** 0.5) - 1)
        ctx.degree = degree
        ctx.save_for_backward(*frames)
        given = [tensor.contiguous() for tensor in (means, quats, scales, shN)]
        made = [torch.empty_like(tensor) for tensor in given[:3]]
        made.append(_room(given[3], degree))
        _launch(given, frames, made, degree, back=False)
        return tuple(made)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given = [gradient.contiguous() for gradient in gradients]
        made = [torch.empty_like(given[0]), torch.empty_like(given[1])]
        # A logarithm is moved by a constant, so its gradient stays as it is.
        made += [given[2], _room(given[3], ctx.degree)]
        _launch(given, ctx.saved_tensors, made, ctx.degree, back=True)
        return (*made, *[None] * 9)


def _room(harmonics: Tensor, degree: int) -> Tensor:
    """Where turned harmonics go; those above the degree in use stay as they are."""
    if (degree + 1) ** 2 - 1 < harmonics.shape[1]:
        return harmonics.clone()
    return torch.empty_like(harmonics)


def _launch(
    given: list[Tensor], frames: Sequence[Tensor], made: list[Tensor], degree: int, back: bool
) -> None:
    count, faces = len(given[0]), frames[2].shape[1]
    if count:
        place[(-(-count // BLOCK),)](
            *given, *frames, *made, count, faces,
            DEGREE=degree, REST=3 * given[3].shape[1], BACK=back, BLOCK=BLOCK,
        )  # fmt: skip
